package window

import (
	"errors"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/util/kahansum"

	"github.com/stride-promql/stride/operators"
)

// sum is sum_over_time or avg_over_time.
type sum struct {
	avg bool

	s    slidingSum
	runs histogramRuns
	comp []float64 // compensations of a histogram's buckets
}

func (k *sum) Run(c *Call, out operators.Column) error {
	var (
		b, in = c.Bounds, c.In
		f     = in.F
		slide = c.Spec.overlapping()
		seen  notes

		doneLo, doneHi int
		done           *histogram.FloatHistogram
	)
	k.s.reset()
	k.runs.find(c)
	for i := range b.Lo {
		lo, hi := int(b.Lo[i]), int(b.Hi[i])
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			if hi > lo {
				seen |= noteMixedFloatsHistograms
				continue
			}
			if hlo != doneLo || hhi != doneHi {
				h, n, err := k.histograms(out.Arena(), in.H[hlo:hhi], k.runs.one(hlo, hhi))
				seen |= n
				if err != nil {
					return err
				}
				done, doneLo, doneHi = h, hlo, hhi
			}
			if done != nil {
				out.SetHistogram(i, done)
			}
			continue
		}
		if hi == lo {
			continue
		}
		if slide {
			s, comp, ok := k.s.move(f, lo, hi)
			if ok {
				out.SetFloat(i, k.finish(s, comp, hi-lo))
				continue
			}
		}
		out.SetFloat(i, k.inOrder(f[lo:hi]))
	}
	c.annotate(seen, firstArg)
	return nil
}

// finish makes the result from a finite compensated sum.
func (k *sum) finish(s, comp float64, n int) float64 {
	if k.avg {
		return s/float64(n) + comp/float64(n)
	}
	return s + comp
}

// inOrder is the result for a window on its own, bit for bit Prometheus'.
func (k *sum) inOrder(f []float64) float64 {
	s, comp := compensatedSum(f)
	if finite(s) && finite(comp) {
		return k.finish(s, comp, len(f))
	}
	if k.avg {
		return mean(f)
	}
	s, comp = 0, 0
	for _, v := range f {
		s, comp = kahansum.Inc(v, s, comp)
	}
	if math.IsInf(s, 0) {
		return s
	}
	return s + comp
}

// mean is the mean of values whose sum need not be finite: from where it is not, the mean is updated value by value.
func mean(f []float64) float64 {
	s, comp := f[0], 0.0
	i := 1
	for ; i < len(f); i++ {
		next, nextComp := kahansum.Inc(f[i], s, comp)
		if math.IsInf(next, 0) {
			break
		}
		s, comp = next, nextComp
	}
	if i == len(f) {
		n := float64(len(f))
		return s/n + comp/n
	}
	m := s / float64(i)
	comp /= float64(i)
	for ; i < len(f); i++ {
		n := float64(i + 1)
		q := (n - 1) / n
		m, comp = kahansum.Inc(f[i]/n, q*m, q*comp)
	}
	return m + comp
}

// histograms is the sum or mean of histograms. It is nil where they do not go together; the notes are then that alone.
// oneRun says that they are of one run.
func (k *sum) histograms(a *operators.HistogramArena, h []*histogram.FloatHistogram, oneRun bool) (*histogram.FloatHistogram, notes, error) {
	var (
		result     *histogram.FloatHistogram
		reconciled bool
		err        error
	)
	if oneRun {
		result = k.sumRun(a, h)
	}
	switch {
	case result != nil:
	case k.avg:
		result, reconciled, err = meanHistogram(h)
	default:
		result, reconciled, err = sumHistograms(h)
	}
	if err != nil {
		if errors.Is(err, histogram.ErrHistogramsIncompatibleSchema) {
			return nil, noteMixedExponentialCustom, nil
		}
		return nil, 0, err
	}
	var n notes
	var reset, notReset bool
	for _, x := range h {
		reset = reset || x.CounterResetHint == histogram.CounterReset
		notReset = notReset || x.CounterResetHint == histogram.NotCounterReset
	}
	if reset && notReset {
		n |= noteCounterResetCollision
	}
	if reconciled {
		n |= noteMismatchedBucketsAgg
	}
	return result, n, nil
}

