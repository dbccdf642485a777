package main

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func valueOutcome(v parser.Value) outcome { return outcome{result: &result{value: v}} }

func TestDifferences(t *testing.T) {
	a, b := labels.FromStrings("n", "a"), labels.FromStrings("n", "b")
	vector := func(samples ...promql.Sample) outcome { return valueOutcome(promql.Vector(samples)) }
	matrix := func(points ...promql.FPoint) outcome { return valueOutcome(promql.Matrix{{Metric: a, Floats: points}}) }
	otherBound := custom.Copy()
	otherBound.CustomValues = []float64{0.1, 2}
	moreEmpty := exponential.Copy()
	moreEmpty.PositiveSpans, moreEmpty.PositiveBuckets = []histogram.Span{{Length: 4}}, append(moreEmpty.PositiveBuckets, 0)
	nearly := exponential.Copy()
	nearly.Count *= 1 + 1e-13
	nearly.PositiveBuckets[0] *= 1 - 1e-13
	for name, tc := range map[string]struct {
		tested, reference outcome
		order             resultOrder
		want              []string
	}{
		"equal scalars":    {tested: valueOutcome(promql.Scalar{T: 1, V: math.NaN()}), reference: valueOutcome(promql.Scalar{T: 1, V: math.Float64frombits(0x7ff8000000000002)})},
		"scalars":          {tested: valueOutcome(promql.Scalar{V: 1}), reference: valueOutcome(promql.Scalar{V: 2}), want: []string{"scalar: tested 1, reference 2 (0.5 of it apart)"}},
		"infinite scalars": {tested: valueOutcome(promql.Scalar{V: math.Inf(1)}), reference: valueOutcome(promql.Scalar{V: 2}), want: []string{"scalar: tested +Inf, reference 2"}},
		"times":            {tested: valueOutcome(promql.Scalar{T: 1000}), reference: valueOutcome(promql.Scalar{}), want: []string{"scalar: tested at 1970-01-01T00:00:01Z, reference at 1970-01-01T00:00:00Z"}},
		"equal strings":    {tested: valueOutcome(promql.String{V: "a"}), reference: valueOutcome(promql.String{V: "a"})},
		"strings":          {tested: valueOutcome(promql.String{V: "a"}), reference: valueOutcome(promql.String{V: "b"}), want: []string{`tested "a", reference "b"`}},
		"types":            {tested: vector(), reference: matrix(), want: []string{"tested is a vector, reference a matrix"}},
		"within tolerance": {tested: vector(promql.Sample{Metric: a, F: 1}), reference: vector(promql.Sample{Metric: a, F: 1 + 1e-13})},
		"series": {
			tested: vector(promql.Sample{Metric: a, F: 1}), reference: vector(promql.Sample{Metric: b, F: 2}),
			want: []string{`{n="a"}: only tested has it, 1`, `{n="b"}: only reference has it, 2`},
		},
		"samples": {
			tested: matrix(promql.FPoint{T: 0, F: 1}, promql.FPoint{T: 1000, F: 1}, promql.FPoint{T: 2000, F: 3}), reference: matrix(promql.FPoint{T: 1000, F: 1}, promql.FPoint{T: 2000, F: 4}, promql.FPoint{T: 3000, F: 1}),
			want: []string{`{n="a"}: 3 of 4 samples differ, first at 1970-01-01T00:00:00Z only tested has 1`},
		},
		"samples of reference alone": {
			tested: matrix(promql.FPoint{T: 1000, F: 1}, promql.FPoint{T: 2000, F: 1}), reference: matrix(promql.FPoint{T: 0, F: 1}, promql.FPoint{T: 1000, F: 1}, promql.FPoint{T: 2000, F: 1}),
			want: []string{`{n="a"}: 1 of 3 samples differ, first at 1970-01-01T00:00:00Z only reference has 1`},
		},
		"series of a range": {
			tested: matrix(promql.FPoint{T: 0, F: 1}, promql.FPoint{T: 1000, F: 1}), reference: valueOutcome(promql.Matrix{}),
			want: []string{`{n="a"}: only tested has it, 2 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:00:01Z`},
		},
		"histogram and float": {
			tested: vector(promql.Sample{H: custom}), reference: vector(promql.Sample{F: 1}),
			want: []string{"{}: tested count=3 sum=1 p50=0.55 p90=1 p99=1, reference 1"},
		},
		"buckets": {
			tested: vector(promql.Sample{H: custom}), reference: vector(promql.Sample{H: otherBound}),
			want: []string{"{}: tested count=3 sum=1 p50=0.55 p90=1 p99=1, reference count=3 sum=1 p50=1.05 p90=2 p99=2"},
		},
		"empty buckets":               {tested: vector(promql.Sample{H: exponential}), reference: vector(promql.Sample{H: moreEmpty})},
		"histograms within tolerance": {tested: vector(promql.Sample{H: exponential}), reference: vector(promql.Sample{H: nearly})},
		"order that nobody asked for": {tested: vector(promql.Sample{Metric: a, F: 1}, promql.Sample{Metric: b, F: 2}), reference: vector(promql.Sample{Metric: b, F: 2}, promql.Sample{Metric: a, F: 1})},
		"order among equals":          {tested: vector(promql.Sample{Metric: a, F: 1}, promql.Sample{Metric: b, F: 1}), reference: vector(promql.Sample{Metric: b, F: 1}, promql.Sample{Metric: a, F: 1}), order: orderedByValue},
		"order": {
			tested: vector(promql.Sample{Metric: a, F: 1}, promql.Sample{Metric: b, F: 2}), reference: vector(promql.Sample{Metric: b, F: 2}, promql.Sample{Metric: a, F: 1}), order: orderedByValue,
			want: []string{`the order differs, first at place 1: tested has {n="a"} there, reference {n="b"}`},
		},
		"order by labels": {
			tested: vector(promql.Sample{Metric: a, F: 1}, promql.Sample{Metric: b, F: 1}), reference: vector(promql.Sample{Metric: b, F: 1}, promql.Sample{Metric: a, F: 1}), order: ordered,
			want: []string{`the order differs, first at place 1: tested has {n="a"} there, reference {n="b"}`},
		},
		"same error":       {tested: outcome{err: "no"}, reference: outcome{err: "no"}},
		"errors":           {tested: outcome{err: "no"}, reference: outcome{err: "never"}, want: []string{"tested fails: no, reference fails: never"}},
		"error and result": {tested: outcome{err: "no"}, reference: vector(), want: []string{"tested fails: no, reference has a result"}},
	} {
		require.Equal(t, tc.want, differences(tc.tested, tc.reference, 1e-12, tc.order), name)
		if len(tc.want) == 0 {
			require.Empty(t, differences(tc.reference, tc.tested, 1e-12, tc.order), name)
		}
	}
}

