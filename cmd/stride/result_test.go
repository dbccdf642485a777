package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
)

// Histograms with all kinds of buckets: negative, zero, positive, custom bounds, empty.
var (
	exponential = &histogram.FloatHistogram{
		Count: 9.5, Sum: -3e22, ZeroThreshold: 0.001, ZeroCount: 2,
		PositiveSpans: []histogram.Span{{Length: 3}}, PositiveBuckets: []float64{1, 0, 3},
		NegativeSpans: []histogram.Span{{Offset: 1, Length: 1}}, NegativeBuckets: []float64{1.5},
	}
	custom = &histogram.FloatHistogram{
		Schema: histogram.CustomBucketsSchema, Count: 3, Sum: 1, CustomValues: []float64{0.1, 1},
		PositiveSpans: []histogram.Span{{Length: 3}}, PositiveBuckets: []float64{1, 1, 1},
	}
)

// sampleResults are results of all types by name.
func sampleResults() map[string]*result {
	const t0 = 1_700_000_000_000
	instant := grid{instant: true, start: time.UnixMilli(t0), end: time.UnixMilli(t0)}
	minutes := grid{start: time.UnixMilli(t0), end: time.UnixMilli(t0 + 9*60_000), step: time.Minute}
	odd := labels.FromStrings("__name__", "odd", "path", `C:\<a>&"b"`, "text", "two\nlines")

	ramp := promql.Series{Metric: labels.FromStrings("job", "ramp")}
	flat := promql.Series{Metric: labels.FromStrings("job", "flat", "zone", "eu")}
	gaps := promql.Series{Metric: labels.FromStrings("job", "gaps")}
	mixed := promql.Series{Metric: labels.FromStrings("job", "mixed")}
	for i := range int64(10) {
		at := t0 + i*60_000
		ramp.Floats = append(ramp.Floats, promql.FPoint{T: at, F: float64(i * i)})
		flat.Floats = append(flat.Floats, promql.FPoint{T: at, F: 20})
		if i < 3 || i > 6 {
			gaps.Floats = append(gaps.Floats, promql.FPoint{T: at, F: 60 - 4*float64(i)})
		}
		if i%2 == 0 {
			mixed.Floats = append(mixed.Floats, promql.FPoint{T: at, F: math.NaN()})
		} else {
			mixed.Histograms = append(mixed.Histograms, promql.HPoint{T: at, H: exponential})
		}
	}
	mixed.Floats[0].F = math.Inf(1)

	raw := promql.Series{Metric: labels.FromStrings("__name__", "raw"), Floats: []promql.FPoint{
		{T: t0 - 290_123, F: 1}, {T: t0 - 200_000, F: 3}, {T: t0 - 20, F: -2},
	}}
	return map[string]*result{
		"vector": {grid: instant, value: promql.Vector{
			{T: t0, F: 12.5, Metric: labels.FromStrings("job", "api", "zone", "eu")},
			{T: t0, F: -1.0 / 3, Metric: labels.FromStrings("__name__", "up", "job", "worker")},
			{T: t0, F: math.NaN(), Metric: odd},
			{T: t0, F: math.Inf(1), Metric: labels.EmptyLabels()},
			{T: t0, F: 1e21, Metric: labels.EmptyLabels()},
		}, warnings: []string{"PromQL warning: <first>", "PromQL warning: second"}, infos: []string{"PromQL info: third"}},
		"histograms": {grid: instant, value: promql.Vector{
			{T: t0 + 250, H: exponential, Metric: labels.FromStrings("le", "no")},
			{T: t0 + 250, H: custom},
			{T: t0 + 250, H: &histogram.FloatHistogram{}},
		}},
		"matrix":       {grid: minutes, value: promql.Matrix{ramp, flat, gaps, mixed}},
		"raw":          {grid: instant, value: promql.Matrix{raw}},
		"scalar":       {grid: instant, value: promql.Scalar{T: t0 + 1, V: 1e22}},
		"string":       {grid: instant, value: promql.String{T: t0, V: "<a>\x1b"}},
		"emptyvector":  {grid: instant, value: promql.Vector(nil)},
		"emptymatrix":  {grid: minutes, value: promql.Matrix(nil)},
		"singlepoint":  {grid: grid{start: minutes.start, end: minutes.start, step: time.Minute}, value: promql.Matrix{{Floats: ramp.Floats[:1]}}},
		"notdrawable":  {grid: minutes, value: promql.Matrix{{Floats: mixed.Floats}}},
		"negativebars": {grid: instant, value: promql.Vector{{T: t0, F: -4, Metric: labels.FromStrings("a", "b")}, {T: t0, F: 2}, {T: t0, H: custom}}},
	}
}

