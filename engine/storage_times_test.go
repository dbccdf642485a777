package engine_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

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

// A query's own times go no further than time.Time's nanoseconds do.
const (
	clockFirst = math.MinInt64 / int64(time.Millisecond)
	clockLast  = math.MaxInt64 / int64(time.Millisecond)
)

// endsOfTime holds a series of 80 samples from start on, as samples and as chunks.
func endsOfTime(t *testing.T, start int64) both {
	samples := make([]chunks.Sample, 80)
	for i := range samples {
		samples[i] = floatSample{start + int64(i)*15_000, float64(i)}
	}
	l := labels.FromStrings("__name__", "m_total")
	return both{
		listed{storage.NewListSeries(l, samples)},
		chunked{chunkSeries(l, xorChunk(t, chunkenc.EncXOR, samples[:40]), xorChunk(t, chunkenc.EncXOR2, samples[40:]))},
	}
}

func TestEndsOfClock(t *testing.T) {
	const minute = 60_000
	for _, start := range []int64{clockFirst, clockFirst + 10*minute, clockLast - 40*minute, clockLast - 20*minute} {
		answered := 0
		for _, query := range []string{
			`m_total`, `rate(m_total[5m])`, `count_over_time(m_total[10m])`, `m_total offset 5m`, `m_total offset -5m`, `max_over_time(m_total[10m:1m])`,
			`sum(m_total)`, `count_over_time(m_total[10m] offset 1m)`, `last_over_time(m_total[200y])`, `timestamp(m_total)`, `m_total offset 290y`,
		} {
			for _, tm := range []difftest.Times{
				instantAt(start), instantAt(start + 5*minute), instantAt(start + 20*minute - 1),
				rangeOf(start, start+19*minute, minute), rangeOf(start+5*minute, start+6*minute, 7_000),
			} {
				if requireSame(t, endsOfTime(t, start), query, tm) {
					answered++
				}
			}
		}
		require.Greater(t, answered, 20)
	}
}

// TestEndsOfTime looks with @ at samples at the ends of what a timestamp can be. Prometheus keeps the way there in
// nanoseconds, which overflow, and misses them; so any answer will do.
func TestEndsOfTime(t *testing.T) {
	const minute = 60_000
	for _, start := range []int64{math.MinInt64, math.MinInt64 + 20*minute, math.MinInt64 / 2, math.MaxInt64 / 2, math.MaxInt64 - 60*minute, math.MaxInt64 - 20*minute} {
		for _, query := range []string{
			`m_total @ %[1]d`, `rate(m_total[5m] @ %[1]d)`, `count_over_time(m_total[10m] @ %[1]d)`, `m_total @ %[1]d offset 5m`, `m_total @ %[1]d offset -5m`,
			`sum(m_total @ %[1]d)`, `last_over_time(m_total[200y] @ %[1]d)`, `timestamp(m_total @ %[1]d)`, `rate(m_total[5m] @ %[1]d offset -1h)`,
			`count_over_time(m_total[10m] @ %[1]d offset 1h)`, `m_total @ %[1]d smoothed`, `increase(m_total[5m] @ %[1]d anchored)`,
		} {
			for _, at := range []int64{start/1000 + 16, start/1000 + 300, start/1000 + 1190} {
				for _, tm := range []difftest.Times{instantAt(stateStart), rangeOf(stateStart, stateStart+10*minute, minute)} {
					requireComposed(t, endsOfTime(t, start), fmt.Sprintf(query, at), tm)
				}
			}
		}
	}
}

// requireComposed demands any answer, or an error that is not a panic's.
func requireComposed(t *testing.T, st storage.Queryable, query string, tm difftest.Times) {
	t.Helper()
	for i, m := range storageModes {
		got := ask(t, storageEngine(i), st, query, tm)
		require.Empty(t, got.Panic, "%s, %s, %s", query, tm, m.name)
		if got.Err != nil {
			require.NotContains(t, got.Err.Error(), "unexpected error", "%s, %s, %s", query, tm, m.name)
		}
	}
}

// TestOverTheEnds asks for what does not end in Prometheus, or only with an error.
func TestOverTheEnds(t *testing.T) {
	const last = math.MaxInt64 / 1000
	for _, query := range []string{
		`m_total`, `time()`, `vector(1)`, `rate(m_total[5m])`, `m_total offset -290y`, `max_over_time(m_total[290y:1y])`,
		fmt.Sprintf(`m_total[1h] @ %d offset -2h`, last),
	} {
		for _, tm := range []difftest.Times{
			instantAt(math.MaxInt64), instantAt(math.MinInt64),
			rangeOf(clockLast-10_000, clockLast, 1), rangeOf(clockLast-10_000, clockLast, clockLast), rangeOf(clockFirst, clockLast, clockLast), rangeOf(clockFirst, clockLast, clockLast/1000),
			rangeOf(math.MinInt64, math.MaxInt64, clockLast), rangeOf(math.MaxInt64-100, math.MaxInt64, 3),
		} {
			if !tm.Instant && strings.HasPrefix(query, "m_total[") {
				continue
			}
			requireComposed(t, endsOfTime(t, clockLast-1_200_000), query, tm)
		}
	}
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
