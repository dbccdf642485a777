package aggregate

import "github.com/prometheus/prometheus/util/kahansum"

// sums are sums with their compensations.
type sums struct{ sum, c []float64 }

func (*sums) width() int { return 16 }
func (s *sums) reset()   { s.sum, s.c = s.sum[:0], s.c[:0] }
func (s *sums) grow(n int) {
	s.sum = grown(s.sum, n, 0)
	s.c = grown(s.c, n, 0)
}

// add and addRows give kahansum.Inc's bits without a branch on which addend is greater: Knuth's
// TwoSum finds the same rounding error whichever it is. Only where the error is not finite (the sum
// is not, or TwoSum overflowed on its way) the two differ, and Inc itself decides. The code stands in
// each loop because a function with that exception in it is too large to be inlined.
func (s *sums) add(at int, f []float64) {
	sum, c := s.sum[at:at+len(f)], s.c[at:at+len(f)]
	for i, v := range f {
		old := sum[i]
		t := old + v
		b := t - old
		e := (old - (t - b)) + (v - b)
		if e-e != 0 {
			sum[i], c[i] = kahanAddSpecial(v, old, c[i])
			continue
		}
		sum[i] = t
		c[i] += e
	}
}

func (s *sums) addRows(at []int32, f []float64) {
	at = at[:len(f)]
	for i, v := range f {
		p := at[i]
		old := s.sum[p]
		t := old + v
		b := t - old
		e := (old - (t - b)) + (v - b)
		if e-e != 0 {
			s.sum[p], s.c[p] = kahanAddSpecial(v, old, s.c[p])
			continue
		}
		s.sum[p] = t
		s.c[p] += e
	}
}

func (s *sums) results(at int, dst []float64) {
	sum, c := s.sum[at:at+len(dst)], s.c[at:at+len(dst)]
	for i := range dst {
		dst[i] = sum[i] + c[i]
	}
}

//go:noinline
func kahanAddSpecial(v, sum, c float64) (newSum, newC float64) { return kahansum.Inc(v, sum, c) }