// sumRun is the sum or mean of histograms of one run, bit for bit sumHistograms' and meanHistogram's, or nil where a value is not finite.
func (k *sum) sumRun(a *operators.HistogramArena, h []*histogram.FloatHistogram) *histogram.FloatHistogram {
	out := a.Duplicate(h[0])
	if len(h) == 1 {
		return out // a mean of one is divided by 1
	}
	positive, negative := len(out.PositiveBuckets), len(out.NegativeBuckets)
	k.comp = resize(k.comp, positive+negative)
	clear(k.comp)
	hint := out.CounterResetHint
	var count, zero, total compensation
	for _, x := range h[1:] {
		hint = addedHint(hint, x.CounterResetHint)
		out.Count = count.add(out.Count, x.Count)
		out.ZeroCount = zero.add(out.ZeroCount, x.ZeroCount)
		out.Sum = total.add(out.Sum, x.Sum)
		addBuckets(out.PositiveBuckets, k.comp[:positive], x.PositiveBuckets)
		addBuckets(out.NegativeBuckets, k.comp[positive:], x.NegativeBuckets)
	}
	out.CounterResetHint = addedHint(hint, h[0].CounterResetHint)
	n := 1.0
	if k.avg {
		n = float64(len(h))
	}
	ok := part(&out.Count, float64(count), n) && part(&out.ZeroCount, float64(zero), n) && part(&out.Sum, float64(total), n)
	for i := range out.PositiveBuckets {
		ok = part(&out.PositiveBuckets[i], k.comp[i], n) && ok
	}
	for i := range out.NegativeBuckets {
		ok = part(&out.NegativeBuckets[i], k.comp[positive+i], n) && ok
	}
	if !ok {
		return nil
	}
	return out
}

// compensation is the error of a sum so far.
type compensation float64

func (c *compensation) add(s, v float64) float64 {
	t := s + v
	d := t - s
	*c += compensation((s - (t - d)) + (v - d))
	return t
}

// addBuckets adds v to compensated sums.
func addBuckets(s, comp, v []float64) {
	comp, v = comp[:len(s)], v[:len(s)]
	for i, x := range v {
		t := s[i] + x
		d := t - s[i]
		comp[i] += (s[i] - (t - d)) + (x - d)
		s[i] = t
	}
}

// part makes the n'th part of a compensated sum in place and tells whether it is finite.
func part(s *float64, comp, n float64) bool {
	*s = *s/n + comp/n
	return finite(*s)
}

// addedHint is the hint of the sum of two histograms, as FloatHistogram.Add sets it.
func addedHint(h, other histogram.CounterResetHint) histogram.CounterResetHint {
	switch {
	case h == other:
		return h
	case h == histogram.GaugeType || other == histogram.GaugeType:
		return histogram.GaugeType
	default:
		return histogram.UnknownCounterReset
	}
}

// sumHistograms is the compensated sum; reconciled tells that custom bucket bounds had to be made to match.
func sumHistograms(h []*histogram.FloatHistogram) (sum *histogram.FloatHistogram, reconciled bool, err error) {
	sum = h[0].Copy()
	var comp *histogram.FloatHistogram
	for _, x := range h[1:] {
		var r bool
		comp, _, r, err = sum.KahanAdd(x, comp)
		if err != nil {
			return nil, reconciled, err
		}
		reconciled = reconciled || r
	}
	if comp == nil {
		return sum, reconciled, nil
	}
	sum, _, r, err := sum.Add(comp)
	return sum, reconciled || r, err
}

// meanHistogram divides the compensated sum, or where that overflows updates the mean histogram by histogram.
func meanHistogram(h []*histogram.FloatHistogram) (_ *histogram.FloatHistogram, reconciled bool, err error) {
	var comp *histogram.FloatHistogram
	sum := h[0].Copy()
	i := 1
	for ; i < len(h); i++ {
		// The sum before is needed where this one overflows.
		next, nextComp := sum.Copy(), comp
		if comp != nil {
			nextComp = comp.Copy()
		}
		var r bool
		nextComp, _, r, err = next.KahanAdd(h[i], nextComp)
		if err != nil {
			return nil, reconciled, err
		}
		reconciled = reconciled || r
		if next.HasOverflow() {
			break
		}
		sum, comp = next, nextComp
	}
	mean := sum.Div(float64(i))
	if comp != nil {
		comp.Div(float64(i))
	}
	for ; i < len(h); i++ {
		n := float64(i + 1)
		q := (n - 1) / n
		if comp != nil {
			comp.Mul(q)
		}
		var r bool
		comp, _, r, err = mean.Mul(q).KahanAdd(h[i].Copy().Div(n), comp)
		if err != nil {
			return nil, reconciled, err
		}
		reconciled = reconciled || r
	}
	if comp != nil {
		mean, _, _, err = mean.Add(comp)
	}
	return mean, reconciled, err
}
