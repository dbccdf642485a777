package aggregate

import (
	"math/bits"

	"github.com/stride-promql/stride/internal/bitmap"
)

func onesCount(w uint64) int { return bits.OnesCount64(w) }

func trailingZeros(w uint64) int { return bits.TrailingZeros64(w) }

// lastBit is the last set bit of b, or -1.
func lastBit(b bitmap.Bitmap) int {
	for w := len(b) - 1; w >= 0; w-- {
		if b[w] != 0 {
			return w<<6 + 63 - bits.LeadingZeros64(b[w])
		}
	}
	return -1
}

// nextRun is the first run of set bits in [from, to), empty and at to if there is none.
func nextRun(b bitmap.Bitmap, from, to int) (lo, hi int) {
	lo = b.Next(from, to)
	for hi = lo; hi < to; {
		n := min(64, to-hi)
		k := bits.TrailingZeros64(^b.Load(hi, n))
		if k < n {
			return lo, hi + k
		}
		hi += n
	}
	return lo, hi
}
