package window

import (
	"math"

	"github.com/stride-promql/stride/operators"
)

// extreme is the largest or smallest float of a window, or its time. NaN counts only where a window has nothing else. Of
// equal values the first stands for the value (0 and -0 are equal), the last for the time.
type extreme struct {
	min, time bool

	// candidates are indexes of floats, from head on, none of which is beaten by a later one: the first is the window's result.
	candidates []int32
}

func (k *extreme) Run(c *Call, out operators.Column) error {
	var (
		b     = c.Bounds
		t, f  = c.In.T, c.In.F
		slide = c.Spec.overlapping()
		seen  notes
		head  int
		next  int // first float that was not a candidate yet
		found int
	)
	if slide {
		k.candidates = resize(k.candidates, len(f))[:0]
	}
	for i := range b.Lo {
		lo, hi := int(b.Lo[i]), int(b.Hi[i])
		if lo == hi {
			continue
		}
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			seen |= noteHistogramIgnored
		}
		switch {
		case slide:
			for next = max(next, lo); next < hi; next++ {
				k.push(f, head, next)
			}
			for head < len(k.candidates) && int(k.candidates[head]) < lo {
				head++
			}
			found = hi - 1 // all NaN
			if head < len(k.candidates) {
				found = int(k.candidates[head])
			}
		case i == 0 || b.Lo[i-1] != b.Lo[i] || b.Hi[i-1] != b.Hi[i]:
			found = lo + k.search(f[lo:hi])
		}
		if k.time {
			out.SetFloat(i, float64(t[found])/1000)
		} else {
			out.SetFloat(i, f[found])
		}
	}
	c.annotate(seen, firstArg)
	return nil
}

// push makes a float a candidate and drops those that it beats. A NaN never is one.
func (k *extreme) push(f []float64, head, i int) {
	v := f[i]
	if v != v {
		return
	}
	q := k.candidates
	n := len(q)
	switch {
	case k.min && k.time:
		for n > head && f[q[n-1]] >= v {
			n--
		}
	case k.min:
		for n > head && beaten(v, f[q[n-1]]) {
			n--
		}
	case k.time:
		for n > head && f[q[n-1]] <= v {
			n--
		}
	default:
		for n > head && beaten(f[q[n-1]], v) {
			n--
		}
	}
	k.candidates = append(q[:n], int32(i))
}

// beaten tells whether b is larger than a or the very same; of 0 and -0, which are equal, neither beats the other.
func beaten(a, b float64) bool { return a < b || math.Float64bits(a) == math.Float64bits(b) }

// search is the index of the result in a window on its own.
func (k *extreme) search(f []float64) int {
	found := 0
	for found < len(f)-1 && f[found] != f[found] {
		found++
	}
	best := f[found]
	switch {
	case k.min && k.time:
		for i := found + 1; i < len(f); i++ {
			if f[i] <= best {
				found, best = i, f[i]
			}
		}
	case k.min:
		for i := found + 1; i < len(f); i++ {
			if f[i] < best {
				found, best = i, f[i]
			}
		}
	case k.time:
		for i := found + 1; i < len(f); i++ {
			if f[i] >= best {
				found, best = i, f[i]
			}
		}
	default:
		for i := found + 1; i < len(f); i++ {
			if f[i] > best {
				found, best = i, f[i]
			}
		}
	}
	return found
}
