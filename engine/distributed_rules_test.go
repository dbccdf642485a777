package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
	"github.com/stride-promql/stride/internal/difftest/smith"
	"github.com/stride-promql/stride/remote"
)

// kept are the series of a storage that keep wants.
func kept(q storage.Queryable, keep func(labels.Labels) bool) storage.Queryable {
	const other = "\xff"
	return &view{Queryable: q, name: "cluster", keep: func(value string) bool { return value != other }, label: func(l labels.Labels) string {
		if keep(l) {
			return l.Get("cluster")
		}
		return other
	}}
}

// announcing is an engine over a storage with the given partition labels and coverage.
func announcing(name string, partition []string, q storage.Queryable, coverage ...remote.Coverage) remote.RemoteEngine {
	return engine.NewRemoteEngine(engine.New(baseOpts()), q, engine.RemoteOpts{Name: name, PartitionLabels: partition, Coverage: coverage})
}

func covered(set labels.Labels, from, to time.Duration) remote.Coverage {
	i := remote.Interval{Start: from.Milliseconds(), End: to.Milliseconds()}
	if to == forever {
		i.End = math.MaxInt64
	}
	return remote.Coverage{Labels: set, Intervals: remote.Intervals{i}}
}

// asText are engines that evaluate text.
func asText(engines []remote.RemoteEngine) []remote.RemoteEngine {
	var out []remote.RemoteEngine
	for _, e := range engines {
		out = append(out, textEngine{e})
	}
	return out
}

// checkBoth compares over engines that take plans and over the same ones as they evaluate text, of which no more is demanded than they can give.
func (s spread) checkBoth(t *testing.T, from, to time.Duration, queries ...string) {
	t.Helper()
	s.check(t, from, to, queries...)
	o := baseOpts()
	reference, d := prometheusEngine(t, o), engine.NewDistributed(o, remote.StaticEndpoints(asText(s.engines)))
	for _, query := range queries {
		expr, err := difftest.Parser().ParseExpr(query)
		require.NoError(t, err)
		for _, at := range []difftest.Times{
			{Start: from.Milliseconds(), End: to.Milliseconds(), Step: 300_000},
			{Instant: true, Start: to.Milliseconds(), End: to.Milliseconds()},
			{Instant: true, Start: to.Milliseconds() - 250, End: to.Milliseconds() - 250},
		} {
			c := difftest.Case{Query: query, Times: at}
			want, got := c.Run(t.Context(), reference, s.all), c.Run(t.Context(), d, s.all)
			cmp := difftest.NewComparer(expr, at, 1e-12, false)
			cmp.Tolerance = 1e-12
			diff := cmp.Compare(want, got)
			m := &difftest.Mismatch{Case: c, Expr: expr, Runs: []*difftest.Outcome{want}, Got: got, Diff: diff}
			if diff != nil && !slices.ContainsFunc(textExplanations(), func(x difftest.Explanation) bool { return x.Matches(m) }) {
				require.Nil(t, diff, "%s, %s, of text", query, at)
			}
			want.Close()
			got.Close()
		}
	}
}

// waves are values by which averages, quantiles and orders tell series apart: no two series have the same at any time.
func waves(k int) func(time.Duration) any {
	return func(at time.Duration) any { return float64(k*k) + float64((int(at/minute)*(7+k))%23) + float64(k)/1024 }
}

// What each selector needs is worked out by itself: offsets of selectors and subqueries, ranges side by side, times within times, `@`.
func TestTimesThatSelectorsNeed(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		for n := range 3 {
			series(t, a, pod(n, "a"), 0, 12*time.Hour, waves(n))
		}
	})
	set := labels.FromStrings("cluster", "a")
	part := func(name string, from, to time.Duration) remote.RemoteEngine {
		return holder(name, between(all, from, to), set, from, to)
	}
	queries := []string{
		`sum_over_time(m[1h:10m] offset 3h)`, `max_over_time(m[20m:1m] offset 30m)`, `sum by (pod) (sum_over_time(m[30m:5m] offset 90m))`,
		`m offset -2h`, `sum(rate(m[10m] offset -3h))`, `max_over_time(m[1h:5m] offset -90m)`,
		`rate(m[1h]) + rate(m[1h])`, `sum by (pod) (m offset 2h or m)`, `sum(m offset 2h or ignoring (x) m offset -1h)`, `m + m offset 2h`, `m offset 2h + m`,
		`sum(m @ 9000)`, `rate(m[1h] @ 30000)`, `max_over_time(m[1h:10m] @ 20000) + m`, `sum_over_time(m[5h])`, `sum(max_over_time(rate(m[10m])[2h:7m] offset 1h))`,
		`predict_linear(m[1h:10m], time() / 100)`, `quantile_over_time(time() / 40000, m[30m:5m] offset 1h)`, `predict_linear(sum(m)[1h:5m], time() / 100)`,
	}
	for name, engines := range map[string][]remote.RemoteEngine{
		"one behind the other": {part("a", 0, 6*time.Hour), part("b", 4*time.Hour, forever)},
		"times within times":   {part("a", 0, 12*time.Hour), part("b", time.Hour, 2*time.Hour), part("c", 3*time.Hour, 12*time.Hour)},
		"late data":            {part("a", 0, 9*time.Hour), part("b", 9*time.Hour+time.Millisecond, forever)},
	} {
		t.Run(name, func(t *testing.T) { spread{all, engines}.checkBoth(t, 5*time.Hour, 8*time.Hour, queries...) })
	}
}

