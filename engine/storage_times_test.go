package engine_test

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/internal/difftest"
)

func TestBefore1970(t *testing.T) {
	for _, start := range []int64{-3_600_000, -1_000_000_000_000, -1} {
		st := teststorage.New(t)
		app := st.AppenderV2(t.Context())
		for _, id := range []string{"0", "1"} {
			appendFloats(t, app, "m_total", start, 15_000, 480, func(i int) float64 { return float64(i * 3) }, "s", id)
		}
		require.NoError(t, app.Commit())
		queries := append([]string{`max_over_time(rate(m_total[2m])[10m:90s])`, `sum_over_time(m_total[7m:])`, `timestamp(m_total)`, `year(timestamp(m_total))`}, stateQueries...)
		requireAllSame(t, st, queries,
			instantAt(start+600_000), instantAt(start+6_999_999), rangeOf(start, start+7_300_000, 60_000), rangeOf(start+3_000_000, start+4_000_000, 7_777))
	}
}

// TestExtremeTimes asks at the ends of time. Queries that overflow in Prometheus give what they give there.
func TestExtremeTimes(t *testing.T) {
	const minute = 60_000
	for name, start := range map[string]int64{
		"first":        math.MinInt64,
		"near first":   math.MinInt64 + 10*minute,
		"far past":     math.MinInt64 / 2,
		"far future":   math.MaxInt64 / 2,
		"near last":    math.MaxInt64 - 40*minute,
		"last":         math.MaxInt64 - 20*minute,
		"of the clock": time.Unix(1<<40, 0).UnixMilli(),
	} {
		t.Run(name, func(t *testing.T) {
			samples := make([]chunks.Sample, 80)
			for i := range samples {
				samples[i] = floatSample{start + int64(i)*15_000, float64(i)}
			}
			l := labels.FromStrings("__name__", "m_total")
			st := both{
				listed{storage.NewListSeries(l, samples)},
				chunked{chunkSeries(l, xorChunk(t, chunkenc.EncXOR, samples[:40]), xorChunk(t, chunkenc.EncXOR2, samples[40:]))},
			}
			answered := 0
			for _, query := range []string{
				`m_total`, `rate(m_total[5m])`, `count_over_time(m_total[10m])`, `m_total offset 5m`, `m_total offset -5m`,
				`sum(m_total)`, `count_over_time(m_total[10m] offset 1m)`, `last_over_time(m_total[100y])`, `timestamp(m_total)`,
			} {
				for _, tm := range []difftest.Times{
					instantAt(start), instantAt(start + 5*minute), instantAt(start + 20*minute - 1),
					rangeOf(start, start+19*minute, minute), rangeOf(start+5*minute, start+6*minute, 7_000),
				} {
					if requireSame(t, st, query, tm) {
						answered++
					}
				}
			}
			require.Greater(t, answered, 10)
		})
	}
}

// TestAllOfTime asks for ranges that end with time, or span more than half of it. Prometheus does not come
// back from some of them.
func TestAllOfTime(t *testing.T) {
	st := listed(counters(2))
	last := []chunks.Sample{floatSample{math.MaxInt64 - 5, 7}}
	st = append(st, storage.NewListSeries(labels.FromStrings("__name__", "m_total", "s", "last"), last))
	const longest = math.MaxInt64 / int64(time.Millisecond)
	for _, query := range []string{`m_total`, `rate(m_total[5m])`, `sum(count_over_time(m_total[10m]))`, `m_total offset -5m`, `m_total offset 5m`, `count_over_time(m_total[10m:1m])`, `vector(1)`, `time()`} {
		for _, tm := range []difftest.Times{
			rangeOf(math.MaxInt64-10_000, math.MaxInt64, 1), rangeOf(math.MaxInt64-10_000, math.MaxInt64, 10_001), rangeOf(math.MaxInt64-100, math.MaxInt64, longest),
			rangeOf(math.MinInt64, math.MinInt64+10_000, 1000), rangeOf(-1<<62, math.MaxInt64, longest), rangeOf(math.MinInt64, math.MaxInt64, longest),
		} {
			for i, m := range storageModes {
				got := ask(t, storageEngine(i), st, query, tm)
				require.Empty(t, got.Panic, "%s, %s, %s", query, tm, m.name)
				if got.Err != nil {
					require.NotContains(t, got.Err.Error(), "runtime error", "%s, %s, %s", query, tm, m.name)
				}
			}
		}
	}
	got := ask(t, storageEngine(0), st, `m_total`, rangeOf(math.MaxInt64-10, math.MaxInt64, 2))
	require.NoError(t, got.Err)
	require.Len(t, got.Value, 1)
	require.Len(t, got.Value.(promql.Matrix)[0].Floats, 3)
}

// TestManySteps evaluates 100,000 steps and compares some of them with instant queries.
func TestManySteps(t *testing.T) {
	const (
		steps = 100_000
		step  = 700
	)
	series := counters(3)
	for id := range series {
		series[id] = floatSeries("m_total", id, stateStart, 15_000, steps*step/15_000)
	}
	st := both{series, encoded(t, series, chunkenc.EncXOR, 120)}
	tm := rangeOf(stateStart, stateStart+(steps-1)*step, step)
	for _, query := range []string{`m_total`, `sum(rate(m_total[5m]))`, `max_over_time(m_total[3m]) - on(s) m_total`, `avg_over_time(m_total[10m])`} {
		got := ask(t, storageEngine(0), st, query, tm)
		require.NoError(t, got.Err)
		m := got.Value.(promql.Matrix)
		require.NotEmpty(t, m)
		require.Greater(t, len(m[0].Floats), steps-1000)
		byTime := map[int64]promql.Vector{}
		for _, s := range m {
			for _, p := range s.Floats {
				if (p.T-stateStart)/step%997 == 0 {
					byTime[p.T] = append(byTime[p.T], promql.Sample{Metric: s.Metric, T: p.T, F: p.F})
				}
			}
		}
		for i := int64(0); i < steps; i += 997 {
			at := stateStart + i*step
			want := ask(t, storageEngine(0), st, query, instantAt(at))
			require.NoError(t, want.Err)
			if d := (difftest.Comparer{Tolerance: difftest.DefaultTolerance}).Compare(
				&difftest.Outcome{Value: want.Value}, &difftest.Outcome{Value: append(promql.Vector{}, byTime[at]...)}); d != nil {
				t.Errorf("%s at %d:\n%s", query, at, d)
			}
		}
	}
}
