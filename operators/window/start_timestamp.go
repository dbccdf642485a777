package window

import (
	"math/bits"

	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
)

// point is a float sample with its start timestamp, 0 where that is not known.
type point struct {
	t  int64
	v  float64
	st int64
}

// startReset tells whether the start timestamp of a sample says that its counter was reset since
// the sample before. A start that did not change, is not set or does not lie before its sample
// says nothing; one before the previous sample is an overlap, not a reset. A start equal to the
// previous sample's time is that of a delta, unless the previous start is unknown (not set, or not before its sample).
func startReset(prevST, prevT, st, t int64) bool {
	if st == 0 || st == prevST || st >= t || st < prevT {
		return false
	}
	return st > prevT || prevST != 0 && prevST < prevT
}

// startResetAfter tells whether a sample's start timestamp says that its counter was reset later than a time.
func startResetAfter(time, st, t int64) bool { return st > time && st < t && st != 0 }

// startOverlap tells whether a sample claims to have started before the sample before it was taken.
func startOverlap(prevST, prevT, st int64) bool { return st != 0 && st < prevT && st != prevST }

// overlapWarning is the warning about n > 0 windows with start timestamps that overlap: it says how many there were,
// which it learns only by merging, so it is doubled (merged with itself) for every bit of n but the highest.
func overlapWarning(name string, pos posrange.PositionRange, n int) error {
	merge := func(a, b error) error { return a.(interface{ Merge(error) error }).Merge(b) }
	w := annotations.NewStartTimeOverlapWarning(name, pos)
	for bit := bits.Len(uint(n)) - 2; bit >= 0; bit-- {
		w = merge(w, w)
		if n>>bit&1 != 0 {
			w = merge(annotations.NewStartTimeOverlapWarning(name, pos), w)
		}
	}
	return w
}
