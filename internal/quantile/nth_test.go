package quantile

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	kinds := map[string]func(i int) float64{
		"random":    func(int) float64 { return r.NormFloat64() },
		"few":       func(int) float64 { return float64(r.IntN(3)) },
		"equal":     func(int) float64 { return 7 },
		"rising":    func(i int) float64 { return float64(i) },
		"falling":   func(i int) float64 { return -float64(i) },
		"organ":     func(i int) float64 { return float64(i * (i % 2)) },
		"infinite":  func(i int) float64 { return []float64{math.Inf(1), math.Inf(-1), 0, 1}[r.IntN(4)] },
		"sawtooth":  func(i int) float64 { return float64(i % 17) },
		"one apart": func(i int) float64 { return float64(min(i, 1)) },
	}
	for name, value := range kinds {
		for range 200 {
			values := make([]float64, 1+r.IntN(300))
			for i := range values {
				values[i] = value(i)
			}
			sorted := slices.Sorted(slices.Values(values))
			k := r.IntN(len(values))
			require.Equal(t, sorted[k], nth(values, k), name)
			require.Equal(t, sorted[k], values[k], name)
			require.LessOrEqual(t, slices.Max(append(values[:k:k], math.Inf(-1))), values[k], name)
			require.GreaterOrEqual(t, slices.Min(append(values[k+1:len(values):len(values)], math.Inf(1))), values[k], name)
			require.Equal(t, sorted, slices.Sorted(slices.Values(values)), "nothing is lost")
		}
	}
}
