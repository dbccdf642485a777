// Package quantile finds quantiles without sorting all values.
package quantile

import (
	"math"
	"slices"
)

// Of is the q-quantile of values by linear interpolation between the two nearest, NaN being
// less than every number: NaN without values, an infinity for a q outside [0, 1], as Prometheus has it. It changes the values' order.
func Of(q float64, values []float64) float64 {
	switch {
	case len(values) == 0 || math.IsNaN(q):
		return math.NaN()
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(1)
	}
	n := len(values)
	rank := q * float64(n-1)
	floor := math.Floor(rank)
	lower := max(0, int(floor))
	upper := min(n-1, lower+1)
	weight := rank - floor
	// NaNs come first.
	nans := 0
	for i, v := range values {
		if v != v {
			values[i], values[nans] = values[nans], v
			nans++
		}
	}
	if upper < nans {
		return math.NaN()
	}
	numbers := values[nans:]
	low := math.NaN()
	if lower >= nans {
		low = nth(numbers, lower-nans)
	}
	if weight == 0 {
		// Not the sum below: 0 * Inf is NaN.
		return low
	}
	high := low
	switch {
	case upper > lower && lower >= nans:
		high = slices.Min(numbers[upper-nans:])
	case upper > lower:
		high = nth(numbers, upper-nans)
	}
	return float64(low*(1-weight)) + float64(high*weight)
}