// A store and a receiver behind one engine: all that it covers counts, next to a young cluster, and a gap hides nothing but itself.
func TestStoreAndReceiverInOneEngine(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		series(t, a, pod(1, "a"), 0, 12*time.Hour, waves(1))
		series(t, a, pod(2, "a"), 5*time.Hour, 12*time.Hour, waves(2))
		series(t, a, pod(1, "b"), 9*time.Hour, 12*time.Hour, waves(3))
	})
	only := func(cluster string) storage.Queryable {
		return kept(all, func(l labels.Labels) bool { return l.Get("cluster") == cluster })
	}
	a, b := labels.FromStrings("cluster", "a"), labels.FromStrings("cluster", "b")
	young := announcing("b", []string{"cluster"}, only("b"), covered(b, 9*time.Hour, forever))
	t.Run("overlapping", func(t *testing.T) {
		spread{all, []remote.RemoteEngine{
			announcing("a", []string{"cluster"}, only("a"), covered(a, 0, 6*time.Hour), covered(a, 5*time.Hour, forever)), young,
		}}.checkBoth(t, time.Hour, 12*time.Hour, spreadQueries...)
	})
	t.Run("with a gap", func(t *testing.T) {
		holed := &view{Queryable: all, intervals: remote.Union(
			remote.Interval{End: (2 * time.Hour).Milliseconds()}, remote.Interval{Start: (7 * time.Hour).Milliseconds(), End: math.MaxInt64})}
		spread{holed, []remote.RemoteEngine{
			announcing("a", []string{"cluster"}, kept(holed, func(l labels.Labels) bool { return l.Get("cluster") == "a" }), covered(a, 0, 2*time.Hour), covered(a, 7*time.Hour, forever)), young,
		}}.checkBoth(t, time.Hour, 12*time.Hour, spreadQueries...)
	})
}

// Data that has grown since it was announced counts, next to data of others and to copies of itself that say that they have more, or have none yet.
func TestDataGrowsBehindItsAnnouncedEnd(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		for n, cluster := range []string{"a", "b"} {
			series(t, a, pod(n, cluster), 0, 2*time.Hour, waves(n+1))
		}
	})
	growing := func(cluster string, end, announced time.Duration) remote.RemoteEngine {
		c := covered(labels.FromStrings("cluster", cluster), 0, announced)
		c.Grows = true
		of := kept(between(all, 0, end), func(l labels.Labels) bool { return l.Get("cluster") == cluster })
		return announcing(fmt.Sprint(cluster, announced), []string{"cluster"}, of, c)
	}
	const now = 2 * time.Hour
	b := growing("b", now, now)
	for name, engines := range map[string][]remote.RemoteEngine{
		"alone":            {growing("a", now, now-3*minute), b},
		"copy with more":   {growing("a", now-3*minute, now-3*minute), growing("a", now, now), b},
		"copy that grew":   {growing("a", now-3*minute, now-3*minute), growing("a", now, now-2*minute), b},
		"nobody announced": {growing("a", now, now-4*minute), growing("b", now, now-3*minute)},
	} {
		t.Run(name, func(t *testing.T) {
			spread{all, engines}.checkBoth(t, now-10*minute, now, `m`, `sum(last_over_time(m[100s]))`, `sum(rate(m[150s]))`, `count(m) + sum(max_over_time(m[1m]))`)
		})
	}
}

