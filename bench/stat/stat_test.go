package stat

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	e := Of([]float64{5, 1, 4, 2, 3, 6})
	require.Equal(t, Estimate{3.5, 1, 6, 6}, e, "with six values the interval is all of them")
	e = Of([]float64{1, 2, 3})
	require.Equal(t, 2.0, e.Median)
	require.True(t, math.IsInf(e.Lo, -1) && math.IsInf(e.Hi, 1), "three values are too few for an interval: %+v", e)
	require.True(t, math.IsNaN(Of(nil).Median))
}

func TestRatio(t *testing.T) {
	r := Ratio(Estimate{2, 1, 3, 8}, Estimate{4, 2, 5, 7})
	require.Equal(t, Estimate{0.5, 0.2, 1.5, 7}, r)
}

func TestMeans(t *testing.T) {
	require.InDelta(t, 4, GeometricMean([]float64{2, 8}), 1e-12)
	require.True(t, math.IsNaN(GeometricMean(nil)))
	require.Equal(t, 1.0, Min([]float64{3, 1, 2}))
	require.Equal(t, 3.0, Max([]float64{1, 3, 2}))
	require.True(t, math.IsNaN(Min(nil)) && math.IsNaN(Max(nil)))
}

func TestDiffer(t *testing.T) {
	_, d := Differ([]float64{1, 2, 3, 4, 5, 6}, []float64{7, 8, 9, 10, 11, 12})
	require.True(t, d)
	_, d = Differ([]float64{1, 2, 3, 4, 5, 6}, []float64{1.5, 2.5, 3.5, 4.5, 5.5, 0.5})
	require.False(t, d)
	_, d = Differ(nil, []float64{1})
	require.False(t, d)
}
