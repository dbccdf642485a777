package window

import (
	"fmt"

	"github.com/stride-promql/stride/operators"
)

// Extend is the result of an anchored or smoothed range selector on its own at a step: the floats
// strictly inside the range between a sample at either end, whose value is found as rate finds it for gauges. The
// slices are new. Without a sample in or beyond the range there are none. A histogram in the window is an error, as in Prometheus.
func (s *Spec) Extend(step int, in *operators.Samples) (t []int64, f []float64, err error) {
	var b Bounds
	s.Bounds(operators.StepRange{From: step, To: step + 1}, in, &b)
	if hlo, hhi := b.histogramWindow(0); hhi > hlo {
		modifier := "anchored"
		if s.Smoothed {
			modifier = "smoothed"
		}
		return nil, nil, fmt.Errorf("%s modifier is not supported with histograms", modifier)
	}
	lo, hi := int(b.Lo[0]), int(b.Hi[0])
	if lo == hi {
		return nil, nil, nil
	}
	x := extended{smoothed: s.Smoothed, t: in.T[lo:hi], f: in.F[lo:hi]}
	start, end := s.rangeAt(step)
	first, last := boundary(x.t, start, end, s.Smoothed)
	if x.t[last] <= start {
		return nil, nil, nil
	}
	left, right := x.left(first, start, start), x.right(last, end, start)
	if x.t[first] <= start {
		first++
	}
	if x.t[last] >= end {
		last--
	}
	t = append(make([]int64, 0, last-first+3), start)
	f = append(make([]float64, 0, last-first+3), left.v)
	if first <= last {
		t = append(t, x.t[first:last+1]...)
		f = append(f, x.f[first:last+1]...)
	}
	return append(t, end), append(f, right.v), nil
}
