package main

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"
)

func TestFormatSeconds(t *testing.T) {
	for ms, want := range map[int64]string{
		0: "0", 1: "0.001", -1: "-0.001", 50: "0.050", 1500: "1.500", -1500: "-1.500", -999: "-0.999", 60_000: "60", -2000: "-2",
	} {
		require.Equal(t, want, formatSeconds(ms))
	}
}

func TestFormatShort(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "18970": 18971.3, "-18970": -18971.3, "1.235": 1.23456, "0.0001235": 0.000123456, "1.235e-05": 0.0000123456,
		"999900000000": 999_900_000_001, "1e+15": 1e15, "NaN": math.NaN(), "-Inf": math.Inf(-1),
	} {
		require.Equal(t, want, formatShort(v, 4))
	}
}

func TestFormatHistogram(t *testing.T) {
	h := &histogram.FloatHistogram{
		Schema: histogram.CustomBucketsSchema, Count: 4, Sum: 6.5, CustomValues: []float64{1, 2},
		PositiveSpans: []histogram.Span{{Length: 2}}, PositiveBuckets: []float64{2, 2},
	}
	require.Equal(t, "count=4 sum=6.5 p50=1 p90=1.8 p99=1.98", formatHistogram(h))
}

func TestPrintable(t *testing.T) {
	require.Equal(t, `über "all"`, printable(`über "all"`))
	require.Equal(t, `a\nb`, printable("a\nb"))
	require.Equal(t, `\x1b[31mred`, printable("\x1b[31mred"))
	require.Equal(t, `\xff`, printable("\xff"))
}
