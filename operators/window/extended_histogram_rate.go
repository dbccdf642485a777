package window

import (
	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/operators"
)

// extendedHistogramAt is extended.increase for the histograms [lo, hi) of a series, where start
// timestamps play no part. The result is the caller's to write to; it is nil where there is none.
func (k *rate) extendedHistogramAt(in *operators.Samples, lo, hi int, start, end int64, smoothed bool) (*histogram.FloatHistogram, notes, error) {
	t, h := in.HT[lo:hi], in.H[lo:hi]
	first, last := boundary(t, start, end, smoothed)
	if t[last] <= start || smoothed && t[first] > end {
		return nil, 0, nil
	}
	var n notes
	custom := h[first].UsesCustomBuckets()
	for _, x := range h[first : last+1] {
		if x.UsesCustomBuckets() != custom {
			return nil, n | noteMixedExponentialCustom, nil
		}
		if k.counter && isGauge(x) {
			n |= noteNotCounter
		}
	}
	left, right := h[first], h[last]
	between := smoothed && t[first] < start
	if between {
		var err error
		if left, err = interpolateHistograms(h[first], h[first+1], t[first], t[first+1], start, k.counter, &n); left == nil {
			return nil, n, err
		}
	}
	if smoothed && last > 0 && t[last] > end {
		var err error
		if right, err = interpolateHistograms(h[last-1], h[last], t[last-1], t[last], end, k.counter, &n); right == nil {
			return nil, n, err
		}
	}
	if !k.counter && (!isGauge(left) || !isGauge(right)) {
		n |= noteNotGauge
	}
	result := right.Copy()
	if ok, err := subtract(result, left, &n); !ok {
		return nil, n, err
	}
	if !k.counter {
		return result, n, nil
	}
	prev, next := left, first+1
	if between && h[first+1].DetectReset(h[first]) {
		// The value at the left end has this reset in it already.
		prev, next = h[first+1], first+2
	}
	if next > last {
		return result, n, nil
	}
	lost, ok, err := lostInResets(prev, h[next:last], right, &n)
	if ok && lost != nil {
		ok, err = add(result, lost, &n)
	}
	if !ok {
		return nil, n, err
	}
	return result, n, nil
}

// lostInResets is the sum of what a counter lost in resets from prev over the histograms h to right; it is nil
// where it lost nothing. False, without an error, says that they do not go together. The last sample is not in h, as right stands
// for it and has its hint, which would otherwise be seen twice.
func lostInResets(prev *histogram.FloatHistogram, h []*histogram.FloatHistogram, right *histogram.FloatHistogram, n *notes) (*histogram.FloatHistogram, bool, error) {
	var lost *histogram.FloatHistogram
	for i := 0; i <= len(h); i++ {
		next := right
		if i < len(h) {
			next = h[i]
		}
		if next.DetectReset(prev) {
			if lost == nil {
				lost = prev.Copy()
			} else if ok, err := add(lost, prev, n); !ok {
				return nil, false, err
			}
		}
		prev = next
	}
	return lost, true, nil
}

// interpolateHistograms is interpolate for histograms; the result is nil where they do not go together.
func interpolateHistograms(a, b *histogram.FloatHistogram, ta, tb, t int64, counter bool, n *notes) (*histogram.FloatHistogram, error) {
	fraction := float64(t-ta) / float64(tb-ta)
	result := b.Copy()
	if counter && b.DetectReset(a) {
		return result.Mul(fraction), nil
	}
	if ok, err := subtract(result, a, n); !ok {
		return nil, err
	}
	if ok, err := add(result.Mul(fraction), a, n); !ok {
		return nil, err
	}
	return result, nil
}
