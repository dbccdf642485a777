package window

import (
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
)

// histogramRuns are the runs of histograms of a series that can be added and subtracted bucket by bucket: neighbours of one layout, no
// bucket of which lies within the zero bucket, and either all or none of them gauges.
type histogramRuns struct {
	base int     // index of the first histogram that a window holds
	runs []int32 // number of the run, of each from there on
}

// find finds the runs among the histograms that the windows of a call hold.
func (r *histogramRuns) find(c *Call) {
	b, in := c.Bounds, c.In
	r.runs = r.runs[:0]
	if b.HLo == nil {
		return
	}
	lo, hi := int(b.HLo[0]), int(b.HHi[len(b.HHi)-1])
	r.base = lo
	run := int32(0)
	plain := lo < hi && zeroBucketApart(in.H[lo])
	for i := lo; i < hi; i++ {
		if i > lo {
			same := sameLayout(in.H[i], in.H[i-1])
			if !same {
				plain = zeroBucketApart(in.H[i])
			}
			if !same || !plain || isGauge(in.H[i]) != isGauge(in.H[i-1]) {
				run++
			}
		}
		r.runs = append(r.runs, run)
	}
}

// one tells whether the histograms [lo, hi) are of one run.
func (r *histogramRuns) one(lo, hi int) bool { return r.runs[lo-r.base] == r.runs[hi-1-r.base] }

// sameLayout tells whether histograms have the same buckets, of which they hold all.
func sameLayout(a, b *histogram.FloatHistogram) bool {
	return a.Schema == b.Schema && a.ZeroThreshold == b.ZeroThreshold &&
		len(a.PositiveBuckets) == len(b.PositiveBuckets) && len(a.NegativeBuckets) == len(b.NegativeBuckets) &&
		sameSlice(a.PositiveSpans, b.PositiveSpans) && sameSlice(a.NegativeSpans, b.NegativeSpans) &&
		sameSlice(a.CustomValues, b.CustomValues)
}

// zeroBucketApart tells whether no bucket lies within the zero bucket. FloatHistogram.Sub and Add leave such buckets out.
func zeroBucketApart(h *histogram.FloatHistogram) bool {
	if h.ZeroThreshold == 0 || h.UsesCustomBuckets() {
		return true
	}
	if it := h.PositiveBucketIterator(); it.Next() && it.At().Upper <= h.ZeroThreshold {
		return false
	}
	it := h.NegativeBucketIterator()
	return !it.Next() || it.At().Lower < -h.ZeroThreshold
}

// sameSlice is slices.Equal that is quick about slices of the same memory, as those of one chunk are.
func sameSlice[E comparable](a, b []E) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}
