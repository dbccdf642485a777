package window

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

// queries has, for every function, what stands around the selector x%s.
var queries = map[string][]string{
	"quantile_over_time": {
		"quantile_over_time(0.5, x%s)", "quantile_over_time(0.93, x%s)", "quantile_over_time(-1, x%s)", "quantile_over_time(NaN, x%s)",
		"quantile_over_time(1, x%s)", "quantile_over_time((time() %% 300) / 200, x%s)",
	},
	"predict_linear":               {"predict_linear(x%s, 3600)", "predict_linear(x%s, time() %% 77)"},
	"double_exponential_smoothing": {"double_exponential_smoothing(x%s, 0.3, 0.6)", "double_exponential_smoothing(x%s, 0.3, (time() %% 1000 + 1) / 1002)", "double_exponential_smoothing(x%s, 1.5, 0.6)", "double_exponential_smoothing(x%s, 0.1, 0)"},
	"integral":                     {"integral(x%s)", "integral(x%s, 0)", "integral(x%s, 1)", "integral(x%s, 2)", "integral(x%s, 1.5)", "integral(x%s, NaN)", "integral(x%s, (time() / 10) %% 4)"},
}

func templates(function string) []string {
	if q, ok := queries[function]; ok {
		return q
	}
	return []string{function + "(x%s)"}
}

var metrics = []labels.Labels{
	labels.FromStrings("__name__", "x_total", "a", "b"),
	labels.FromStrings("__name__", "x", "__type__", "gauge"),
	labels.FromStrings("a", "b"),
}

func pick[T any](rng *rand.Rand, s ...T) T { return s[rng.Intn(len(s))] }

func TestFunctionsMatchPrometheus(t *testing.T) {
	const start = 1_700_000_000_000
	for function := range functions {
		if function == "absent_over_time" {
			continue // made from all series
		}
		t.Run(function, func(t *testing.T) {
			for n, p := range profiles {
				for round := range 12 {
					rng := rand.New(rand.NewSource(int64(n*100 + round)))
					series := p.generate(rng, start, 20+rng.Intn(250))
					f, _ := Lookup(function)
					modifiers := []string{"", "", "", " offset 1m", " offset -90s"}
					if !slices.Contains([]string{"rate", "increase", "delta"}, function) {
						// With @, those are evaluated at the first step alone.
						modifiers = append(modifiers, fmt.Sprintf(" @ %d", start/1000+600))
					}
					if f.Anchored() {
						modifiers = append(modifiers, " anchored", " anchored", " anchored offset 2m")
					}
					if f.Smoothed() {
						modifiers = append(modifiers, " smoothed", " smoothed", " smoothed offset 2m")
					}
					for _, template := range templates(function) {
						window := pick(rng, "1m", "2m", "5m", "30m", "15s", "7s", "1ms")
						query := fmt.Sprintf(template, "["+window+"]"+pick(rng, modifiers...))
						g := operators.Grid{Start: start - 60_000, Interval: pick[int64](rng, 1000, 15000, 30000, 60000, 500000), Steps: 1 + rng.Intn(150)}
						if rng.Intn(6) == 0 {
							g = operators.Grid{Start: start + int64(rng.Intn(2_000_000)), Interval: 1, Steps: 1}
						}
						compare(rng, t, query, function, g, pick(rng, metrics...), series, p.st && rng.Intn(4) > 0)
					}
				}
			}
		})
	}
}

func TestSmoothMatchesPrometheus(t *testing.T) {
	const start = 1_700_000_000_000
	for n, p := range profiles {
		for round := range 20 {
			rng := rand.New(rand.NewSource(int64(n*100 + round)))
			series := p.generate(rng, start, 20+rng.Intn(250))
			g := operators.Grid{Start: start - 400_000, Interval: pick[int64](rng, 1000, 15000, 70000), Steps: 1 + rng.Intn(300)}
			compare(rng, t, pick(rng, "x smoothed", "x smoothed offset 1m", "x smoothed offset -90s"), "smooth", g, metrics[0], series, false)
		}
	}
}

func TestAllRangeFunctionsAreThere(t *testing.T) {
	for name, f := range parser.Functions {
		for _, a := range f.ArgTypes {
			if a == parser.ValueTypeMatrix {
				got, ok := Lookup(name)
				require.True(t, ok, name)
				require.Equal(t, name, got.Name)
			}
		}
	}
	_, ok := Lookup("abs")
	require.False(t, ok)
}

func TestAbsentOverTimeTellsPresence(t *testing.T) {
	g := operators.Grid{Start: 0, Interval: 1000, Steps: 10}
	e := newEvaluation(t, "absent_over_time(x[2s])", g, metrics[0], []testSample{{t: 3000, f: 7}, {t: 7000, h: exponential(rand.New(rand.NewSource(1)), 1)}}, false)
	require.Equal(t, map[int]float64{3: 1, 4: 1, 7: 1, 8: 1}, e.run(t, "absent_over_time(x[2s])").f)
}

func TestPossibleNonCounter(t *testing.T) {
	engine := newOracle(false, true)
	g := operators.Grid{Start: 100_000, Interval: 10_000, Steps: 3}
	series := []testSample{{t: 90_000, f: 1}, {t: 100_000, f: 2}}
	for _, kind := range []string{"counter", "histogram", "gauge", ""} {
		for _, function := range []string{"rate", "increase", "delta"} {
			metric := labels.FromStrings("__name__", "x", "__type__", kind)
			query := function + "(x[1m])"
			e := newEvaluation(t, query, g, metric, series, false)
			e.app.Query.TypeAndUnitLabels = true
			require.NoError(t, sameAnswer(ask(t, engine, query, g, queryable(metric, series)), e.run(t, query), 0))
		}
	}
}

// A histogram with fewer buckets than its spans say, and of another schema than its neighbours, makes functions
// that combine histograms fail.
func TestInvalidBucketLayout(t *testing.T) {
	g := operators.Grid{Start: 100_000, Interval: 10_000, Steps: 6}
	failed := map[string]bool{}
	for function := range functions {
		f, _ := Lookup(function)
		if !f.HistogramValues {
			continue
		}
		for at := range 4 {
			for _, schema := range []int32{-1, 3} {
				for _, modifier := range []string{"", " anchored", " smoothed"} {
					if modifier == " anchored" && !f.Anchored() || modifier == " smoothed" && !f.Smoothed() {
						continue
					}
					var series []testSample
					for i := range 4 {
						h := total(&histogram.FloatHistogram{
							Schema: 1, PositiveSpans: []histogram.Span{{Length: 2}}, PositiveBuckets: []float64{1, float64(i)},
							CounterResetHint: histogram.NotCounterReset,
						})
						if i == at {
							h.Schema = schema
							h.PositiveSpans[0].Length = 3
						}
						series = append(series, testSample{t: 60_000 + int64(i)*20_000, h: h})
					}
					query := function + "(x[1m]" + modifier + ")"
					e := newEvaluation(t, query, g, metrics[0], series, false)
					want := ask(t, oracle[false], query, g, queryable(metrics[0], series))
					require.NoError(t, sameAnswer(want, e.run(t, query), 0), "%s, sample %d, schema %d", query, at, schema)
					if want.err != "" {
						failed[function+modifier] = true
					}
				}
			}
		}
	}
	require.Subset(t, slices.Sorted(maps.Keys(failed)), []string{
		"avg_over_time", "delta", "idelta", "increase", "increase anchored", "irate", "rate", "rate smoothed", "sum_over_time",
	})
}
