package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/remote"
)

// midQueries are asked of nodes that ask others.
var midQueries = []string{
	`m`, `m{pod="1"}`, `sum(m)`, `sum by (pod) (m)`, `sum by (cluster) (rate(m[5m]))`, `sum by (shard) (m)`, `sum without (pod) (m)`, `count(m)`, `avg(m)`,
	`avg by (pod) (rate(m[10m]))`, `avg by (cluster) (m)`, `stddev(m)`, `stdvar by (cluster) (m)`, `min(m)`, `max by (cluster) (m)`, `group(m)`,
	`topk(2, m)`, `bottomk by (cluster) (1, m)`, `quantile(0.5, m)`, `quantile by (cluster) (0.9, m)`, `count_values("v", m)`,
	`rate(m[5m])`, `rate(m[5m] offset 10m)`, `sum_over_time(m[30m])`, `m @ 4000`, `sum(m @ 4000)`, `m offset 5m`, `histogram_count(h)`, `sum(h)`, `histogram_quantile(0.9, sum(rate(h[5m])))`,
	`m + on (cluster, shard, pod) m offset 1m`, `m + ignoring (pod) group_left () sum without (pod) (m)`, `m / on (cluster) group_left () sum by (cluster) (m)`,
	`m * 2`, `m > 100`, `m and on (pod) m{pod="1"}`, `m unless m{pod="1"}`, `m or h`, `-m`, `m or vector(0)`,
	`absent(m{pod="9"})`, `absent(m)`, `absent_over_time(m{cluster="x",pod="9"}[5m])`, `scalar(sum(m)) + m`, `sort_desc(sum by (pod) (m))`,
	`max_over_time(sum(m)[20m:1m])`, `sum(max_over_time(rate(m[5m])[20m:2m]))`, `avg_over_time(avg by (cluster) (m)[10m:1m])`,
	`label_replace(m{shard="1"}, "shard", "z", "pod", "1")`, `label_replace(m, "x", "$1", "pod", "(.)")`, `sum by (x) (label_join(m, "x", "-", "cluster", "pod"))`,
	`histogram_quantiles(m, "q", 0.5, 0.9)`, `time() + sum(m)`, `{__name__=~"m|n"}`, `sum({__name__=~"m|n"})`,
	`sum(mixed)`, `avg(mixed)`, `sum by (cluster) (mixed)`, `avg by (cluster) (mixed)`, `stddev by (cluster) (mixed)`, `count(mixed)`,
}

// tree is data in two clusters, one of which is in two shards: a node over the shards and an engine with the other cluster.
func tree(t *testing.T, text bool) (all storage.Queryable, root []remote.RemoteEngine) {
	db := memory(t, func(a storage.Appender) {
		for i, set := range []labels.Labels{
			labels.FromStrings("cluster", "x", "shard", "0"), labels.FromStrings("cluster", "x", "shard", "1"), labels.FromStrings("cluster", "y", "shard", "0"),
		} {
			for pod := range 3 {
				of := func(name string) labels.Labels {
					b := labels.NewBuilder(set)
					b.Set("__name__", name)
					b.Set("pod", fmt.Sprint(pod))
					return b.Labels()
				}
				series(t, a, of("m"), 0, 2*time.Hour, waves(3*i+pod))
				if pod == 0 {
					series(t, a, of("n"), 0, 2*time.Hour, waves(20+i))
					series(t, a, of("h"), 0, 2*time.Hour, func(at time.Duration) any { return tsdbutil.GenerateTestHistogram(int64(at / minute)) })
				}
				series(t, a, of("mixed"), 0, 2*time.Hour, func(at time.Duration) any {
					if i == 1 && pod == 1 && at > time.Hour {
						return tsdbutil.GenerateTestHistogram(7)
					}
					return float64(i + pod)
				})
			}
		}
	})
	partition := []string{"cluster", "shard"}
	part := func(name, cluster, shard string) remote.RemoteEngine {
		set := labels.FromStrings("cluster", cluster, "shard", shard)
		return announcing(name, partition, kept(db, func(l labels.Labels) bool { return l.Get("cluster") == cluster && l.Get("shard") == shard }), covered(set, 0, forever))
	}
	leaves := []remote.RemoteEngine{part("x0", "x", "0"), part("x1", "x", "1")}
	if text {
		leaves = asText(leaves)
	}
	var announced []remote.Coverage
	for _, l := range leaves {
		announced = append(announced, l.Coverage()...)
	}
	mid := engine.NewRemoteEngine(engine.NewDistributed(baseOpts(), remote.StaticEndpoints(leaves)), nil, engine.RemoteOpts{
		Name: "mid", PartitionLabels: partition, Coverage: announced,
	})
	return db, []remote.RemoteEngine{mid, part("y", "y", "0")}
}

