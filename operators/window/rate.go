package window

import (
	"math"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/operators"
)

// rate is rate, increase or delta. For counters, the samples before which the counter was reset are
// found once per series; a window then adds the values lost at those that lie in it, in time order.
type rate struct {
	counter   bool
	perSecond bool

	resets   []int32 // indexes of floats at which the counter had been reset
	overlaps []int32 // indexes of floats that claim to have started before the float before was taken
	hresets  []bool  // for histograms, from index hbase on
	hruns    histogramRuns
	hbase    int
	arena    *operators.HistogramArena // of the column written to

	overlapped int // windows with such a start timestamp
}

func newRate(counter, perSecond bool) func() Kernel {
	return func() Kernel { return &rate{counter: counter, perSecond: perSecond} }
}

func (k *rate) Run(c *Call, out operators.Column) error {
	if len(c.Bounds.Lo) == 0 {
		return nil
	}
	widened := c.Spec.Anchored || c.Spec.Smoothed
	if k.counter {
		k.findResets(c)
	}
	if !widened {
		k.findHistogramResets(c)
		k.hruns.find(c)
	}
	var (
		seen notes
		err  error
	)
	k.overlapped = 0
	k.arena = out.Arena()
	if widened {
		seen, err = k.runExtended(c, out)
	} else {
		seen, err = k.runExtrapolated(c, out)
	}
	if err != nil {
		return err
	}
	c.annotate(seen&^noteStartTimeOverlap, firstArg)
	if k.overlapped > 0 {
		for _, p := range c.Pos {
			c.Query.AnnotateUse(overlapWarning(c.Metric().Get(model.MetricNameLabel), p.First, k.overlapped), p.Use)
		}
	}
	return nil
}

// runExtrapolated evaluates the function where the selector is neither anchored nor smoothed.
func (k *rate) runExtrapolated(c *Call, out operators.Column) (seen notes, err error) {
	var (
		b, in   = c.Bounds, c.In
		t, f    = in.T, in.F
		hasST   = k.counter && in.ST != nil
		seconds = c.Spec.rangeSeconds()
		next    int // in resets: first that lies in the window
		overlap int
	)
	if b.HLo == nil && !hasST {
		k.runFloats(c, out)
		return 0, nil
	}
	for i := range b.Lo {
		lo, hi := int(b.Lo[i]), int(b.Hi[i])
		start, end := c.Spec.rangeAt(c.Steps.From + i)
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			if hi > lo {
				seen |= noteMixedFloatsHistograms
				continue
			}
			h, n, err := k.histogramAt(in, hlo, hhi, start, end, seconds)
			if n&noteStartTimeOverlap != 0 {
				k.overlapped++
			}
			seen |= n
			if err != nil {
				return seen, err
			}
			if h != nil {
				out.SetHistogram(i, h)
			}
			continue
		}
		if hi-lo < 2 && (hi == lo || !hasST) {
			continue
		}
		increase := f[hi-1] - f[lo]
		for next < len(k.resets) && int(k.resets[next]) <= lo {
			next++
		}
		for _, r := range k.resets[next:] {
			if int(r) >= hi {
				break
			}
			increase += f[r-1]
		}
		var created int64
		if hasST {
			for overlap < len(k.overlaps) && int(k.overlaps[overlap]) <= lo {
				overlap++
			}
			if overlap < len(k.overlaps) && int(k.overlaps[overlap]) < hi {
				k.overlapped++
			}
			if st := in.ST[lo]; startsIn(st, start, t[lo]) {
				increase += f[lo]
				created = st
			} else if hi-lo == 1 {
				continue
			}
		}
		zero := math.Inf(1)
		if k.counter && increase > 0 && f[lo] >= 0 {
			zero = f[lo] / increase
		}
		factor := extrapolation(start, end, t[lo], t[hi-1], hi-lo, created, zero)
		if k.perSecond {
			factor /= seconds
		}
		out.SetFloat(i, increase*factor)
	}
	return seen, nil
}

// startsIn tells whether the start timestamp of a window's first sample lies in the range, which starts at start, before that sample.
func startsIn(st, start, first int64) bool { return st != 0 && st > start && st < first }