// confusableQueries are asked of data sets that labels do not tell apart.
var confusableQueries = []string{
	`rec`, `m`, `sum(rec)`, `sum by (cluster) (rec)`, `sum by (cluster) ({__name__=~"m|rec"})`, `count without (pod) (rec)`, `avg by (cluster) ({__name__=~"m|rec"})`,
	`avg without (pod) (rec)`, `stddev by (cluster) ({__name__=~"m|rec"})`, `min by (cluster) ({__name__=~"m|rec"})`, `max(rec)`, `group by (cluster) (rec)`,
	`topk by (cluster) (2, {__name__=~"m|rec"})`, `bottomk(2, rec)`, `quantile by (cluster) (0.3, {__name__=~"m|rec"})`, `count_values by (cluster) ("v", floor(rec / 9))`,
	`rec - ignoring (pod) group_left sum by (cluster) (m)`, `sum by (cluster) (m) / sum by (cluster) (rec)`, `m + on (cluster, pod) rec`, `rec and on (cluster) m`,
	`sum by (cluster, ruler) ({__name__=~"m|rec"})`, `avg by (cluster, ruler) ({__name__=~"m|rec"})`, `count by (cluster, ruler) ({__name__=~"m|rec"})`, `m + on (cluster, ruler) group_left sum by (cluster, ruler) (rec)`,
	`absent(rec)`, `absent(rec{cluster="a"})`, `absent_over_time(rec{pod="7"}[5m])`, `sum_over_time(rec[20m])`, `max(max_over_time(sum by (cluster) (rec)[30m:5m]))`, `rec{cluster="a"}`, `sum(rec{cluster=""})`,
}

// An engine whose data lacks a partition label has series with any value of it, as one that federates others' has, or rules over their data: with a
// label of its own, or with none.
func TestPartitionLabelMissingInOneEngine(t *testing.T) {
	t.Run("no label", func(t *testing.T) { testPartitionLabelMissing(t, []string{"cluster"}, labels.EmptyLabels()) })
	t.Run("another label", func(t *testing.T) {
		testPartitionLabelMissing(t, []string{"cluster", "ruler"}, labels.FromStrings("ruler", "r"))
	})
}

func testPartitionLabelMissing(t *testing.T, p []string, own labels.Labels) {
	isRule := func(l labels.Labels) bool { return l.Get("__name__") == "rec" || l.Get("pod") == "copied" }
	all := memory(t, func(a storage.Appender) {
		for n := range 4 {
			series(t, a, pod(n, "a"), 0, 8*time.Hour, waves(n))
			series(t, a, pod(n, "b"), 0, 8*time.Hour, waves(n+20))
		}
		rule := func(set ...string) labels.Labels {
			b := labels.NewBuilder(labels.FromStrings(set...))
			own.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
			return b.Labels()
		}
		for n, cluster := range []string{"a", "b", "c", ""} {
			series(t, a, rule("__name__", "rec", "cluster", cluster, "pod", fmt.Sprint(n)), 0, 8*time.Hour, waves(n+10))
		}
		series(t, a, rule("__name__", "rec", "cluster", "a", "pod", "5"), 0, 5*time.Hour+3*minute, waves(5))
		series(t, a, labels.FromStrings("__name__", "m", "cluster", "b", "pod", "9"), 5*time.Hour, 8*time.Hour, waves(25))
		series(t, a, rule("__name__", "m", "cluster", "b", "pod", "copied"), 0, 8*time.Hour, waves(26))
		// The label of the rules, as one of the series' own.
		series(t, a, labels.FromStrings("__name__", "m", "cluster", "b", "ruler", "r", "pod", "8"), 0, 8*time.Hour, waves(27))
	})
	// Who has a label of its own has no series that others have, too.
	copies := own.IsEmpty()
	leafData := func(cluster string) storage.Queryable {
		return kept(all, func(l labels.Labels) bool {
			return l.Get("cluster") == cluster && l.Get("__name__") == "m" && (copies || l.Get("pod") != "copied")
		})
	}
	rules := kept(all, isRule)
	ofNode := kept(all, func(l labels.Labels) bool { return l.Get("cluster") == "a" || isRule(l) })
	a, b := labels.FromStrings("cluster", "a"), labels.FromStrings("cluster", "b")
	leafA, leafB := announcing("leaf-a", p, leafData("a"), covered(a, 0, forever)), announcing("leaf-b", p, leafData("b"), covered(b, 0, forever))
	for name, engines := range map[string][]remote.RemoteEngine{
		"one":           {leafA, leafB, announcing("ruler", p, rules, covered(own, 0, forever))},
		"sorted before": {leafA, leafB, announcing("a-ruler", p, rules, covered(own, 0, forever))},
		"two by time": {
			leafA, leafB,
			announcing("ruler-1", p, between(rules, 0, 6*time.Hour), covered(own, 0, 6*time.Hour)),
			announcing("ruler-2", p, between(rules, 4*time.Hour, forever), covered(own, 4*time.Hour, forever)),
		},
		"apart by time": {
			leafA, leafB,
			announcing("ruler-1", p, between(rules, 0, 5*time.Hour), covered(own, 0, 5*time.Hour)),
			announcing("ruler-2", p, between(rules, 5*time.Hour+time.Millisecond, forever), covered(own, 5*time.Hour+time.Millisecond, forever)),
		},
		"in one with a leaf": {announcing("node", p, ofNode, covered(a, 0, forever), covered(own, 0, forever)), leafB},
		"entangled": {
			announcing("node", p, ofNode, covered(a, 0, forever), covered(own, 0, forever)),
			announcing("more", p, between(leafData("a"), 5*time.Hour, forever), covered(a, 5*time.Hour, forever)),
			leafB,
		},
	} {
		t.Run(name, func(t *testing.T) { spread{all, engines}.checkBoth(t, 4*time.Hour, 7*time.Hour, confusableQueries...) })
	}
}

