package scan

import (
	"math"

	"github.com/prometheus/prometheus/model/value"
)

// newest puts the newest sample of a series at each of up to 64 steps into dst: the last of t that is neither after the
// step's reference time nor older than the lookback, unless it is a stale marker. The first step looks at ref, each further one
// interval later; i is the newest sample at the step before, -1 if none. It gives that of the last step and a bit for each step
// that has a sample, the lowest being the first step's; dst is undefined elsewhere.
//
// How many samples a step has passed is hard to foretell where scrapes are now and then a few ms late, so that four at a time are
// counted without a branch.
func newest(dst []float64, t []int64, f []float64, i int, ref, interval, lookback int64) (int, uint64) {
	var set uint64
	f = f[:len(t)]
	for k := range dst {
		for i+4 < len(t) {
			next := (*[4]int64)(t[i+1:])
			n := 0
			if next[0] <= ref {
				n++
			}
			if next[1] <= ref {
				n++
			}
			if next[2] <= ref {
				n++
			}
			if next[3] <= ref {
				n++
			}
			i += n
			if n < 4 {
				break
			}
		}
		for i+1 < len(t) && t[i+1] <= ref {
			i++
		}
		if uint(i) < uint(len(t)) {
			v := f[i]
			dst[k] = v
			if t[i] > ref-lookback && math.Float64bits(v) != value.StaleNaN {
				set |= 1 << uint(k)
			}
		}
		ref += interval
	}
	return i, set
}
