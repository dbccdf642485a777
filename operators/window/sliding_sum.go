package window

import "math"

// compensatedSum adds values in order; s+comp is the sum. TwoSum finds the rounding error of each
// addition without a branch and, while everything is finite, exactly as the Kahan-Neumaier sum of
// Prometheus does; where a value or the sum is not finite, comp is NaN.
func compensatedSum(f []float64) (s, comp float64) {
	for _, v := range f {
		t := s + v
		d := t - s
		comp += (s - (t - d)) + (v - d)
		s = t
	}
	return s, comp
}

func finite(v float64) bool { return v-v == 0 }

// slidingSum moves a compensated sum from window to window. How far it may be off follows from the
// number of values added and removed and the largest of them; when that is too much, it is made afresh.
type slidingSum struct {
	valid   bool
	lo, hi  int
	s, comp float64
	nan     int // where the sum is not valid: index of the last NaN in the window, or -1

	ops    float64 // values added or removed since the sum was made
	size   float64 // longest window since then
	maxAbs float64 // largest |value| since then
}

// reset forgets the series.
func (w *slidingSum) reset() { w.valid, w.nan = false, -1 }

// move brings the sum to the window [lo, hi) of f, whose ends must not decrease. False says that
// the window must be added up in order instead.
func (w *slidingSum) move(f []float64, lo, hi int) (s, comp float64, ok bool) {
	if !w.valid {
		if w.nan >= lo {
			return math.NaN(), 0, true
		}
		return w.make(f, lo, hi)
	}
	moved := lo - w.lo + hi - w.hi
	if moved >= hi-lo {
		return w.make(f, lo, hi)
	}
	s, comp = w.s, w.comp
	for _, v := range f[w.lo:lo] {
		t := s - v
		d := t - s
		comp += (s - (t - d)) + (-v - d)
		s = t
	}
	maxAbs := w.maxAbs
	for _, v := range f[w.hi:hi] {
		t := s + v
		d := t - s
		comp += (s - (t - d)) + (v - d)
		s = t
		maxAbs = max(maxAbs, math.Abs(v))
	}
	w.lo, w.hi, w.s, w.comp, w.maxAbs = lo, hi, s, comp, maxAbs
	w.ops += float64(moved)
	w.size = max(w.size, float64(hi-lo))
	if !w.exact() {
		return w.make(f, lo, hi)
	}
	return s, comp, true
}

// make adds the window up in order.
func (w *slidingSum) make(f []float64, lo, hi int) (s, comp float64, ok bool) {
	f = f[lo:hi]
	w.lo, w.hi = lo, hi
	w.ops = float64(hi - lo)
	w.size = w.ops
	w.s, w.comp = compensatedSum(f)
	w.valid = finite(w.s) && finite(w.comp)
	w.maxAbs = 0
	for _, v := range f {
		w.maxAbs = max(w.maxAbs, math.Abs(v))
	}
	if !w.valid {
		w.nan = -1
		for i, v := range f {
			if v != v {
				w.nan = lo + i
			}
		}
	}
	return w.s, w.comp, w.valid
}

const (
	// maxError bounds the relative error of a sum that was moved; 1e-12 is asked for.
	maxError = 0x1p-45
	// cancelled is the part of the largest value below which a sum depends on the order of adding, even with compensation.
	cancelled = 0x1p-30
)

// exact tells whether the sum is as good as one made afresh. Each operation rounds comp, which is at
// most the sum of roundoff errors of all partial sums: ops * 2^-53 * size * maxAbs. Beyond that,
// the values must not cancel out, and no order of adding may have overflown.
func (w *slidingSum) exact() bool {
	abs := math.Abs(w.s + w.comp)
	return w.ops*w.ops*w.size*w.maxAbs*0x1p-106 <= abs*maxError &&
		w.maxAbs*cancelled <= abs &&
		w.maxAbs*w.size < math.MaxFloat64/4
}