// unlabelledEngine is a distributed engine over the storage of each query, cut by a label and by time. Of some series nobody announces the
// label, though they have it: other engines, or some of the same ones, have these.
type unlabelledEngine struct{ *cutEngine }

func (e unlabelledEngine) prepare(q storage.Queryable, query string, start, end time.Time) (*engine.Engine, storage.Queryable) {
	c := e.cutFor(query, start.UnixMilli(), end.UnixMilli())
	announced := func(l labels.Labels) bool { return l.Hash()%5 > 1 }
	engines := c.engines(kept(q, announced), e.leaf)
	rest := kept(q, func(l labels.Labels) bool { return !announced(l) })
	rng := rand.New(rand.NewSource(c.seed))
	for i, intervals := range c.intervals(rng) {
		v := &view{Queryable: rest, name: c.label, label: c.part, keep: func(string) bool { return true }, intervals: intervals}
		if intervals == nil {
			intervals = remote.Intervals{remote.Always}
		}
		o := engine.RemoteOpts{Name: fmt.Sprint("unlabelled-", i), PartitionLabels: []string{c.label}, Coverage: []remote.Coverage{{Intervals: intervals}}}
		if at := rng.Intn(2 * len(engines)); at < len(engines) {
			with := engines[at]
			o.Name, o.Coverage = with.Name(), slices.Concat(with.Coverage(), o.Coverage)
			engines[at] = engine.NewRemoteEngine(e.leaf, pair{with.(remote.Selector), v}, o)
			continue
		}
		engines = append(engines, engine.NewRemoteEngine(e.leaf, v, o))
	}
	return engine.NewDistributed(e.opts, remote.StaticEndpoints(engines)), c.whole(q)
}

// pair are two storages as one.
type pair [2]storage.Queryable

func (p pair) Querier(mint, maxt int64) (storage.Querier, error) {
	var queriers []storage.Querier
	for _, s := range p {
		q, err := s.Querier(mint, maxt)
		if err != nil {
			return nil, err
		}
		queriers = append(queriers, q)
	}
	return storage.NewMergeQuerier(queriers, nil, storage.ChainedSeriesMerge), nil
}

func (e unlabelledEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	d, whole := e.prepare(q, qs, ts, ts)
	return d.NewInstantQuery(ctx, whole, opts, qs, ts)
}

func (e unlabelledEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	d, whole := e.prepare(q, qs, start, end)
	return d.NewRangeQuery(ctx, whole, opts, qs, start, end, interval)
}

// TestUnlabelledDifferential compares generated queries over data sets that labels do not tell apart.
func TestUnlabelledDifferential(t *testing.T) {
	queries := *differentialQueries
	if testing.Short() {
		queries = min(queries, 500)
	}
	metadata := difftest.Explanation{
		Reason: "series of one name that differ in metadata labels become one, which only shows where data sets are told apart",
		Matches: func(m *difftest.Mismatch) bool {
			return m.Diff.Part == difftest.PartError && m.Got.Err == nil && m.Case.Dataset.Name == "metadata" && strings.HasSuffix(m.Runs[0].Err.Error(), "same labelset")
		},
	}
	report := difftest.Run(t, difftest.Config{
		Seed:    *differentialSeed,
		First:   *differentialFirst,
		Queries: queries,
		Candidate: func(o promql.EngineOpts) promql.QueryEngine {
			return unlabelledEngine{newCutEngine(engine.Opts{EngineOpts: o, Workers: 2, PoisonBatches: true}, cutByBoth)}
		},
		Reference:     func(o promql.EngineOpts) promql.QueryEngine { return wholeEngine{difftest.Prometheus(o), cutByBoth} },
		Generators:    []difftest.Generator{difftest.Grammar(3), difftest.Grammar(4), smith.Generator(3)},
		Inexact:       true,
		Explained:     append(difftest.Explanations(), append(distributedExplanations(), metadata)...),
		MaxMismatches: *differentialMax,
	})
	t.Log(report)
}