// TestWriters compares all formats of all results with files. STRIDE_UPDATE_GOLDEN=1 writes them.
func TestWriters(t *testing.T) {
	for name, r := range sampleResults() {
		for format, write := range writers {
			t.Run(name+"."+format, func(t *testing.T) {
				var b strings.Builder
				require.NoError(t, write(&b, r, view{width: 60, height: 7, lines: 3}))
				if format == "json" {
					require.True(t, json.Valid([]byte(b.String())))
				}
				file := filepath.Join("testdata", name+"."+format)
				if os.Getenv("STRIDE_UPDATE_GOLDEN") != "" {
					require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o666))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, string(want), b.String())
			})
		}
	}
}

// TestWriterErrors checks that output that cannot be written is an error in every format.
func TestWriterErrors(t *testing.T) {
	for name, r := range sampleResults() {
		for format, write := range writers {
			require.ErrorIs(t, write(brokenWriter{}, r, view{width: 60, height: 7, lines: 3}), errBroken, "%s as %s", name, format)
		}
	}
}

func TestChartColors(t *testing.T) {
	r := sampleResults()["singlepoint"]
	v := view{width: 30, height: 3, lines: 3}
	plain := chart(r, v)
	v.color = true
	colored := chart(r, v)
	require.Contains(t, colored, "\x1b[34m●\x1b[0m")
	require.Equal(t, plain, strings.NewReplacer("\x1b[34m", "", "\x1b[0m", "").Replace(colored))
}

func TestSparkline(t *testing.T) {
	nan := math.NaN()
	require.Equal(t, "▁▂▃▄▅▆▇█", sparkline([]float64{0, 1, 2, 3, 4, 5, 6, 7}))
	require.Equal(t, "▄ ▄", sparkline([]float64{5, nan, 5}))
	require.Equal(t, "  ", sparkline([]float64{nan, nan}))
	require.Equal(t, "▁█", sparkline([]float64{-math.MaxFloat64, math.MaxFloat64}))
}

func TestSpanSample(t *testing.T) {
	nan := math.NaN()
	sp := span{start: 0, end: 100, gap: 20}
	for _, tc := range []struct {
		points []point
		want   []float64
	}{
		{[]point{{0, 1}, {20, 3}, {40, 5}, {60, 7}, {80, 9}, {100, 11}}, []float64{1, 3, 5, 7, 9, 11}},
		{[]point{{0, 1}, {15, 2}, {25, 4}}, []float64{1, 3, nan, nan, nan, nan}},
		{[]point{{40, math.Inf(1)}, {60, nan}, {62, 3}}, []float64{nan, nan, nan, 3, nan, nan}},
		{nil, []float64{nan, nan, nan, nan, nan, nan}},
	} {
		got := sp.sample(tc.points, 6)
		require.Len(t, got, 6)
		for i := range got {
			if math.IsNaN(tc.want[i]) {
				require.True(t, math.IsNaN(got[i]), "column %d of %v: %g", i, tc.points, got[i])
			} else {
				require.Equal(t, tc.want[i], got[i], "column %d of %v", i, tc.points)
			}
		}
	}
	// Sparse samples are joined, unless they are too far apart.
	require.Equal(t, []float64{0, 1, 2, 3, 4}, span{start: 0, end: 40, gap: 40}.sample([]point{{0, 0}, {40, 4}}, 5))
	require.True(t, math.IsNaN(span{start: 0, end: 40, gap: 39}.sample([]point{{0, 0}, {40, 4}}, 5)[2]))
}
