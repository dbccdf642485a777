package aggregate

import (
	"math"

	"github.com/prometheus/prometheus/util/kahansum"
)

// averages are arithmetic means: compensated sums with the number of samples, as long as the sum
// is finite. When it would overflow, the position goes over to an incremental mean, which is then
// in mean's place with the number of samples negated.
type averages struct {
	sum, c []float64
	n      []int64
}

func (*averages) width() int { return 24 }
func (a *averages) reset()   { a.sum, a.c, a.n = a.sum[:0], a.c[:0], a.n[:0] }
func (a *averages) grow(n int) {
	a.sum = grown(a.sum, n, 0)
	a.c = grown(a.c, n, 0)
	a.n = grown(a.n, n, 0)
}

func (a *averages) add(at int, f []float64) {
	sum, c, n := a.sum[at:at+len(f)], a.c[at:at+len(f)], a.n[at:at+len(f)]
	for i, v := range f {
		s := sum[i]
		t := s + v
		b := t - s
		e := (s - (t - b)) + (v - b)
		if e-e != 0 || n[i] < 0 {
			a.addSpecial(at+i, v)
			continue
		}
		sum[i] = t
		c[i] += e
		n[i]++
	}
}

func (a *averages) addRows(at []int32, f []float64) {
	at = at[:len(f)]
	for i, v := range f {
		p := at[i]
		s := a.sum[p]
		t := s + v
		b := t - s
		e := (s - (t - b)) + (v - b)
		if e-e != 0 || a.n[p] < 0 {
			a.addSpecial(int(p), v)
			continue
		}
		a.sum[p] = t
		a.c[p] += e
		a.n[p]++
	}
}

// addSpecial takes a sample where the sum is not finite or given up.
func (a *averages) addSpecial(p int, v float64) {
	n := a.n[p]
	if n == 0 {
		a.sum[p], a.c[p], a.n[p] = v, 0, 1
		return
	}
	if n > 0 {
		sum, c := kahansum.Inc(v, a.sum[p], a.c[p])
		if !math.IsInf(sum, 0) {
			a.sum[p], a.c[p], a.n[p] = sum, c, n+1
			return
		}
		a.sum[p] /= float64(n)
		a.c[p] /= float64(n)
		n = -n
	}
	n--
	count := float64(-n)
	q := (count - 1) / count
	a.sum[p], a.c[p] = kahansum.Inc(v/count, q*a.sum[p], q*a.c[p])
	a.n[p] = n
}

func (a *averages) results(at int, dst []float64) {
	sum, c, n := a.sum[at:at+len(dst)], a.c[at:at+len(dst)], a.n[at:at+len(dst)]
	for i := range dst {
		if n[i] < 0 {
			dst[i] = sum[i] + c[i]
			continue
		}
		count := float64(n[i])
		dst[i] = sum[i]/count + c[i]/count
	}
}