// With several partition labels, matching has to keep all of them; where a label that says where series come from is written or copied, the
// root does it.
func TestSeveralPartitionLabels(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		k := 0
		for _, region := range []string{"x", "y"} {
			for _, cluster := range []string{"a", "b"} {
				for n := range 3 {
					k++
					l := labels.FromStrings("__name__", "m", "region", region, "cluster", cluster, "pod", fmt.Sprint(n))
					series(t, a, l, 0, 2*time.Hour, waves(k))
				}
				k++
				series(t, a, labels.FromStrings("__name__", "limits", "region", region, "cluster", cluster, "tier", fmt.Sprint(k)), 0, 2*time.Hour, waves(k))
			}
		}
	})
	p := []string{"region", "cluster"}
	var engines []remote.RemoteEngine
	for _, region := range []string{"x", "y"} {
		for _, cluster := range []string{"a", "b"} {
			q := kept(all, func(l labels.Labels) bool { return l.Get("region") == region && l.Get("cluster") == cluster })
			engines = append(engines, announcing(region+cluster, p, q, covered(labels.FromStrings("region", region, "cluster", cluster), 0, forever)))
		}
	}
	spread{all, engines}.checkBoth(t, time.Hour, 90*minute,
		`m / on (region, cluster) group_left (tier) limits`, `m / on (cluster) group_left sum by (cluster) (limits)`, `sum by (pod) (m) - on (pod) m{region="x",cluster="a"}`,
		`m{region="x"} - on (cluster, pod) m{region="y"}`, `m{region="x"} - ignoring (region) m{region="y"}`, `m{region="x"} and on (cluster) limits{region="y"}`, `m unless on (region, pod) m{cluster="a"}`,
		`sum by (pod) (m) * on () group_left (region, cluster) limits{region="x",cluster="a"}`, `max by (pod, region) (m) * on (region) group_right (pod) limits{cluster="a"}`,
		`m{cluster="a"} * on (region, pod) group_left (cluster) m{cluster="b"}`, `m{cluster="a"} * ignoring (cluster) group_left (cluster) m{cluster="b"}`,
		`sum by (cluster) (m)`, `avg by (region) (m)`, `sum without (region) (m)`, `quantile by (region, cluster) (0.5, m)`, `topk by (region) (2, m)`, `count by (region, cluster) (m)`,
		`label_replace(m{region="x"}, "region", "z", "", "")`, `label_replace(m, "from", "$1", "region", "(.*)")`, `sum by (region) (label_replace(m, "region", "$1", "cluster", "(.*)"))`,
		`label_join(m, "cluster", "-", "cluster", "region")`, `sum by (cluster) (label_join(m, "cluster", "-", "pod"))`, `label_replace(m, "cluster", "one", "", "")`,
		`absent(m{pod="7"})`, `limit_ratio(0.5, m)`,
	)
}

// Parameters that select something are not those of a partition; aggregations that cannot be split are made of all values; a constant is
// there once.
func TestParametersAndConstants(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		for n := range 5 {
			series(t, a, pod(n, "a"), 0, 2*time.Hour, waves(n))
			series(t, a, pod(n, "b"), 0, 2*time.Hour, waves(n+10))
		}
		series(t, a, labels.FromStrings("__name__", "k", "cluster", "a"), 0, 2*time.Hour, func(at time.Duration) any { return float64(int(at/minute) % 4) })
		series(t, a, labels.FromStrings("__name__", "q", "cluster", "b"), 0, 2*time.Hour, func(at time.Duration) any { return float64(int(at/minute)%10) / 10 })
	})
	spread{all, byCluster(all, "a", "b")}.checkBoth(t, time.Hour, 2*time.Hour,
		`topk(scalar(k), m)`, `topk(scalar(k{cluster="b"}), m)`, `quantile(scalar(q), m)`, `count(limitk(scalar(k) + 1, m))`, `clamp_max(m, scalar(sum(k)) * 5)`, `m * scalar(k)`,
		`quantile_over_time(scalar(q), m[5m])`, `sum(quantile_over_time(scalar(q), m[5m]))`, `predict_linear(m[10m], scalar(k) * 60)`, `round(m, scalar(k) + 1)`, `bottomk by (pod) (scalar(k), m)`,
		`stddev(m)`, `stdvar(m)`, `stddev by (pod) (m)`, `stdvar without (pod) (m)`, `count_values("v", m)`, `count_values by (pod) ("v", m)`, `count_values("cluster", m)`, `quantile(0.7, m)`, `quantile by (pod) (0.2, m)`,
		`m or vector(0)`, `sum(m) or vector(0)`, `sum(missing) or vector(0)`, `count(m or vector(0))`, `vector(1) unless on () m`, `m * on () group_left vector(2)`, `vector(1) + on () sum(m)`,
		`2 * m`, `sum(2 * m)`, `1 - sum(m)`, `m > 10`, `10 < bool m`, `sum(m) > bool 100`, `time() - m`, `scalar(sum(m)) + 1`, `vector(scalar(sum(m)))`, `scalar(m)`, `1 + 1`, `vector(time())`, `pi()`,
		`sort(m)`, `sort_desc(sum by (pod) (m))`, `info(m)`,
	)
}

