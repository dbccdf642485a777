package engine_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
	"github.com/stride-promql/stride/internal/gendata"
	"github.com/stride-promql/stride/remote"
)

// spreadQueries are asked of data that is spread over engines.
var spreadQueries = []string{
	`m`, `sum(m)`, `sum by (pod) (rate(m[5m]))`, `sum_over_time(m[1h])`, `sum(sum_over_time(m[10h]))`, `count(m)`, `avg(m)`, `max_over_time(m[30m])`,
	`m offset 1h`, `m - m offset 30m`, `absent(m{pod="1"})`, `absent_over_time(m[5m])`, `topk(1, m)`, `max_over_time(sum(m)[1h:5m])`, `m @ 20000`, `last_over_time(m[1h])`,
	`histogram_count(m)`, `changes(m[1h])`, `stddev(m)`, `quantile(0.5, m)`, `timestamp(m)`, `present_over_time(m[2h])`,
}

// spread is data of one test: engines that hold parts of it, and all of it.
type spread struct {
	all     storage.Queryable
	engines []remote.RemoteEngine
}

// check compares queries over the engines with Prometheus over all of the data.
func (s spread) check(t *testing.T, from, to time.Duration, queries ...string) {
	t.Helper()
	o := baseOpts()
	reference := prometheusEngine(t, o)
	d := engine.NewDistributed(o, remote.StaticEndpoints(s.engines))
	for _, query := range queries {
		expr, err := difftest.Parser().ParseExpr(query)
		require.NoError(t, err)
		for _, at := range []difftest.Times{
			{Start: from.Milliseconds(), End: to.Milliseconds(), Step: 300_000},
			{Start: from.Milliseconds() + 7, End: to.Milliseconds(), Step: 67_001},
			{Instant: true, Start: to.Milliseconds(), End: to.Milliseconds()},
		} {
			c := difftest.Case{Query: query, Times: at}
			want, got := c.Run(t.Context(), reference, s.all), c.Run(t.Context(), d, s.all)
			cmp := difftest.NewComparer(expr, at, 1e-12, false)
			cmp.Tolerance = 1e-12
			require.Nil(t, cmp.Compare(want, got), "%s, %s", query, at)
			want.Close()
			got.Close()
		}
	}
}

// memory is a storage in a temporary directory.
func memory(t *testing.T, fill func(a storage.Appender)) *tsdb.DB {
	db, err := tsdb.Open(t.TempDir(), promslog.NewNopLogger(), nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	a := db.Appender(context.Background())
	fill(a)
	require.NoError(t, a.Commit())
	return db
}

const minute = time.Minute

// series appends value(t) each minute of [from, to].
func series(t *testing.T, a storage.Appender, l labels.Labels, from, to time.Duration, value func(time.Duration) any) {
	for at := from; at <= to; at += minute {
		var err error
		switch v := value(at).(type) {
		case float64:
			_, err = a.Append(0, l, at.Milliseconds(), v)
		case *histogram.Histogram:
			_, err = a.AppendHistogram(0, l, at.Milliseconds(), v, nil)
		}
		require.NoError(t, err)
	}
}

func rising(at time.Duration) any { return at.Seconds() }

// holder is an engine over what a storage has of an external label set in some interval.
func holder(name string, q storage.Queryable, set labels.Labels, from, to time.Duration) remote.RemoteEngine {
	return engine.NewRemoteEngine(engine.New(baseOpts()), q, engine.RemoteOpts{
		Name: name, PartitionLabels: []string{"cluster"},
		Coverage: []remote.Coverage{{Labels: set, Intervals: remote.Intervals{{Start: from.Milliseconds(), End: to.Milliseconds()}}}},
	})
}

const forever = time.Duration(math.MaxInt64)

func pod(n int, cluster string) labels.Labels {
	return labels.FromStrings("__name__", "m", "pod", fmt.Sprint(n), "cluster", cluster)
}

// between is what a storage has of some times.
func between(q storage.Queryable, from, to time.Duration) storage.Queryable {
	return &view{Queryable: q, intervals: remote.Intervals{{Start: from.Milliseconds(), End: to.Milliseconds()}}}
}

// A cluster that is younger than the windows that look at it counts: nobody else has what it lacks.
func TestYoungCluster(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		series(t, a, pod(1, "old"), 0, 12*time.Hour, rising)
		series(t, a, pod(1, "young"), 9*time.Hour, 12*time.Hour, rising)
	})
	only := func(cluster string) storage.Queryable {
		return &view{Queryable: all, name: "cluster", label: func(l labels.Labels) string { return l.Get("cluster") }, keep: func(c string) bool { return c == cluster }}
	}
	old, young := labels.FromStrings("cluster", "old"), labels.FromStrings("cluster", "young")
	spread{all, []remote.RemoteEngine{
		holder("old", only("old"), old, 0, forever),
		holder("young", only("young"), young, 9*time.Hour, forever),
		holder("empty", only("none"), labels.FromStrings("cluster", "none"), 0, forever),
	}}.check(t, 8*time.Hour, 12*time.Hour, spreadQueries...)
}

