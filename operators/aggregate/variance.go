package aggregate

import "math"

// variances are population variances by Welford's algorithm, uncompensated as Prometheus' are: for
// a position its number of samples, their mean and the sum of their squared distances from it.
type variances struct {
	w    []welford
	root bool // results are standard deviations
}

type welford struct{ n, mean, m2 float64 }

func (*variances) width() int   { return 24 }
func (s *variances) reset()     { s.w = s.w[:0] }
func (s *variances) grow(n int) { s.w = grown(s.w, n, welford{}) }

func (s *variances) add(at int, f []float64) {
	w := s.w[at : at+len(f)]
	for i, v := range f {
		w[i].add(v)
	}
}

func (s *variances) addRows(at []int32, f []float64) {
	at = at[:len(f)]
	for i, v := range f {
		s.w[at[i]].add(v)
	}
}

// add makes the distances NaN at the first sample if that is NaN or infinite, like Prometheus,
// since Inf - Inf is NaN.
func (w *welford) add(v float64) {
	w.n++
	delta := v - w.mean
	w.mean += delta / w.n
	w.m2 += float64(delta * (v - w.mean))
}

func (s *variances) results(at int, dst []float64) {
	for i, w := range s.w[at : at+len(dst)] {
		dst[i] = w.m2 / w.n
		if s.root {
			dst[i] = math.Sqrt(dst[i])
		}
	}
}