// Parameters that are wrong are an error or a warning also where nobody is asked: of no engine, or at some steps.
func TestParametersOverNothing(t *testing.T) {
	o := baseOpts()
	all := memory(t, func(a storage.Appender) {
		series(t, a, pod(1, "a"), 30*minute, 2*time.Hour, waves(1))
		series(t, a, pod(2, "b"), 30*minute, 2*time.Hour, waves(2))
	})
	var engines []remote.RemoteEngine
	for _, c := range []string{"a", "b"} {
		q := kept(all, func(l labels.Labels) bool { return l.Get("cluster") == c })
		engines = append(engines, announcing(c, []string{"cluster"}, q, covered(labels.FromStrings("cluster", c), 30*minute, forever)))
	}
	d, local := engine.NewDistributed(o, remote.StaticEndpoints(engines)), engine.New(o)
	tm := times{start: 600, end: 7200, step: 60}
	for _, query := range []string{
		`topk(NaN, m{cluster="c"})`, `topk by (cluster) (NaN, m{cluster="c"})`, `limitk(NaN, rate(m{cluster="c"}[5m]))`, `quantile(2, m{cluster="c"})`, `quantile by (cluster) (2, m{cluster="c"})`,
		`limit_ratio(-2, m{cluster="c"})`, `count_values("\xff", m{cluster="c"})`, `label_replace(m{cluster="c"}, "x", "$1", "pod", "(")`, `label_join(m{cluster="c"}, "\xff", "")`,
		`histogram_quantile(2, rate(m{cluster="c"}[5m]))`, `max_over_time(topk(NaN, m{cluster="c"})[10m:1m])`, `absent(topk(NaN, m{cluster="c"}))`, `sum(quantile by (cluster) (2, m{cluster="c"}))`,
		`quantile by (cluster) (time() / 900 - 1, m)`, `topk by (cluster) (1 / (time() - 900) * 0, m)`, `limitk(1 / (time() - 900) * 0, m)`, `m offset 5h or quantile by (cluster) (2, m offset 5h)`,
	} {
		want, _ := execute(t, local, all, nil, query, tm)
		got, _ := execute(t, d, all, nil, query, tm)
		require.True(t, want.Err != nil || len(want.Warnings) > 0, query)
		if want.Err != nil {
			require.EqualError(t, got.Err, want.Err.Error(), query)
			continue
		}
		wanted, _ := texts(want, query)
		warned, _ := texts(got, query)
		require.Equal(t, wanted, warned, query)
	}
}

// byCluster has an engine for each value of the label cluster.
func byCluster(all storage.Queryable, clusters ...string) []remote.RemoteEngine {
	var engines []remote.RemoteEngine
	for _, c := range clusters {
		q := kept(all, func(l labels.Labels) bool { return l.Get("cluster") == c })
		engines = append(engines, announcing(c, []string{"cluster"}, q, covered(labels.FromStrings("cluster", c), 0, forever)))
	}
	return engines
}

// External labels that do not tell data sets apart prune, too: the set that has what is asked for is found, whichever comes first.
func TestExternalLabelsThatDoNotPartition(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		for tenant := range 3 {
			for _, cluster := range []string{"a", "b"} {
				series(t, a, labels.FromStrings("__name__", "m", "cluster", cluster, "tenant", fmt.Sprint(tenant)), 0, 2*time.Hour, waves(tenant))
			}
		}
	})
	var engines []remote.RemoteEngine
	for _, cluster := range []string{"a", "b"} {
		var coverage []remote.Coverage
		for tenant := range 3 {
			coverage = append(coverage, covered(labels.FromStrings("cluster", cluster, "tenant", fmt.Sprint(tenant)), 0, forever))
		}
		engines = append(engines, announcing(cluster, []string{"cluster"}, kept(all, func(l labels.Labels) bool { return l.Get("cluster") == cluster }), coverage...))
	}
	spread{all, engines}.checkBoth(t, time.Hour, 2*time.Hour, `m{tenant="2"}`, `sum(m{tenant="1"})`, `m{tenant="0"} + ignoring (tenant) m{tenant="2"}`, `m{tenant!="0"}`)
}