// A series that went stale in the newer source does not rise again because an older one, which ends before, still has it in its lookback.
func TestStaleInTheNewerSource(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		series(t, a, pod(1, "a"), 0, 6*time.Hour, rising)
		l := pod(2, "a")
		series(t, a, l, 0, 4*time.Hour, rising)
		_, err := a.Append(0, l, (4*time.Hour + time.Minute).Milliseconds(), promqlStale)
		require.NoError(t, err)
	})
	set := labels.FromStrings("cluster", "a")
	for _, seam := range []time.Duration{4 * time.Hour, 4*time.Hour + 30*time.Second, 4*time.Hour + 2*time.Minute} {
		spread{all, []remote.RemoteEngine{
			holder("a-older", between(all, 0, seam), set, 0, seam),
			holder("b-newer", between(all, 3*time.Hour, forever), set, 3*time.Hour, forever),
		}}.check(t, 3*time.Hour, 5*time.Hour, spreadQueries...)
	}
}

var promqlStale = math.Float64frombits(0x7ff0000000000002)

// A metric that changes from histograms to floats where two sources overlap.
func TestHistogramsBecomeFloats(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		for n := range 3 {
			turn := 4*time.Hour + time.Duration(n)*10*minute
			series(t, a, pod(n, "a"), 0, 6*time.Hour, func(at time.Duration) any {
				if at < turn {
					k := int64(at / minute)
					return &histogram.Histogram{Count: uint64(3 * k), Sum: float64(k), ZeroThreshold: 0.001, ZeroCount: uint64(k), PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{k, 0}}
				}
				return at.Seconds()
			})
		}
	})
	set := labels.FromStrings("cluster", "a")
	for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		spread{all, []remote.RemoteEngine{
			holder(names[0], between(all, 0, 5*time.Hour), set, 0, 5*time.Hour),
			holder(names[1], between(all, 3*time.Hour, forever), set, 3*time.Hour, forever),
		}}.check(t, 3*time.Hour, 6*time.Hour, `m`, `sum(m)`, `count(m)`, `sum by (pod) (m)`, `last_over_time(m[10m])`, `histogram_count(m)`, `m or m offset 1h`, `avg(m)`, `max(m)`)
	}
}

// A gap that is announced is filled by whoever has it; one that is not is filled sample by sample where another engine covers it, and
// cannot be seen where none does.
func TestGaps(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		series(t, a, pod(1, "a"), 0, 6*time.Hour, rising)
		series(t, a, pod(2, "a"), 0, 6*time.Hour, rising)
	})
	set := labels.FromStrings("cluster", "a")
	gap := remote.Interval{Start: (2 * time.Hour).Milliseconds(), End: (3 * time.Hour).Milliseconds()}
	rest := remote.Intervals{remote.Always}.Without(remote.Intervals{gap})
	holed := &view{Queryable: all, intervals: rest}
	announce := func(name string, q storage.Queryable, in ...remote.Interval) remote.RemoteEngine {
		return engine.NewRemoteEngine(engine.New(baseOpts()), q, engine.RemoteOpts{Name: name, PartitionLabels: []string{"cluster"}, Coverage: []remote.Coverage{{Labels: set, Intervals: in}}})
	}
	t.Run("announced", func(t *testing.T) {
		spread{all, []remote.RemoteEngine{
			announce("a-holed", holed, rest...),
			announce("b-rest", &view{Queryable: all, intervals: remote.Intervals{gap}}, gap),
		}}.check(t, time.Hour, 5*time.Hour, spreadQueries...)
	})
	t.Run("not announced", func(t *testing.T) {
		s := spread{all, []remote.RemoteEngine{announce("a-holed", holed, remote.Always), announce("b-whole", all, remote.Always)}}
		// Once the last sample before the gap is too old, another engine has one. Until then that sample counts, though a newer one is elsewhere.
		s.check(t, 2*time.Hour+10*time.Minute, 2*time.Hour+50*time.Minute, `m`, `sum by (cluster, pod) (m)`)
		e := engine.NewDistributed(baseOpts(), remote.StaticEndpoints(s.engines))
		require.Equal(t, 7140., answer(t, e, nil, `m{pod="1"}`, at(7260)).(promql.Vector)[0].F)
		d := engine.NewDistributed(baseOpts(), remote.StaticEndpoints(s.engines[:1]))
		m := answer(t, d, nil, `m`, times{start: 9000, end: 9000, step: 60}).(promql.Matrix)
		require.Empty(t, m, "nobody knows that anything is missing")
	})
}

