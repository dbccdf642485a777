package window

import (
	"sort"

	"github.com/stride-promql/stride/operators"
)

// runExtended evaluates rate, increase or delta over an anchored or smoothed selector: the difference
// between the values at the two ends of the range, which samples outside of it (up to lookback) help to find.
func (k *rate) runExtended(c *Call, out operators.Column) (seen notes, err error) {
	var (
		b, in   = c.Bounds, c.In
		seconds = c.Spec.rangeSeconds()
		x       = extended{counter: k.counter, smoothed: c.Spec.Smoothed, resets: k.resets}
	)
	for i := range b.Lo {
		lo, hi := int(b.Lo[i]), int(b.Hi[i])
		start, end := c.Spec.rangeAt(c.Steps.From + i)
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			if hi > lo {
				seen |= noteMixedFloatsHistograms
				continue
			}
			h, n, err := k.extendedHistogramAt(in, hlo, hhi, start, end, x.smoothed)
			seen |= n
			if err != nil {
				return seen, err
			}
			if h != nil {
				if k.perSecond {
					h.Div(seconds)
				}
				out.SetHistogram(i, finish(h))
			}
			continue
		}
		if hi == lo {
			continue
		}
		x.t, x.f, x.st, x.base = in.T[lo:hi], in.F[lo:hi], nil, lo
		if k.counter && in.ST != nil {
			x.st = in.ST[lo:hi]
		}
		if v, ok := x.increase(start, end, start-c.Spec.Lookback); ok {
			if k.perSecond {
				v /= seconds
			}
			out.SetFloat(i, v)
		}
	}
	return seen, nil
}

// extended finds values at the ends of a range from the floats in and around it.
type extended struct {
	counter, smoothed bool

	t      []int64
	f      []float64
	st     []int64 // nil where start timestamps are not known or play no part
	base   int     // index in the series of the first float
	resets []int32 // indexes in the series of floats before which the counter was reset
}

func (x *extended) at(i int) point {
	p := point{t: x.t[i], v: x.f[i]}
	if x.st != nil {
		p.st = x.st[i]
	}
	return p
}

// increase is the difference between the ends of the range, lookback being the earliest time that
// samples are taken from. There is none when no sample says anything about the range.
func (x *extended) increase(start, end, lookback int64) (float64, bool) {
	first, last := boundary(x.t, start, end, x.smoothed)
	if x.t[last] <= start {
		return 0, false
	}
	if p := x.at(first); x.smoothed && p.t > end {
		// All samples come after the range, so that only a counter created in the lookback before the range's end can have a value in it.
		if !x.counter || !startResetAfter(lookback, p.st, p.t) || startResetAfter(end, p.st, p.t) {
			return 0, false
		}
	}
	left := x.left(first, start, lookback)
	right := x.right(last, end, lookback)
	diff := right.v - left.v
	if !x.counter {
		return diff, true
	}
	left.t, right.t = start, end
	// The values at the ends stand for samples at or beyond them.
	if x.t[first] <= start {
		first++
	}
	if x.t[last] >= end {
		last--
	}
	return diff + x.lost(left, right, first, last), true
}

// boundary finds the samples that the ends of a range are found with: the last one at or before its
// start (or the first of all), and the last one in it or, smoothed, the first one at or after its end (or the last of all).
func boundary(t []int64, start, end int64, smoothed bool) (first, last int) {
	last = len(t) - 1
	first = max(0, after(t[:last], start)-1)
	if smoothed {
		last = atOrAfter(t[:last], end)
	}
	return first, last
}

// left is the value and the start timestamp at the start of the range; its time is of no account.
func (x *extended) left(first int, start, lookback int64) point {
	p := x.at(first)
	if p.t == start {
		return p
	}
	st := p.st
	if st > start {
		st = 0
	}
	if p.t > start {
		return point{v: x.created(p, start, lookback), st: st}
	}
	next := x.at(first + 1)
	if x.counter {
		switch {
		case startResetAfter(start, next.st, next.t):
			next = point{t: next.st}
		case startReset(p.st, p.t, next.st, next.t):
			p = point{t: next.st}
			st = next.st
		}
	}
	if x.smoothed {
		return point{v: interpolate(p, next, start, x.counter), st: st}
	}
	return point{v: p.v, st: st}
}

// right is the value and the start timestamp at the end of the range; its time is of no account.
func (x *extended) right(last int, end, lookback int64) point {
	p := x.at(last)
	st := p.st
	if st > end {
		st = 0
	}
	if p.t <= end {
		return point{v: p.v, st: st}
	}
	if last == 0 {
		return point{v: x.created(p, end, lookback), st: st}
	}
	prev := x.at(last - 1)
	if x.counter {
		switch {
		case startResetAfter(end, p.st, p.t):
			p = point{t: p.st}
			st = prev.st
		case startReset(prev.st, prev.t, p.st, p.t):
			prev = point{t: p.st}
		}
	}
	if x.smoothed {
		return point{v: interpolate(prev, p, end, x.counter), st: st}
	}
	return point{v: prev.v, st: st}
}

// created is the value at a time before the first sample p: its own, unless it is known to be of a counter
// created after lookback, which was zero until then.
func (x *extended) created(p point, time, lookback int64) float64 {
	switch {
	case !x.counter || !startResetAfter(lookback, p.st, p.t):
		return p.v
	case !x.smoothed || startResetAfter(time, p.st, p.t):
		return 0
	default:
		return interpolate(point{t: p.st}, p, time, true)
	}
}

// lost is the sum of the values that a counter lost in resets between left, the samples from first to last, and right.
func (x *extended) lost(left, right point, first, last int) float64 {
	fell := func(a, b point) bool { return b.v < a.v || startReset(a.st, a.t, b.st, b.t) }
	var sum float64
	if first > last {
		if fell(left, right) {
			sum += left.v
		}
		return sum
	}
	if fell(left, x.at(first)) {
		sum += left.v
	}
	for _, r := range x.resets[afterIndex(x.resets, x.base+first):] {
		i := int(r) - x.base
		if i > last {
			break
		}
		sum += x.f[i-1]
	}
	if p := x.at(last); fell(p, right) {
		sum += p.v
	}
	return sum
}

// interpolate is the value at a time on the line from a to b. A counter that is lower at b was reset: it starts from zero at a.
func interpolate(a, b point, t int64, counter bool) float64 {
	v := a.v
	if counter && b.v < v {
		v = 0
	}
	return v + (b.v-v)*float64(t-a.t)/float64(b.t-a.t)
}

// afterIndex is the position of the first index in list greater than i.
func afterIndex(list []int32, i int) int {
	return sort.Search(len(list), func(j int) bool { return int(list[j]) > i })
}
