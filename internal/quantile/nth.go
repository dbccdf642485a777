package quantile

import (
	"math/bits"
	"slices"
)

// partitionLeast is the least number of values that is worth partitioning; fewer are sorted.
const partitionLeast = 24

// nth arranges values, none of them a NaN, so that the k-th is where it would be if they were sorted, none before it is greater and none
// after it less: Hoare's selection, with sorting in its place where the pivots turn out bad.
func nth(values []float64, k int) float64 {
	lo, hi := 0, len(values)-1
	for left := 2 * bits.Len(uint(len(values))); hi-lo >= partitionLeast && left > 0; left-- {
		pivot := median(values[lo], values[lo+(hi-lo)/2], values[hi])
		i, j := lo, hi
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return values[k]
		}
	}
	slices.Sort(values[lo : hi+1])
	return values[k]
}

func median(a, b, c float64) float64 {
	return max(min(a, b), min(max(a, b), c))
}