// One engine for each block of a database, as the extreme of time-split data.
func TestEngineForEachBlock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := gendata.DefaultProfile(time.UnixMilli(0))
	p.Series, p.Interval, p.Start, p.Duration, p.BlockRange = 100, 30*time.Second, time.UnixMilli(0), 8*time.Hour, 2*time.Hour
	_, err := gendata.Generate(t.Context(), dir, p, nil)
	require.NoError(t, err)
	db, err := tsdb.Open(dir, promslog.NewNopLogger(), nil, &tsdb.Options{RetentionDuration: 0, MinBlockDuration: 7_200_000, MaxBlockDuration: 7_200_000, NoLockfile: true}, nil)
	require.NoError(t, err)
	defer db.Close()
	db.DisableCompactions()
	require.Len(t, db.Blocks(), 4)
	var engines []remote.RemoteEngine
	for i, b := range db.Blocks() {
		meta := b.Meta()
		engines = append(engines, engine.NewRemoteEngine(engine.New(baseOpts()), blockQueryable{b}, engine.RemoteOpts{
			Name:     fmt.Sprint("block-", i),
			Coverage: []remote.Coverage{{Intervals: remote.Intervals{{Start: meta.MinTime, End: meta.MaxTime - 1}}}},
		}))
	}
	spread{db, engines}.check(t, time.Hour, 8*time.Hour,
		`sum by (namespace) (rate(http_requests_total[5m]))`, `http_requests_total`, `sum(sum_over_time(memory_usage_bytes[3h]))`, `max_over_time(memory_usage_bytes[1h])`,
		`histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket[10m])))`, `avg by (job) (memory_usage_bytes offset 1h)`, `topk(3, memory_usage_bytes)`)
}

// blockQueryable is a block as a storage.
type blockQueryable struct{ *tsdb.Block }

func (b blockQueryable) Querier(mint, maxt int64) (storage.Querier, error) {
	return tsdb.NewBlockQuerier(b.Block, mint, maxt)
}

func (b blockQueryable) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return tsdb.NewBlockChunkQuerier(b.Block, mint, maxt)
}

// A partition whose sum overflows does not hide the infinity of another one.
func TestAverageOfHugeAndInfinite(t *testing.T) {
	checkOfValues(t, map[string][]float64{"a": {-1e308, -1e308}, "b": {math.Inf(1)}}, `avg(m)`)
}

// Values too far from each other for their distance to be a number have no deviation; those whose squares are too large have an infinite one.
func TestDeviationOfHuge(t *testing.T) {
	checkOfValues(t, map[string][]float64{"a": {-1e308}, "b": {1e308}}, `stddev(m)`, `stdvar(m)`)
	checkOfValues(t, map[string][]float64{"a": {-1e308}, "b": {1e308, 1e308}}, `stddev(m)`, `stdvar(m)`)
	checkOfValues(t, map[string][]float64{"a": {-1e308, -1e308}, "b": {1e308}}, `stddev(m)`, `stdvar(m)`)
	checkOfValues(t, map[string][]float64{"a": {-1e200}, "b": {1e200, 1e200}}, `stddev(m)`, `stdvar(m)`)
}