// A node that asks others lets them evaluate parts of the parts that it is asked for.
func TestNodesOverNodes(t *testing.T) {
	for _, leaves := range []string{"plans", "texts"} {
		t.Run(leaves, func(t *testing.T) {
			all, root := tree(t, leaves == "texts")
			s := spread{all, root}
			if leaves == "texts" {
				// Of texts no more is known of an annotation than its text.
				s.checkValues(t, midQueries...)
				s.engines = asText(root)
				s.checkValues(t, midQueries...)
				return
			}
			s.check(t, 40*minute, 90*minute, midQueries...)
			s.checkValues(t, midQueries...)
		})
	}
}

// A node over others that know more of what tells data apart than the root does.
func TestNodesThatKnowMorePartitionLabels(t *testing.T) {
	all, root := tree(t, false)
	for i, cluster := range []string{"x", "y"} {
		root[i] = announced{root[i], []string{"cluster"}, []remote.Coverage{covered(labels.FromStrings("cluster", cluster), 0, forever)}}
	}
	spread{all, root}.check(t, 40*minute, 90*minute, midQueries...)
	spread{all, root}.checkValues(t, midQueries...)
}

// announced is an engine that announces something else.
type announced struct {
	remote.RemoteEngine
	labels   []string
	coverage []remote.Coverage
}

func (a announced) Labels() []string            { return a.labels }
func (a announced) Coverage() []remote.Coverage { return a.coverage }
func (a announced) Querier(mint, maxt int64) (storage.Querier, error) {
	return a.RemoteEngine.(remote.Selector).Querier(mint, maxt)
}

// checkValues compares values alone, over roots without a storage of their own.
func (s spread) checkValues(t *testing.T, queries ...string) {
	t.Helper()
	o := baseOpts()
	d := engine.NewDistributed(o, remote.StaticEndpoints(s.engines))
	for _, query := range queries {
		for _, tm := range []times{{2400, 5400, 300}, at(5400)} {
			want, _ := execute(t, engine.New(o), s.all, nil, query, tm)
			got, _ := execute(t, d, nil, nil, query, tm)
			require.NoError(t, want.Err, query)
			require.NoError(t, got.Err, query)
			require.Equal(t, rounded(want.Value), rounded(got.Value), query)
		}
	}
}

// rounded are the series of a value with all samples to ten digits.
func rounded(v parser.Value) map[string]string {
	out := map[string]string{}
	add := func(l labels.Labels, t int64, f float64, h *histogram.FloatHistogram) {
		text := fmt.Sprintf(" %d:%.10g", t, f)
		if h != nil {
			text = fmt.Sprintf(" %d:%v", t, h)
		}
		out[l.String()] += text
	}
	switch v := v.(type) {
	case promql.Vector:
		for _, s := range v {
			add(s.Metric, s.T, s.F, s.H)
		}
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				add(s.Metric, p.T, p.F, nil)
			}
			for _, p := range s.Histograms {
				add(s.Metric, p.T, 0, p.H)
			}
		}
	}
	return out
}

// The node in the middle asks for results, and not for samples.
func TestNodesOverNodesSendResults(t *testing.T) {
	_, root := tree(t, false)
	q, err := engine.NewDistributed(baseOpts(), remote.StaticEndpoints(root)).NewInstantQuery(t.Context(), nil, nil, `sum by (pod) (rate(m[5m]))`, time.Unix(5400, 0))
	require.NoError(t, err)
	require.NoError(t, q.Exec(t.Context()).Err)
	analyzed := q.(engine.ExplainableQuery).Analyze().String()
	for _, leaf := range []string{"x0", "x1"} {
		require.Contains(t, analyzed, "remote "+leaf+": sum by (cluster, pod, shard) (rate(m[5m]))")
	}
}

// stepRecorder notes the steps that an engine is asked for.
type stepRecorder struct {
	remote.RemoteEngine
	mu    *sync.Mutex
	steps *[]logicalplan.StepRange
}