// extrapolation is what the increase between the first and the last sample of a window has to be multiplied with to
// cover the range from start to end: to the ends of the range where the samples reach close to them, else by
// half of the average interval between samples. Zero is how far the counter's zero lies before the first
// sample, in sampled intervals; beyond it there is no extrapolation (infinite: no such limit). Where
// created is not 0 it is when the counter was zero, and takes the place of the first sample.
func extrapolation(start, end, first, last int64, samples int, created int64, zero float64) float64 {
	sampled := float64(last-first) / 1000
	var average float64
	if samples > 1 {
		average = sampled / float64(samples-1)
	}
	threshold := average * 1.1
	var toStart float64
	if created != 0 {
		sampled = float64(last-created) / 1000
	} else {
		toStart = float64(first-start) / 1000
		if toStart >= threshold {
			toStart = average / 2
		}
		if toZero := sampled * zero; toZero < toStart {
			toStart = toZero
		}
	}
	toEnd := float64(end-last) / 1000
	if toEnd >= threshold {
		toEnd = average / 2
	}
	if sampled == 0 {
		return 1
	}
	return (sampled + toStart + toEnd) / sampled
}

// findResets lists the resets, and the overlapping start timestamps, of the floats that the windows hold.
func (k *rate) findResets(c *Call) {
	b, in := c.Bounds, c.In
	k.resets, k.overlaps = k.resets[:0], k.overlaps[:0]
	lo, hi := int(b.Lo[0]), int(b.Hi[len(b.Hi)-1])
	if hi-lo < 2 {
		return
	}
	f := in.F[:hi]
	prev := f[lo]
	if in.ST == nil {
		for i := lo + 1; i < len(f); i++ {
			v := f[i]
			if v < prev {
				k.resets = append(k.resets, int32(i))
			}
			prev = v
		}
		return
	}
	for i := lo + 1; i < len(f); i++ {
		if f[i] < f[i-1] || startReset(in.ST[i-1], in.T[i-1], in.ST[i], in.T[i]) {
			k.resets = append(k.resets, int32(i))
		}
		if startOverlap(in.ST[i-1], in.T[i-1], in.ST[i]) {
			k.overlaps = append(k.overlaps, int32(i))
		}
	}
}

// findHistogramResets does for histograms what findResets does for floats.
func (k *rate) findHistogramResets(c *Call) {
	b := c.Bounds
	k.hresets = k.hresets[:0]
	if b.HLo == nil {
		return
	}
	lo, hi := int(b.HLo[0]), int(b.HHi[len(b.HHi)-1])
	k.hbase = lo
	for i := lo; i < hi; i++ {
		k.hresets = append(k.hresets, i > lo && k.counter && histogramReset(c.In, i))
	}
}

// resetWithin tells whether there is a counter reset among the histograms [lo, hi).
func (k *rate) resetWithin(lo, hi int) bool {
	return slices.Contains(k.hresets[lo+1-k.hbase:hi-k.hbase], true)
}

// histogramResetAt tells whether there is a counter reset between histogram i and the one before.
func (k *rate) histogramResetAt(i int) bool { return k.hresets[i-k.hbase] }

// histogramAt evaluates the function over a window of histograms [lo, hi). Without a result it returns nil.
func (k *rate) histogramAt(in *operators.Samples, lo, hi int, start, end int64, seconds float64) (h *histogram.FloatHistogram, n notes, err error) {
	if hi-lo > 1 {
		h, n, err = k.histogramIncrease(in, lo, hi)
		if h == nil {
			return nil, n, err
		}
	}
	var created int64
	zero := math.Inf(1)
	switch {
	case k.counter && in.HST != nil && startsIn(in.HST[lo], start, in.HT[lo]):
		created = in.HST[lo]
		if h == nil {
			h = in.H[lo].Copy()
		} else if ok, err := add(h, in.H[lo], &n); !ok {
			return nil, n, err
		}
	case h == nil:
		return nil, n, nil
	case k.counter && h.Count > 0 && in.H[lo].Count >= 0:
		zero = in.H[lo].Count / h.Count
	}
	factor := extrapolation(start, end, in.HT[lo], in.HT[hi-1], hi-lo, created, zero)
	if k.perSecond {
		factor /= seconds
	}
	return h.Mul(factor), n, nil
}