// checkOfValues compares queries over an engine for each cluster, whose series have the given values. Engines come in the order of series: what
// overflows depends on it.
func checkOfValues(t *testing.T, values map[string][]float64, queries ...string) {
	t.Helper()
	clusters := slices.Sorted(maps.Keys(values))
	all := memory(t, func(a storage.Appender) {
		for _, cluster := range clusters {
			for n, v := range values[cluster] {
				series(t, a, pod(n, cluster), 0, time.Hour, func(time.Duration) any { return v })
			}
		}
	})
	var engines []remote.RemoteEngine
	for _, cluster := range clusters {
		v := &view{Queryable: all, name: "cluster", label: func(l labels.Labels) string { return l.Get("cluster") }, keep: func(c string) bool { return c == cluster }}
		engines = append(engines, holder(cluster, v, labels.FromStrings("cluster", cluster), 0, forever))
	}
	spread{all, engines}.check(t, 30*time.Minute, time.Hour, queries...)
}

// Floats and histograms meet in one partition, in a window across a seam of it, which the root evaluates: nobody else is asked.
func TestMixedAcrossASeam(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		for n, cluster := range []string{"a", "a", "a", "b"} {
			series(t, a, pod(n, cluster), 0, 6*time.Hour, func(at time.Duration) any {
				if n == 2 {
					return &histogram.Histogram{Count: 3, Sum: 4, ZeroThreshold: 0.001, ZeroCount: 1, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 0}}
				}
				return at.Seconds() + float64(n)
			})
		}
	})
	part := func(cluster string, from, to time.Duration) remote.RemoteEngine {
		v := &view{
			Queryable: all, name: "cluster", label: func(l labels.Labels) string { return l.Get("cluster") }, keep: func(c string) bool { return c == cluster },
			intervals: remote.Intervals{{Start: from.Milliseconds(), End: to.Milliseconds()}},
		}
		return holder(fmt.Sprint(cluster, from), v, labels.FromStrings("cluster", cluster), from, to)
	}
	spread{all, []remote.RemoteEngine{
		part("a", 0, 3*time.Hour), part("a", 3*time.Hour+1, forever), part("b", 0, 3*time.Hour), part("b", 3*time.Hour+1, forever),
	}}.check(t, 3*time.Hour+20*time.Minute, 3*time.Hour+30*time.Minute,
		`sum(last_over_time(m[1h]))`, `avg(last_over_time(m[1h]))`, `stddev(last_over_time(m[1h]))`, `stdvar(last_over_time(m[1h]))`, `count(last_over_time(m[1h]))`)
}

// A range of steps may hold none of the steps that the root evaluates over samples, because they are those of a seam alone.
func TestRangesWithoutStepsOfASeam(t *testing.T) {
	all := memory(t, func(a storage.Appender) {
		series(t, a, pod(1, "a"), 0, 6*time.Hour, func(at time.Duration) any {
			k := int64(at / minute)
			return &histogram.Histogram{Count: uint64(3 * k), Sum: float64(k), ZeroThreshold: 0.001, ZeroCount: uint64(k), PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{k, 0}}
		})
	})
	set := labels.FromStrings("cluster", "a")
	engines := []remote.RemoteEngine{
		holder("older", between(all, 0, 3*time.Hour), set, 0, 3*time.Hour),
		holder("newer", between(all, 3*time.Hour+1, forever), set, 3*time.Hour+1, forever),
	}
	o := baseOpts()
	o.BatchSteps = 1
	for _, query := range []string{`sum_over_time(m[1h])`, `avg_over_time(m[1h])`, `rate(m[1h])`, `increase(m[1h])`, `idelta(m[1h])`, `histogram_count(last_over_time(m[1h]))`, `quantile_over_time(time() / 40000, histogram_sum(m)[1h:7m])`, `predict_linear(histogram_count(m)[40m:10m], time() / 100)`} {
		at := times{start: 2 * 3600, end: 5 * 3600, step: 600}
		want := answer(t, prometheusEngine(t, baseOpts()), all, query, at)
		got := answer(t, engine.NewDistributed(o, remote.StaticEndpoints(engines)), nil, query, at)
		require.Equal(t, want.String(), got.String(), query)
	}
}