func (r stepRecorder) NewRangeQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	_, encoded := q.Plan()
	f, err := logicalplan.DecodeFragment(encoded)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	*r.steps = append(*r.steps, f.Steps)
	r.mu.Unlock()
	return r.RemoteEngine.NewRangeQuery(ctx, opts, q, start, end, interval)
}

// A node that is asked for some steps asks its own engines for no others.
func TestNodesOverNodesAskForSteps(t *testing.T) {
	all, _ := tree(t, false)
	partition, set := []string{"cluster"}, labels.FromStrings("cluster", "x")
	x := kept(all, func(l labels.Labels) bool { return l.Get("cluster") == "x" })
	var mu sync.Mutex
	var mid, leaf []logicalplan.StepRange
	leaves := remote.StaticEndpoints{stepRecorder{announcing("leaf", partition, x, covered(set, 0, forever)), &mu, &leaf}}
	older := engine.NewRemoteEngine(engine.NewDistributed(baseOpts(), leaves), nil, engine.RemoteOpts{
		Name: "older", PartitionLabels: partition, Coverage: []remote.Coverage{covered(set, 0, time.Hour)},
	})
	newer := announcing("newer", partition, between(x, 40*minute, 2*time.Hour), covered(set, 40*minute, 2*time.Hour))
	s := spread{x, []remote.RemoteEngine{stepRecorder{older, &mu, &mid}, newer}}
	s.checkValues(t, `sum(rate(m[5m]))`)
	require.NotEmpty(t, mid)
	require.Equal(t, mid, leaf)
	require.Less(t, mid[0].To-mid[0].From, 11)
}

// Queries that share a limit with others wait for it, are cut into ranges, or fail with an error that says so, whenever the answers of
// other engines come in.
func TestLimiterOfDistributedQueries(t *testing.T) {
	o := baseOpts()
	a, b, all := twoClusters(t, o)
	const query = `quantile by (pod) (0.5, reqs_total) + on (pod) sum by (pod) (reqs_total)`
	want := rounded(answer(t, engine.New(o), all, query, hour))
	for limit := int64(6000); limit < 40000; limit += 4000 {
		o.Limiter = engine.NewLimiter(limit)
		e := engine.NewDistributed(o, remote.StaticEndpoints{a, b})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					q, err := newQuery(t.Context(), e, nil, nil, query, hour)
					if !assert.NoError(t, err) {
						return
					}
					if res := q.Exec(t.Context()); res.Err != nil {
						var short *engine.LimitError
						assert.ErrorAs(t, res.Err, &short)
					} else {
						assert.Equal(t, want, rounded(res.Value))
					}
					q.Close()
				}
			})
		}
		wg.Wait()
		used, waiting := o.Limiter.Used()
		require.Zero(t, used)
		require.Zero(t, waiting)
	}
}

// A range that finds no memory is run again: what an engine that was lost may have had is still said to be missing.
func TestLostEngineInRanges(t *testing.T) {
	o := baseOpts()
	a, b, _ := twoClusters(t, o)
	lost := &faulty{RemoteEngine: b, newErr: errors.New("no place")}
	halved := false
	for budget := int64(3000); budget < 12000; budget += 250 {
		o.MemoryBudget = budget
		e := engine.NewDistributed(o, remote.StaticEndpoints{a, lost})
		q, err := newQuery(t.Context(), e, nil, engine.WithPartialResponse(nil, true), `quantile(0.5, reqs_total) + on () count(reqs_total)`, hour)
		require.NoError(t, err)
		res := q.Exec(t.Context())
		if res.Err == nil {
			warnings, _ := texts(res, "")
			require.NotEmpty(t, warnings, "%d", budget)
			require.Contains(t, warnings[0], "remote engine b failed")
			halved = halved || strings.Contains(q.(engine.ExplainableQuery).Analyze().String(), "did not fit")
		}
		q.Close()
	}
	require.True(t, halved, "some budget makes ranges run again")
}

// A budget that is too small is what the error says, however often a range is tried.
func TestDistributedBudgetErrors(t *testing.T) {
	o := baseOpts()
	a, b, _ := twoClusters(t, o)
	for budget := int64(500); budget < 8000; budget += 250 {
		o.MemoryBudget = budget
		res, _ := execute(t, engine.NewDistributed(o, remote.StaticEndpoints{a, b}), nil, nil, `reqs_total - on (pod, cluster) quantile by (pod, cluster) (0.5, reqs_total)`, hour)
		if res.Err != nil {
			require.ErrorContains(t, res.Err, "query needs more memory than its budget")
		}
	}
}

