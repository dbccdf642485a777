package difftest

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

func comparerOf(t *testing.T, query string, instant bool) Comparer {
	expr, err := Parser().ParseExpr(query)
	require.NoError(t, err)
	return NewComparer(expr, Times{Instant: instant, Step: 1}, DefaultTolerance, true)
}

func TestTolerance(t *testing.T) {
	next := math.Nextafter(3, 4)
	for _, tc := range []struct {
		query   string
		instant bool
		a, b    float64
		equal   bool
	}{
		{"x", true, 3, next, false},
		{"x", true, math.Copysign(0, -1), 0, false},
		{"x", true, math.NaN(), math.Float64frombits(0x7ff0000000000002), true},
		{"sum_over_time(x[5m])", true, 3, next, true},
		{"avg_over_time(x[5m]) * 2", true, 3, next, true},
		{"sum_over_time(x[5m])", true, 3, 3 * (1 + 1e-11), false},
		{"x", false, 3, next, true},
		{"x", false, math.Copysign(0, -1), 0, true},
		{"x", false, 3, 3 * (1 + 2e-12), false},
		{"x", false, 0, 1e-300, false},
		{"x", false, math.Inf(1), math.MaxFloat64, false},
		{"x", false, math.Inf(1), math.Inf(-1), false},
		{"x", false, math.NaN(), 1, false},
	} {
		c := comparerOf(t, tc.query, tc.instant)
		require.Equal(t, tc.equal, c.equal(tc.a, tc.b), "%s: %v and %v", tc.query, tc.a, tc.b)
		require.Equal(t, tc.equal, c.equal(tc.b, tc.a), "%s: %v and %v", tc.query, tc.b, tc.a)
	}
}

func TestOrderOfVectors(t *testing.T) {
	sample := func(name string, v float64) promql.Sample {
		return promql.Sample{Metric: labels.FromStrings("n", name), F: v}
	}
	ab := promql.Vector{sample("a", 1), sample("b", 2)}
	ba := promql.Vector{ab[1], ab[0]}
	tied := promql.Vector{sample("a", 1), sample("b", 1)}
	tiedBack := promql.Vector{tied[1], tied[0]}
	for _, tc := range []struct {
		query     string
		want, got promql.Vector
		equal     bool
	}{
		{"x", ab, ba, true},
		{"sort(x)", ab, ba, false},
		{"((sort_desc(x)))", ab, ba, false},
		{"sort(x)", tied, tiedBack, true},
		{"sort(x) + 1", ab, ba, true},
		{"topk(2, x)", tied, tiedBack, false},
		{`sort_by_label(x, "n")`, tied, tiedBack, false},
	} {
		diff := comparerOf(t, tc.query, true).Compare(&Outcome{Value: tc.want}, &Outcome{Value: tc.got})
		require.Equal(t, tc.equal, diff == nil, "%s: %v", tc.query, diff)
	}
}

func TestHistogramLayoutDoesNotMatter(t *testing.T) {
	c := Comparer{Tolerance: DefaultTolerance}
	a := &histogram.FloatHistogram{
		Count: 3, Sum: 4,
		PositiveSpans:   []histogram.Span{{Offset: -1, Length: 2}, {Offset: 2, Length: 1}},
		PositiveBuckets: []float64{1, 0, 2},
	}
	b := &histogram.FloatHistogram{
		Count: 3, Sum: 4,
		PositiveSpans:   []histogram.Span{{Offset: -2, Length: 1}, {Length: 0}, {Length: 5}},
		PositiveBuckets: []float64{0, 1, 0, 0, 0, 2},
	}
	require.Empty(t, c.compareHistograms(a, b))
	b.PositiveBuckets[5] = 3
	require.NotEmpty(t, c.compareHistograms(a, b))
	b.PositiveBuckets[5], b.NegativeSpans, b.NegativeBuckets = 2, []histogram.Span{{Length: 1}}, []float64{1}
	require.NotEmpty(t, c.compareHistograms(a, b))
}

func TestForcedMonotonicityCountIsMasked(t *testing.T) {
	text := func(n string) []string {
		return []string{"PromQL info: needed to be fixed, over " + n + " samples from 1970 (1:1)"}
	}
	compare := func(query string, instant bool) *Difference {
		return comparerOf(t, query, instant).Compare(&Outcome{Infos: text("22")}, &Outcome{Infos: text("4")})
	}
	require.Nil(t, compare("x", false))
	require.NotNil(t, compare("x", true))
	require.Nil(t, compare("max_over_time(x[5m:1m])", true), "the steps of a subquery are miscounted too")
}

func TestSettleAcceptsSpreadOnly(t *testing.T) {
	c := Comparer{Tolerance: DefaultTolerance}
	run := func(v float64, more ...promql.Series) *Outcome {
		return &Outcome{Value: append(promql.Matrix{{Metric: labels.FromStrings("n", "a"), Floats: []promql.FPoint{{T: 1, F: v}}}}, more...)}
	}
	extra := promql.Series{Metric: labels.FromStrings("n", "b"), Floats: []promql.FPoint{{T: 1, F: 5}}}
	runs := []*Outcome{run(1), run(2, extra), run(4)}
	require.Nil(t, c.settle(runs, run(3)))
	require.Nil(t, c.settle(runs, run(1, extra)))
	require.NotNil(t, c.settle(runs, run(4.1)))
	require.NotNil(t, c.settle(runs, run(0.9)))
	require.NotNil(t, c.settle(runs, &Outcome{Value: promql.Matrix{extra}}))
	other := extra
	other.Metric = labels.FromStrings("n", "c")
	require.NotNil(t, c.settle(runs, run(3, other)))
	require.NotNil(t, c.settle([]*Outcome{run(1), run(1)}, run(2)))
}
