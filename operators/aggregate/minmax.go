package aggregate

import "math"

// minima are least values; NaN gives way to every value.
type minima struct{ v []float64 }

func (*minima) width() int   { return 8 }
func (m *minima) reset()     { m.v = m.v[:0] }
func (m *minima) grow(n int) { m.v = grown(m.v, n, math.NaN()) }

func (m *minima) add(at int, f []float64) {
	least := m.v[at : at+len(f)]
	for i, v := range f {
		if cur := least[i]; cur > v || cur != cur {
			least[i] = v
		}
	}
}

func (m *minima) addRows(at []int32, f []float64) {
	at = at[:len(f)]
	for i, v := range f {
		if cur := &m.v[at[i]]; *cur > v || *cur != *cur {
			*cur = v
		}
	}
}

func (m *minima) results(at int, dst []float64) { copy(dst, m.v[at:]) }

// maxima are greatest values; NaN gives way to every value.
type maxima struct{ v []float64 }

func (*maxima) width() int   { return 8 }
func (m *maxima) reset()     { m.v = m.v[:0] }
func (m *maxima) grow(n int) { m.v = grown(m.v, n, math.NaN()) }

func (m *maxima) add(at int, f []float64) {
	greatest := m.v[at : at+len(f)]
	for i, v := range f {
		if cur := greatest[i]; cur < v || cur != cur {
			greatest[i] = v
		}
	}
}

func (m *maxima) addRows(at []int32, f []float64) {
	at = at[:len(f)]
	for i, v := range f {
		if cur := &m.v[at[i]]; *cur < v || *cur != *cur {
			*cur = v
		}
	}
}

func (m *maxima) results(at int, dst []float64) { copy(dst, m.v[at:]) }