// Step ranges do not show in answers, also of parts that are the same at all steps.
func TestDistributedInStepRanges(t *testing.T) {
	o := baseOpts()
	a, b, all := twoClusters(t, o)
	for _, steps := range []int{1, 7, 10, 1000} {
		o.BatchSteps = steps
		e := engine.NewDistributed(o, remote.StaticEndpoints{a, b})
		for _, query := range []string{
			`sum(reqs_total @ 1000)`, `reqs_total @ 1000`, `max_over_time(reqs_total[5m:1m] @ 1000)`, `reqs_total - on (pod, cluster) reqs_total @ 1000`,
			`sum(reqs_total)`, `max_over_time(sum(reqs_total)[5m:1m])`, `avg(rate(reqs_total[5m]))`,
		} {
			want, got := answer(t, engine.New(o), all, query, hour), answer(t, e, nil, query, hour)
			require.Equal(t, rounded(want), rounded(got), query)
		}
	}
}

// Of a query that is planned again nothing is left in the limiter.
func TestLimiterAfterReplan(t *testing.T) {
	o := baseOpts()
	o.Limiter = engine.NewLimiter(1 << 30)
	db := memory(t, func(a storage.Appender) {
		series(t, a, pod(0, "x"), 0, time.Hour, rising)
		series(t, a, pod(0, "y"), 0, time.Hour, func(time.Duration) any { return tsdbutil.GenerateTestHistogram(7) })
		series(t, a, pod(1, "y"), 0, time.Hour, rising)
	})
	// Only the root sees that floats and histograms meet in a group, when it has the result of another one.
	q, err := newQuery(t.Context(), engine.NewDistributed(o, remote.StaticEndpoints(byCluster(db, "x", "y"))), nil, nil, `avg by (pod) (m)`, times{600, 3000, 300})
	require.NoError(t, err)
	res := q.Exec(t.Context())
	require.NoError(t, res.Err)
	warnings, _ := texts(res, "")
	require.NotEmpty(t, warnings)
	q.Close()
	used, _ := o.Limiter.Used()
	require.Zero(t, used)
}

// failingStorage fails when it is opened, or when something is selected.
type failingStorage struct{ open, selects error }

func (f failingStorage) Querier(int64, int64) (storage.Querier, error) {
	return failingQuerier{storage.NoopQuerier(), f.selects}, f.open
}

type failingQuerier struct {
	storage.Querier
	err error
}

func (q failingQuerier) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return storage.ErrSeriesSet(q.err)
}

// reading is an engine whose samples come from another storage.
type reading struct {
	remote.RemoteEngine
	storage.Queryable
}

// The samples of engines are not opened before a query reads them; what goes wrong then names the engine, and is a warning where a
// partial response is wanted.
func TestSamplesOfEngines(t *testing.T) {
	o := baseOpts()
	a, b, _ := twoClusters(t, o)
	boom := errors.New("boom")
	for name, st := range map[string]storage.Queryable{"open": failingStorage{open: boom}, "select": failingStorage{selects: boom}} {
		t.Run(name, func(t *testing.T) {
			e := engine.NewDistributed(o, remote.StaticEndpoints{a, reading{b, st}})
			answer(t, e, nil, `sum(reqs_total)`, hour)
			res, _ := execute(t, e, nil, nil, `reqs_total[5m]`, at(600)) // no engine gives that
			require.ErrorContains(t, res.Err, "remote engine b: boom")
			res, _ = execute(t, e, nil, engine.WithPartialResponse(nil, true), `reqs_total[5m]`, at(600))
			require.NoError(t, res.Err)
			require.Len(t, res.Value, 2, "the other engine's series")
			warnings, _ := texts(res, "")
			require.NotEmpty(t, warnings)
			require.Contains(t, strings.Join(warnings, " "), "remote engine b failed")
			require.Contains(t, strings.Join(warnings, " "), `{cluster="b"} may be missing: boom`)
		})
	}
}