// Quantiles get a label: one that says where series come from is written at the root, where it shows that series become one.
func TestQuantilesOverThePartitionLabel(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		for _, cluster := range []string{"a", "b"} {
			for i, le := range []string{"1", "2", "+Inf"} {
				series(t, a, labels.FromStrings("__name__", "h", "cluster", cluster, "le", le), 0, time.Hour, func(time.Duration) any { return float64(i + 1) })
			}
		}
	})
	s := spread{all, byCluster(all, "a", "b")}
	s.checkBoth(t, 30*minute, time.Hour, `histogram_quantiles(h, "q", 0.5, 0.9)`, `histogram_quantiles(h{cluster="a"}, "cluster", 0.5, 0.9)`)
	for _, query := range []string{`histogram_quantiles(h, "cluster", 0.5, 0.9)`} {
		want, _ := execute(t, prometheusEngine(t, baseOpts()), all, nil, query, hour)
		require.Error(t, want.Err)
		got, _ := execute(t, engine.NewDistributed(baseOpts(), remote.StaticEndpoints(s.engines)), nil, nil, query, hour)
		require.EqualError(t, got.Err, want.Err.Error())
	}
}

// What the root's options say reaches engines that have others.
func TestOptionsReachEngines(t *testing.T) {
	o := baseOpts()
	o.LookbackDelta = 25 * minute
	o.NoStepSubqueryIntervalFn = func(int64) int64 { return (7 * minute).Milliseconds() }
	all := memory(t, func(a storage.Appender) {
		for _, cluster := range []string{"a", "b"} {
			l := pod(1, cluster)
			for at := time.Duration(0); at <= 4*time.Hour; at += 20 * minute {
				_, err := a.Append(0, l, at.Milliseconds(), waves(2)(at).(float64))
				require.NoError(t, err)
			}
		}
	})
	engines := byCluster(all, "a", "b")
	reference := prometheusEngine(t, o)
	for name, engines := range map[string][]remote.RemoteEngine{"plans": engines, "text": asText(engines)} {
		d := engine.NewDistributed(o, remote.StaticEndpoints(engines))
		for _, query := range []string{`m`, `sum(m)`, `count_over_time(m[1h:])`, `sum(sum_over_time(m[2h:]))`, `max_over_time(sum_over_time(m[30m:])[1h:])`, `absent(m)`, `m or m offset 20m`} {
			for _, tm := range []times{{start: 7200, end: 14400, step: 420}, at(9000)} {
				require.Equal(t, answer(t, reference, all, query, tm).String(), answer(t, d, nil, query, tm).String(), "%s: %s", name, query)
			}
		}
	}
}

// Types tell what is no counter where the root says so: engines that take plans do as it says, those of text go by names. Nothing else depends on it.
func TestTypesReachEnginesOfPlans(t *testing.T) {
	o := baseOpts()
	o.EnableTypeAndUnitLabels = true
	all := memory(t, func(a storage.Appender) {
		for n, kind := range []string{"counter", "gauge"} {
			l := labels.NewBuilder(pod(n, "a")).Set("__type__", kind)
			series(t, a, l.Labels(), 0, time.Hour, rising)
		}
	})
	want := answer(t, prometheusEngine(t, o), all, `rate(m[5m])`, at(3600))
	engines := byCluster(all, "a", "b")
	ask := func(engines []remote.RemoteEngine) (parser.Value, []string) {
		res, _ := execute(t, engine.NewDistributed(o, remote.StaticEndpoints(engines)), nil, nil, `rate(m[5m])`, at(3600))
		require.NoError(t, res.Err)
		_, infos := texts(res, "")
		return res.Value, infos
	}
	value, infos := ask(engines)
	require.Equal(t, want.String(), value.String())
	require.Equal(t, []string{`PromQL info: metric might not be a counter, __type__ label is not set to "counter" or "histogram", got "gauge": "m"`}, infos)
	value, infos = ask(asText(engines))
	require.Equal(t, want.String(), value.String())
	require.Equal(t, []string{`PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "m"`}, infos)
}