func TestNotesDiffer(t *testing.T) {
	with := func(warnings, infos []string) outcome {
		return outcome{result: &result{value: promql.Vector{}, warnings: warnings, infos: infos}}
	}
	for _, tc := range []struct {
		tested, reference outcome
		want              []string
	}{
		{with([]string{"a"}, []string{"b"}), with([]string{"a", "b"}, nil), nil}, // as Thanos has it
		{with([]string{"a"}, nil), with(nil, []string{"b"}), []string{"only tested says: a", "only reference says: b"}},
		{with([]string{"fixed, over 3 samples from x"}, nil), with([]string{"fixed, over 4 samples from x"}, nil), nil},
		{with([]string{"a", "3 more warning annotations omitted"}, nil), with([]string{"b", "3 more warning annotations omitted"}, nil), nil},
	} {
		require.Equal(t, tc.want, differences(tc.tested, tc.reference, 0, unordered))
	}
}

func TestTolerance(t *testing.T) {
	var f toleranceFlag
	require.Empty(t, f.String())
	require.Zero(t, f.of("sum(up)", true))
	require.Equal(t, 1e-12, f.of("sum(up)", false))
	require.Equal(t, 1e-12, f.of("avg_over_time(up[5m])", true))
	require.Equal(t, 1e-12, f.of("something(else", true))
	require.NoError(t, f.Set("1e-6"))
	require.Equal(t, 1e-6, f.of("sum(up)", true))
	require.Equal(t, "1e-06", f.String())
	require.Error(t, f.Set("NaN"))
	require.False(t, equalWithin(math.Inf(1), 1, 1))
}

func TestOrdering(t *testing.T) {
	for expr, want := range map[string]resultOrder{
		"up": unordered, "sort(up)": orderedByValue, "(sort_desc(up))": orderedByValue, "topk(3, up)": orderedByValue,
		"sort_by_label(up, 'job')": ordered, "abs(up)": unordered, "sum(up)": unordered, "up(": unordered,
	} {
		require.Equal(t, want, ordering(expr, true), expr)
		require.Equal(t, unordered, ordering(expr, false), expr)
	}
}