// Errors that the query has anywhere are its own, with a partial response, too; those of an engine name it, and may be warnings.
func TestWhoseErrors(t *testing.T) {
	o := baseOpts()
	a, _, all := twoClusters(t, o)
	db := kept(all, func(l labels.Labels) bool { return l.Get("cluster") == "b" })
	over := func(o engine.Opts, q storage.Queryable) remote.RemoteEngine {
		return engine.NewRemoteEngine(engine.New(o), q, engine.RemoteOpts{Name: "b", PartitionLabels: []string{"cluster"}, Coverage: []remote.Coverage{covered(labels.FromStrings("cluster", "b"), 0, forever)}})
	}
	for _, wire := range []string{"plans", "texts"} {
		t.Run(wire, func(t *testing.T) {
			root := func(b remote.RemoteEngine) *engine.Engine {
				engines := []remote.RemoteEngine{a, b}
				if wire == "texts" {
					engines = asText(engines)
				}
				return engine.NewDistributed(o, remote.StaticEndpoints(engines))
			}
			for _, query := range []string{
				`reqs_total * ignoring (pod) reqs_total`,
				`reqs_total * on (cluster) reqs_total`,
				`label_replace(reqs_total, "pod", "x", "", "")`,
				`label_replace(reqs_total, "x", "$1", "pod", "(")`,
				`label_join(reqs_total, "\xff", "")`,
				`topk by (cluster) (NaN, reqs_total)`,
				`count_values by (cluster) ("\xff", reqs_total)`,
			} {
				want, _ := execute(t, engine.New(o), all, nil, query, hour)
				require.Error(t, want.Err, query)
				for _, partial := range []bool{false, true} {
					res, _ := execute(t, root(over(o, db)), nil, engine.WithPartialResponse(nil, partial), query, hour)
					require.Error(t, res.Err, query)
					require.Equal(t, shortened(want.Err), shortened(res.Err), query)
				}
			}
			limited, budget := o, o
			limited.MaxSamples, budget.MemoryBudget = 3, 50
			for text, b := range map[string]remote.RemoteEngine{
				"expanding series: no disk": over(o, failingStorage{selects: errors.New("no disk")}),
				"query processing would load too many samples into memory in query execution": over(limited, db),
				"query needs more memory than its budget of 50 bytes":                         over(budget, db),
				"disk on fire": over(o, panicking{}),
			} {
				res, _ := execute(t, root(b), nil, nil, `quantile by (cluster) (0.5, reqs_total)`, hour)
				require.ErrorContains(t, res.Err, "remote engine b: ", text)
				require.ErrorContains(t, res.Err, text)
				res, _ = execute(t, root(b), nil, engine.WithPartialResponse(nil, true), `quantile by (cluster) (0.5, reqs_total)`, hour)
				require.NoError(t, res.Err)
				warnings, _ := texts(res, "")
				require.Len(t, warnings, 1)
				require.Contains(t, warnings[0], "remote engine b failed")
			}
		})
	}

	// The limits of the query are those of the root.
	limited := o
	limited.MaxSamples = 3
	for _, partial := range []bool{false, true} {
		res, _ := execute(t, engine.NewDistributed(limited, remote.StaticEndpoints{a, over(o, db)}), nil, engine.WithPartialResponse(nil, partial), `reqs_total`, hour)
		require.Equal(t, promql.ErrTooManySamples("query execution"), res.Err)
	}
}

// shortened is the part of an error that does not say which series it was.
func shortened(err error) string {
	text, _, _ := strings.Cut(err.Error(), " on the ")
	text, _, _ = strings.Cut(text, "{")
	return text
}

type panicking struct{}

func (panicking) Querier(int64, int64) (storage.Querier, error) {
	return panickingQuerier{storage.NoopQuerier()}, nil
}

type panickingQuerier struct{ storage.Querier }

func (panickingQuerier) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	panic("disk on fire")
}

