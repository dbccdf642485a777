package client

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/api"
)

// asJSON is a histogram as the API writes it.
func asJSON(t *testing.T, h *histogram.FloatHistogram) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, api.WriteResult(&b, promql.Vector{{H: h}}, nil, nil))
	_, rest, _ := strings.Cut(b.String(), `"histogram":[0,`)
	return strings.TrimSuffix(rest, "]}]}}")
}

// What is read back is written as it was, and where the schema can be told it is the same histogram.
func TestRebuild(t *testing.T) {
	for name, h := range map[string]*histogram.FloatHistogram{
		"empty": {Schema: 8},
		"all kinds": {
			Schema: 1, Count: 21, Sum: -3.5, ZeroThreshold: 0.001, ZeroCount: 2,
			PositiveSpans: []histogram.Span{{Offset: -3, Length: 2}, {Offset: 4, Length: 1}}, PositiveBuckets: []float64{1, 2, 3},
			NegativeSpans: []histogram.Span{{Offset: 0, Length: 1}, {Offset: 2, Length: 2}}, NegativeBuckets: []float64{4, 5, 6},
		},
		"fine":   {Schema: 8, PositiveSpans: []histogram.Span{{Offset: 1000, Length: 3}}, PositiveBuckets: []float64{1, 1, 1}},
		"coarse": {Schema: -4, PositiveSpans: []histogram.Span{{Offset: -2, Length: 4}}, PositiveBuckets: []float64{1, 1, 1, 1}},
		"largest": {
			Schema: 3, PositiveSpans: []histogram.Span{{Offset: 8190, Length: 4}}, PositiveBuckets: []float64{1, 1, 1, 1},
		},
		"largest, coarse": {Schema: -2, PositiveSpans: []histogram.Span{{Offset: 255, Length: 3}}, PositiveBuckets: []float64{1, 1, 1}},
		"smallest":        {Schema: 0, PositiveSpans: []histogram.Span{{Offset: -1070, Length: 2}}, PositiveBuckets: []float64{1, 1}},
		"custom":          {Schema: histogram.CustomBucketsSchema, CustomValues: []float64{-1, 0, 0.3, 7}, PositiveSpans: []histogram.Span{{Length: 5}}, PositiveBuckets: []float64{1, 2, 3, 4, 5}},
	} {
		h.Count, h.Sum = 21, math.Inf(-1)
		var j histogramJSON
		text := asJSON(t, h)
		require.NoError(t, json.Unmarshal([]byte(text), &j), name)
		got, err := j.rebuild()
		require.NoError(t, err, name)
		require.Equal(t, text, asJSON(t, got), name)
		require.True(t, h.Equals(got), "%s: %s %s", name, h, got)
	}
}

// Of custom buckets that are empty the bounds are lost.
func TestRebuildSparseCustom(t *testing.T) {
	for _, h := range []*histogram.FloatHistogram{
		{Schema: histogram.CustomBucketsSchema, CustomValues: []float64{1, 2.5, 3, 4}, PositiveSpans: []histogram.Span{{Offset: 1, Length: 1}, {Offset: 1, Length: 2}}, PositiveBuckets: []float64{1, 2, 3}},
		{Schema: histogram.CustomBucketsSchema, CustomValues: []float64{1, 2, 4}, PositiveSpans: []histogram.Span{{Offset: 1, Length: 2}}, PositiveBuckets: []float64{1, 2}},
	} {
		var j histogramJSON
		text := asJSON(t, h)
		require.NoError(t, json.Unmarshal([]byte(text), &j))
		got, err := j.rebuild()
		require.NoError(t, err)
		require.Equal(t, text, asJSON(t, got))
	}
}