// Strings and range vectors are the root's, though one engine has all the data.
func TestNothingButVectorsIsPassedThrough(t *testing.T) {
	all := memory(t, func(a storage.Appender) { series(t, a, pod(1, "a"), 0, 2*time.Hour, rising) })
	reference := prometheusEngine(t, baseOpts())
	for name, engines := range map[string][]remote.RemoteEngine{"plans": byCluster(all, "a"), "two": byCluster(all, "a", "b")} {
		d := engine.NewDistributed(baseOpts(), remote.StaticEndpoints(engines))
		for _, query := range []string{`"foo"`, `m[1d]`, `m[20m] offset 10m`, `m[30m:7m]`, `rate(m[5m])[30m:10m]`, `1`, `scalar(m)`, `m`, `sum(m)`} {
			want := answer(t, reference, all, query, at(7200))
			require.Equal(t, want.String(), answer(t, d, nil, query, at(7200)).String(), "%s: %s", name, query)
			require.NotEmpty(t, want.String())
		}
	}
}

// An answer is empty for certain, or there is a warning.
func TestEmptyOrWarned(t *testing.T) {
	all := memory(t, func(a storage.Appender) { series(t, a, pod(1, "a"), time.Hour, 2*time.Hour, rising) })
	cluster := func(name string) labels.Labels { return labels.FromStrings("cluster", name) }
	a, b := holder("a", all, cluster("a"), time.Hour, 2*time.Hour), holder("b", all, cluster("b"), 3*time.Hour, 4*time.Hour)
	for name, c := range map[string]struct {
		engines []remote.RemoteEngine
		query   string
		at      int64
		warning string
	}{
		"labels":        {[]remote.RemoteEngine{a, b}, `m{cluster="c"}`, 18_000, ``},
		"before":        {[]remote.RemoteEngine{a, b}, `m`, 600, ``},
		"in a gap":      {[]remote.RemoteEngine{a, b}, `m`, 9_000, ``},
		"behind":        {[]remote.RemoteEngine{a, b}, `m`, 18_000, "no remote engine was asked for m: what they announce ends at 1970-01-01T04:00:00Z"},
		"absent behind": {[]remote.RemoteEngine{a, b}, `absent(m)`, 18_000, "what they announce ends at"},
		"silent engine": {[]remote.RemoteEngine{a, b, announcing("c", nil, all)}, `m`, 600, "remote engine c announces no data, so that it was not asked"},
		"only a silent": {[]remote.RemoteEngine{announcing("c", nil, all)}, `absent(m)`, 5_400, "remote engine c announces no data, so that it was not asked"},
		"no engine":     {nil, `absent(m)`, 5_400, "no remote engine is known"},
	} {
		t.Run(name, func(t *testing.T) {
			res, _ := execute(t, engine.NewDistributed(baseOpts(), remote.StaticEndpoints(c.engines)), nil, nil, c.query, at(c.at))
			require.NoError(t, res.Err)
			v := res.Value.(promql.Vector)
			if strings.HasPrefix(c.query, "absent") {
				require.Len(t, v, 1)
			} else {
				require.Empty(t, v)
			}
			warnings, _ := texts(res, "")
			require.Contains(t, strings.Join(warnings, "\n"), c.warning)
			require.Equal(t, c.warning == "", len(warnings) == 0)
		})
	}
}

// Of one query's parts no more than 64 are on their way at once, however many engines there are.
func TestPartsOnTheirWay(t *testing.T) {
	all := memory(t, func(a storage.Appender) { series(t, a, pod(1, "a"), 0, time.Hour, rising) })
	var now, most, closed atomic.Int32
	var once sync.Once
	full := make(chan struct{}) // closed once as many as may be are on their way
	var engines []remote.RemoteEngine
	for i := range 150 {
		e := holder(fmt.Sprint(i), all, labels.FromStrings("cluster", fmt.Sprint(i)), 0, forever)
		engines = append(engines, &faulty{RemoteEngine: e, stream: func(context.Context) (remote.ColumnStream, error) {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if n == 64 {
				once.Do(func() { close(full) })
			}
			return funcStream{func(ctx context.Context) (*remote.Columns, error) {
				defer now.Add(-1)
				select {
				case <-full:
					return nil, io.EOF
				case <-ctx.Done():
					return nil, errors.New("never were 64 on their way")
				}
			}, &closed}, nil
		}})
	}
	res, _ := execute(t, engine.NewDistributed(baseOpts(), remote.StaticEndpoints(engines)), nil, nil, `sum(m)`, hour)
	require.NoError(t, res.Err)
	require.Equal(t, parser.ValueTypeMatrix, res.Value.Type())
	require.EqualValues(t, 150, closed.Load())
	require.LessOrEqual(t, most.Load(), int32(64))
}
