package window

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/operators"
)

// transitions is resets or changes: the number of neighbours in a window between which something
// happened. Whether it did depends on the two samples only, so it is found once per series, in a
// running count over floats and histograms in common time order; a window's number is a difference of
// two counts. The place in the common order of a window's first sample is the sum of its places among floats and histograms.
type transitions struct {
	resets bool
	counts []int32
}

func (k *transitions) Run(c *Call, out operators.Column) error {
	b := c.Bounds
	n := len(b.Lo)
	if n == 0 {
		return nil
	}
	hlo, _ := b.histogramWindow(0)
	_, hhi := b.histogramWindow(n - 1)
	base := int(b.Lo[0]) + hlo
	if hhi == hlo {
		k.countFloats(c.In, int(b.Lo[0]), int(b.Hi[n-1]))
	} else {
		k.countMixed(c.In, int(b.Lo[0]), int(b.Hi[n-1]), hlo, hhi)
	}
	var anchorF, anchorH int
	for i := range b.Lo {
		lo, hi := int(b.Lo[i]), int(b.Hi[i])
		hlo, hhi := b.histogramWindow(i)
		if lo == hi && hlo == hhi {
			continue
		}
		from := lo + hlo
		if c.Spec.Anchored {
			// The last sample at or before the start of the range, of either kind, comes first.
			start, _ := c.Spec.rangeAt(c.Steps.From + i)
			for anchorF = max(anchorF, lo); anchorF < hi && c.In.T[anchorF] <= start; anchorF++ {
			}
			for anchorH = max(anchorH, hlo); anchorH < hhi && c.In.HT[anchorH] <= start; anchorH++ {
			}
			if anchorF == hi && anchorH == hhi {
				continue
			}
			from = max(from, anchorF+anchorH-1)
		}
		out.SetFloat(i, float64(k.counts[hi+hhi-1-base]-k.counts[from-base]))
	}
	return nil
}

// countFloats fills the running count over floats alone.
func (k *transitions) countFloats(in *operators.Samples, lo, hi int) {
	k.counts = resize(k.counts, hi-lo)
	f := in.F[lo:hi]
	var n int32
	switch {
	case len(f) == 0:
		return
	case !k.resets:
		for i := 1; i < len(f); i++ {
			if changed(f[i-1], f[i]) {
				n++
			}
			k.counts[i] = n
		}
	case in.ST == nil:
		for i := 1; i < len(f); i++ {
			if f[i] < f[i-1] {
				n++
			}
			k.counts[i] = n
		}
	default:
		t, st := in.T[lo:hi], in.ST[lo:hi]
		for i := 1; i < len(f); i++ {
			if f[i] < f[i-1] || startReset(st[i-1], t[i-1], st[i], t[i]) {
				n++
			}
			k.counts[i] = n
		}
	}
	k.counts[0] = 0
}

// countMixed fills the running count over floats and histograms in common time order.
func (k *transitions) countMixed(in *operators.Samples, lo, hi, hlo, hhi int) {
	k.counts = k.counts[:0]
	var n int32
	for prevIsFloat, isFloat := false, false; lo < hi || hlo < hhi; prevIsFloat = isFloat {
		isFloat = hlo == hhi || lo < hi && in.T[lo] < in.HT[hlo]
		var happened bool
		switch {
		case len(k.counts) == 0:
		case isFloat != prevIsFloat:
			happened = true
		case isFloat:
			happened = k.betweenFloats(in, lo)
		default:
			happened = k.betweenHistograms(in, hlo)
		}
		if happened {
			n++
		}
		k.counts = append(k.counts, n)
		if isFloat {
			lo++
		} else {
			hlo++
		}
	}
}

func (k *transitions) betweenFloats(in *operators.Samples, i int) bool {
	if !k.resets {
		return changed(in.F[i-1], in.F[i])
	}
	return in.F[i] < in.F[i-1] || in.ST != nil && startReset(in.ST[i-1], in.T[i-1], in.ST[i], in.T[i])
}

func (k *transitions) betweenHistograms(in *operators.Samples, i int) bool {
	if !k.resets {
		return !in.H[i].Equals(in.H[i-1])
	}
	return histogramReset(in, i)
}

// changed tells whether two values differ; NaN does not differ from NaN.
func changed(a, b float64) bool { return a != b && !(math.IsNaN(a) && math.IsNaN(b)) }

// histogramReset tells whether there is a counter reset between histogram i and the one before.
func histogramReset(in *operators.Samples, i int) bool {
	return in.HST != nil && startReset(in.HST[i-1], in.HT[i-1], in.HST[i], in.HT[i]) || in.H[i].DetectReset(in.H[i-1])
}

// isGauge tells whether a histogram is marked as a gauge.
func isGauge(h *histogram.FloatHistogram) bool { return h.CounterResetHint == histogram.GaugeType }
