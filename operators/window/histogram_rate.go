package window

import (
	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/operators"
)

// histogramIncrease is the increase (for a gauge: the difference) from the first to the last of at least two histograms
// [lo, hi), counter resets added. It is nil where the histograms do not go together; the notes are then that alone.
func (k *rate) histogramIncrease(in *operators.Samples, lo, hi int) (*histogram.FloatHistogram, notes, error) {
	h := in.H[lo:hi]
	first, second, last := h[0], h[1], h[len(h)-1]
	if in.HST == nil && k.hruns.one(lo, hi) && !k.resetWithin(lo, hi) {
		h, n := k.difference(first, last)
		return h, n, nil
	}
	var n notes
	if k.counter && (isGauge(first) || isGauge(last)) {
		n |= noteNotCounter
	}
	prev := first
	cleared := k.counter && k.histogramResetAt(lo+1)
	if cleared {
		// Nothing of the first histogram counts but that it is there, so its layout need not fit.
		prev = &histogram.FloatHistogram{Schema: second.Schema, CustomValues: second.CustomValues}
	}
	custom := prev.UsesCustomBuckets()
	if last.UsesCustomBuckets() != custom {
		return nil, n | noteMixedExponentialCustom, nil
	}
	schema := min(last.Schema, prev.Schema)
	if k.counter {
		for _, x := range h[1 : len(h)-1] {
			if isGauge(x) {
				n |= noteNotCounter
			}
			if x.UsesCustomBuckets() != custom {
				return nil, noteMixedExponentialCustom, nil
			}
			schema = min(schema, x.Schema)
		}
	}
	result, err := last.CopyToSchema(schema)
	if err != nil {
		return nil, n, err
	}
	if ok, err := subtract(result, prev, &n); !ok {
		return nil, noteMixedExponentialCustom, err
	}
	if !k.counter {
		if !isGauge(first) || !isGauge(last) {
			n |= noteNotGauge
		}
		return finish(result), n, nil
	}
	for i := 1; i < len(h); i++ {
		reset := k.histogramResetAt(lo + i)
		if in.HST != nil {
			st, pst, pt := in.HST[lo+i], in.HST[lo+i-1], in.HT[lo+i-1]
			if startOverlap(pst, pt, st) {
				n |= noteStartTimeOverlap
			}
			if i == 1 && cleared {
				reset = startReset(pst, pt, st, in.HT[lo+i]) || h[i].DetectReset(prev)
			}
		} else if i == 1 && cleared {
			reset = h[i].DetectReset(prev)
		}
		if reset {
			if ok, err := add(result, prev, &n); !ok {
				return nil, noteMixedExponentialCustom, err
			}
		}
		prev = h[i]
	}
	return finish(result), n, nil
}

// difference is histogramIncrease where the histograms from the first to the last are of one run, without a reset.
func (k *rate) difference(first, last *histogram.FloatHistogram) (*histogram.FloatHistogram, notes) {
	var n notes
	switch gauge := isGauge(first); {
	case k.counter && gauge:
		n = noteNotCounter
	case !k.counter && !gauge:
		n = noteNotGauge
	}
	h := k.arena.New(last)
	h.CounterResetHint = histogram.GaugeType
	h.ZeroCount = last.ZeroCount - first.ZeroCount
	h.Count = last.Count - first.Count
	h.Sum = last.Sum - first.Sum
	some := subtractBuckets(h.PositiveBuckets, last.PositiveBuckets, first.PositiveBuckets)
	if subtractBuckets(h.NegativeBuckets, last.NegativeBuckets, first.NegativeBuckets) || some {
		h.Compact(0)
	}
	return h, n
}

// subtractBuckets puts a-b into dst and tells whether that leaves a bucket empty.
func subtractBuckets(dst, a, b []float64) (empty bool) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - b[i]
		empty = empty || dst[i] == 0
	}
	return empty
}

// finish makes a sum of histograms a result: a gauge without empty buckets.
func finish(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	h.CounterResetHint = histogram.GaugeType
	return h.Compact(0)
}