// What engines read counts for the limits on the cost of a query, and in its statistics.
func TestDistributedQueryCost(t *testing.T) {
	o := baseOpts()
	o.EnableQueryCost = true
	a, b, all := twoClusters(t, o)
	local, d := engine.New(o), engine.NewDistributed(o, remote.StaticEndpoints{a, b})
	_, want := execute(t, local, all, nil, `sum(rate(reqs_total[5m]))`, hour)
	_, got := execute(t, d, nil, nil, `sum(rate(reqs_total[5m]))`, hour)
	require.Equal(t, want.SamplesRead, got.SamplesRead)
	require.Equal(t, want.TotalSeries, got.TotalSeries)
	require.NotZero(t, got.TotalSeries)

	d.SetQueryLimits(uint64(want.TotalSeries)-1, 0, 0)
	res, _ := execute(t, d, nil, nil, `sum(rate(reqs_total[5m]))`, hour)
	require.Equal(t, promql.ErrTooManySeries("query execution"), res.Err)
	d.SetQueryLimits(0, uint64(want.SamplesRead)-1, 0)
	res, _ = execute(t, d, nil, nil, `sum(rate(reqs_total[5m]))`, hour)
	require.Equal(t, promql.ErrTooManySamplesRead("query execution"), res.Err)
	d.SetQueryLimits(uint64(want.TotalSeries), uint64(want.SamplesRead), 0)
	res, _ = execute(t, d, nil, nil, `sum(rate(reqs_total[5m]))`, hour)
	require.NoError(t, res.Err)
}

// A query that cannot be streamed is closed.
func TestRefusedStreamIsClosed(t *testing.T) {
	a, b, _ := twoClusters(t, baseOpts())
	var closed atomic.Int32
	e := engine.NewDistributed(baseOpts(), remote.StaticEndpoints{a, refusing{b, &closed}})
	res, _ := execute(t, e, nil, nil, `sum(reqs_total)`, hour)
	require.EqualError(t, res.Err, "remote engine b: refused")
	require.EqualValues(t, 1, closed.Load())
}

type refusing struct {
	remote.RemoteEngine
	closed *atomic.Int32
}

func (r refusing) NewRangeQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time, time.Time, time.Duration) (promql.Query, error) {
	return refusedQuery{closed: r.closed}, nil
}

type refusedQuery struct {
	promql.Query
	closed *atomic.Int32
}

func (refusedQuery) Stream(context.Context) (remote.ColumnStream, error) {
	return nil, errors.New("refused")
}
func (q refusedQuery) Close() { q.closed.Add(1) }

// An engine that fails ends the query, though another one hangs.
func TestFailureIsNoticedAtOnce(t *testing.T) {
	a, b, _ := twoClusters(t, baseOpts())
	var closed atomic.Int32
	hangs := &faulty{RemoteEngine: a, stream: func(context.Context) (remote.ColumnStream, error) {
		return funcStream{func(ctx context.Context) (*remote.Columns, error) { <-ctx.Done(); return nil, ctx.Err() }, &closed}, nil
	}}
	e := engine.NewDistributed(baseOpts(), remote.StaticEndpoints{hangs, &faulty{RemoteEngine: b, newErr: errors.New("no place")}})
	res, _ := execute(t, e, nil, nil, `sum(reqs_total)`, hour)
	require.EqualError(t, res.Err, "remote engine b: no place")
}

// needing notes which times parts say that they need.
type needing struct {
	remote.RemoteEngine
	needs *remote.Intervals
}

func (n needing) NewInstantQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, ts time.Time) (promql.Query, error) {
	*n.needs = q.(remote.Needer).Needs()
	return n.RemoteEngine.NewInstantQuery(ctx, opts, q, ts)
}

// Who picks one of several engines for a part is told which times it needs, which are not those of the steps.
func TestPartsSayWhatTheyNeed(t *testing.T) {
	st := promqltest.LoadedStorage(t, "load 1m\n  x{cluster=\"a\"} 1x100\n")
	defer st.Close()
	var got remote.Intervals
	e := needing{engine.NewRemoteEngine(engine.New(engine.Opts{}), st, engine.RemoteOpts{
		Name: "a", PartitionLabels: []string{"cluster"},
		Coverage: []remote.Coverage{{Labels: labels.FromStrings("cluster", "a"), Intervals: remote.Intervals{remote.Always}}},
	}), &got}
	q, err := engine.NewDistributed(engine.Opts{EngineOpts: promql.EngineOpts{EnableNegativeOffset: true, MaxSamples: 1e6}}, remote.StaticEndpoints{e}).
		NewInstantQuery(t.Context(), nil, nil, "sum(rate(x[10m] offset -20m))", time.Unix(3600, 0))
	require.NoError(t, err)
	defer q.Close()
	require.NoError(t, q.Exec(t.Context()).Err)
	require.Equal(t, remote.Intervals{{Start: 4_200_001, End: 4_800_000}}, got)
}
