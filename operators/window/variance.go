package window

import (
	"math"

	"github.com/prometheus/prometheus/util/kahansum"

	"github.com/stride-promql/stride/operators"
)

// variance is stdvar_over_time, or stddev_over_time with root. Every window is looked at anew, by Welford's recurrence with
// compensated sums, as a state that is moved from window to window would lose digits. In it each value waits for the division of the
// one before, so that a core is idle most of the time: four windows are walked in one loop.
type variance struct {
	root bool

	windows []span
	values  []float64 // of windows
	of      []int32   // step -> window, less than 0: none
}

// span is a range of indexes into the floats of a series.
type span struct{ lo, hi int32 }

// Run implements Kernel. Histograms are left out with an annotation.
func (k *variance) Run(c *Call, out operators.Column) error {
	var (
		b    = c.Bounds
		f    = c.In.F
		seen notes
	)
	k.windows, k.of = k.windows[:0], resize(k.of, len(b.Lo))
	for i := range b.Lo {
		w := span{b.Lo[i], b.Hi[i]}
		if w.lo == w.hi {
			k.of[i] = -1
			continue
		}
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			seen |= noteHistogramIgnored
		}
		// A step shorter than the interval of the samples gives the same window several times.
		if n := len(k.windows); n == 0 || k.windows[n-1] != w {
			k.windows = append(k.windows, w)
		}
		k.of[i] = int32(len(k.windows) - 1)
	}
	k.values = resize(k.values, len(k.windows))
	done := 0
	for ; done+4 <= len(k.windows); done += 4 {
		w := k.windows[done : done+4]
		stdvar4(f[w[0].lo:w[0].hi], f[w[1].lo:w[1].hi], f[w[2].lo:w[2].hi], f[w[3].lo:w[3].hi], k.values[done:done+4])
	}
	for ; done < len(k.windows); done++ {
		w := k.windows[done]
		k.values[done] = stdvar(f[w.lo:w.hi])
	}
	if k.root {
		for i, v := range k.values {
			k.values[i] = math.Sqrt(v)
		}
	}
	for i, w := range k.of {
		if w >= 0 {
			out.SetFloat(i, k.values[w])
		}
	}
	c.annotate(seen, firstArg)
	return nil
}

// moments are the state of Welford's recurrence after n values.
type moments struct{ n, mean, cMean, squares, cSquares float64 }

// add takes one more value. It is Prometheus' sum where all is finite; result tells where not.
func (m *moments) add(v float64) {
	m.n++
	delta := v - (m.mean + m.cMean)
	x := delta / m.n
	t := m.mean + x
	d := t - m.mean
	m.cMean += (m.mean - (t - d)) + (x - d)
	m.mean = t
	x = float64(delta * (v - (m.mean + m.cMean)))
	t = m.squares + x
	d = t - m.squares
	m.cSquares += (m.squares - (t - d)) + (x - d)
	m.squares = t
}

// variance of the values f that were added.
func (m *moments) variance(f []float64) float64 {
	if !finite(m.mean) || !finite(m.cMean) || !finite(m.squares) || !finite(m.cSquares) {
		return stdvarInOrder(f)
	}
	return (m.squares + m.cSquares) / m.n
}

// stdvar is the population variance.
func stdvar(f []float64) float64 {
	var m moments
	for _, v := range f {
		m.add(v)
	}
	return m.variance(f)
}

// stdvar4 is stdvar of four windows.
func stdvar4(a, b, c, d []float64, out []float64) {
	var x, y, z, u moments
	n := min(len(a), len(b), len(c), len(d))
	p, q, r, s := a[:n], b[:n], c[:n], d[:n]
	for i := range p {
		x.add(p[i])
		y.add(q[i])
		z.add(r[i])
		u.add(s[i])
	}
	for i, w := range [...]struct {
		m *moments
		f []float64
	}{{&x, a}, {&y, b}, {&z, c}, {&u, d}} {
		for _, v := range w.f[n:] {
			w.m.add(v)
		}
		out[i] = w.m.variance(w.f)
	}
}

// stdvarInOrder is stdvar by Prometheus' own sum, for values that are not all finite.
func stdvarInOrder(f []float64) float64 {
	var n, mean, cMean, squares, cSquares float64
	for _, v := range f {
		n++
		delta := v - (mean + cMean)
		mean, cMean = kahansum.Inc(delta/n, mean, cMean)
		squares, cSquares = kahansum.Inc(float64(delta*(v-(mean+cMean))), squares, cSquares)
	}
	return (squares + cSquares) / n
}
