package aggregate

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
)

// histogramColumn is the histograms of a group over the steps of a range: while they are added, and
// when they are finished.
type histogramColumn struct {
	at     []*histogramSum
	result []*histogram.FloatHistogram
}

// histogramSum is the sum or mean of a group's histograms at a step.
type histogramSum struct {
	value *histogram.FloatHistogram // sum; nil when a float came first, then nothing is added
	mean  *histogram.FloatHistogram // in place of the sum, once that would overflow
	c     *histogram.FloatHistogram // compensation of the sum or mean
	count float64

	floats         bool // with incompatible: a float came before
	incompatible   bool // exponential and custom buckets met; later samples do not count
	reset, noReset bool // counter reset hints seen
}

// start takes the first histogram; floats says that a float came before it.
func (s *histogramSum) start(h *histogram.FloatHistogram, floats bool) {
	s.count = 1
	if !floats {
		s.value = h.Copy()
		s.hint(h)
	}
}

func (s *histogramSum) hint(h *histogram.FloatHistogram) {
	switch h.CounterResetHint {
	case histogram.CounterReset:
		s.reset = true
	case histogram.NotCounterReset:
		s.noReset = true
	}
}

// add takes a further histogram; floats says whether there was a float before, reconciled that
// custom buckets differed.
func (s *histogramSum) add(h *histogram.FloatHistogram, floats, avg bool) (reconciled bool, err error) {
	if s.value == nil || s.incompatible {
		return false, nil
	}
	s.hint(h)
	s.count++
	if avg {
		reconciled, err = s.addToMean(h)
	} else {
		s.c, _, reconciled, err = s.value.KahanAdd(h, s.c)
	}
	if err != nil {
		s.incompatible, s.floats = true, floats
	}
	return reconciled, err
}

// addToMean adds to the sum while that does not overflow, else to the incremental mean.
func (s *histogramSum) addToMean(h *histogram.FloatHistogram) (reconciled bool, err error) {
	if s.mean == nil {
		if small(s.value) && small(h) {
			// The sum cannot overflow, so nothing has to be kept to go back to.
			s.c, _, reconciled, err = s.value.KahanAdd(h, s.c)
			return reconciled, err
		}
		value := s.value.Copy()
		var c *histogram.FloatHistogram
		if s.c != nil {
			c = s.c.Copy()
		}
		c, _, reconciled, err = value.KahanAdd(h, c)
		if err != nil {
			return false, err
		}
		if !value.HasOverflow() {
			s.value, s.c = value, c
			return reconciled, nil
		}
		s.mean = s.value.Copy().Div(s.count - 1)
		if s.c != nil {
			s.c.Div(s.count - 1)
		}
	}
	q := (s.count - 1) / s.count
	if s.c != nil {
		s.c.Mul(q)
	}
	var more bool
	s.c, _, more, err = s.mean.Mul(q).KahanAdd(h.Copy().Div(s.count), s.c)
	return reconciled || more, err
}

// small tells whether all values of a histogram are so far from overflow that sums of any number of
// its buckets with another small one's are finite.
func small(h *histogram.FloatHistogram) bool {
	const limit = 0x1p980
	if !(math.Abs(h.Count) < limit && math.Abs(h.Sum) < limit && math.Abs(h.ZeroCount) < limit) {
		return false
	}
	for _, values := range [...][]float64{h.PositiveBuckets, h.NegativeBuckets, h.CustomValues} {
		for _, v := range values {
			if !(math.Abs(v) < limit) {
				return false
			}
		}
	}
	return true
}

// result is the histogram of the step. The state is used up.
func (s *histogramSum) result(avg bool) *histogram.FloatHistogram {
	h := s.value
	switch {
	case !avg:
		// Nothing to divide.
	case s.mean != nil:
		h = s.mean
	default:
		h.Div(s.count)
		if s.c != nil {
			s.c.Div(s.count)
		}
	}
	if s.c != nil {
		// All of them were added before, so their buckets are compatible.
		h, _, _, _ = h.Add(s.c)
	}
	return h.Compact(0)
}
