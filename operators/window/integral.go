package window

import (
	"math"

	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/kahansum"
)

// Quadrature strategies of integral, by their numbers in PromQL.
const (
	leftPoint   = 0
	rightPoint  = 1
	trapezoidal = 2
)

// integral is the area under the samples, in value times seconds. NaN counts as zero.
func integral(w *floatWindow) float64 {
	strategy := w.strategy()
	var sum, comp float64
	prev := zeroNaN(w.f[0])
	for i, v := range w.f[1:] {
		cur := zeroNaN(v)
		var height, cHeight float64
		switch strategy {
		case leftPoint:
			height = prev
		case rightPoint:
			height = cur
		default:
			height, cHeight = middle(prev, cur)
		}
		// A height of zero is not added: next to an infinite sum it would make NaN.
		if height != 0 || cHeight != 0 {
			seconds := float64(w.t[i+1]-w.t[i]) / 1000
			sum, comp = kahansum.Inc(height*seconds, sum, comp+float64(cHeight*seconds))
		}
		prev = cur
	}
	if math.IsInf(sum, 0) {
		return sum
	}
	return sum + comp
}

// strategy is the function's optional argument; an invalid one is annotated and stands for the default.
func (w *floatWindow) strategy() int {
	if len(w.call.Params) == 0 {
		return trapezoidal
	}
	s := w.call.param(0, w.step)
	if s == leftPoint || s == rightPoint || s == trapezoidal {
		return int(s)
	}
	if w.bad.add(s) {
		for _, p := range w.call.Pos {
			w.call.Query.AnnotateUse(annotations.NewInvalidIntegralStrategyWarning(s, p.Second), p.Use)
		}
	}
	return trapezoidal
}

// middle is (a+b)/2 and its rounding error, without overflow while a and b are finite.
func middle(a, b float64) (mean, comp float64) {
	if a == 0 && b == 0 {
		return 0, 0
	}
	mean, comp = kahansum.Inc(b, a, 0)
	if math.IsInf(mean, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
		return kahansum.Inc(b/2, a/2, 0)
	}
	return mean / 2, comp / 2
}

func zeroNaN(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}
