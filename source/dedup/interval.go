package dedup

import "math"

// interval merges two replicas. It takes the samples of one of them for as long as they come as often as they should, and goes over to the other
// one when the next is late by more than half an interval, if that has a sample meanwhile:
//
//	a     x    x    x         x    x
//	b      y    y    y    y    y    y
//	      x    x    x     y    y    y
//
// There it stays, so that values do not go to and fro. Samples of different replicas are at least half an interval apart: a replica that is not
// taken adds nothing.
type interval struct {
	pair
	paceA, paceB pace
}

func newInterval(a, b *column, counter bool) *interval {
	return &interval{pair: newPair(a, b, counter)}
}

// merge appends what is taken of both.
func (p *interval) merge(to *column) {
	if !p.done() {
		p.take(p.b.time() >= p.a.time(), to)
	}
	for {
		p.paceA.advance(&p.a, p.last)
		p.paceB.advance(&p.b, p.last)
		a := p.choose()
		if p.done() {
			return
		}
		p.take(a, to)
		if plain(p.a.column, p.b.column) {
			p.stay(to)
		}
	}
}

// stay takes as many samples of the replica that was taken last as merge would before it looks at the other one, of which there are no more
// than floats. They are copied together.
func (p *interval) stay(to *column) {
	taken, other, pace, others := &p.a, &p.b, &p.paceA, &p.paceB
	if !p.useA {
		taken, other, pace, others = &p.b, &p.a, &p.paceB, &p.paceA
	}
	from := taken.i + 1
	for {
		pace.advance(taken, p.last)
		others.advance(other, p.last)
		if taken.done() || !expected(taken.t[taken.i]-p.last, pace, others) {
			break
		}
		p.last = taken.t[taken.i]
	}
	if end := taken.i; end > from {
		taken.i = from
		taken.copy(end, to)
	}
}

// expected tells whether samples so far apart are as they usually are.
func expected(apart int64, a, b *pace) bool {
	usual := usual(a.median, b.median)
	return apart <= usual+usual/2
}

// choose says whether the next sample is that of a.
func (p *interval) choose() bool {
	taken, other, pace := &p.a, &p.b, &p.paceB
	if !p.useA {
		taken, other, pace = &p.b, &p.a, &p.paceA
	}
	next := taken.time()
	if next != math.MaxInt64 && expected(next-p.last, &p.paceA, &p.paceB) {
		return p.useA
	}
	usual := usual(p.paceA.median, p.paceB.median)
	pace.advance(other, max(p.last, p.last+usual/2-1))
	if t := other.time(); t != math.MaxInt64 && (next == math.MaxInt64 || t <= next-usual/2) {
		return !p.useA
	}
	return p.useA
}

// usual is how far the samples of a replica that misses none are apart, by what is known of two of them; 0 is unknown.
func usual(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// pace is how far the last samples of a replica were apart, in ms.
type pace struct {
	last [3]int64 // the latest one at the end
	n    int      // how many there are

	// median is that of the last three, which a scrape that is missed, or one too many, does not change; of less than three it is the least, and 0
	// before the first.
	median int64
}

// advance goes on to the first sample behind t.
func (p *pace) advance(s *side, t int64) {
	for !s.done() && s.t[s.i] <= t {
		before := s.t[s.i]
		if s.i++; s.done() {
			return
		}
		p.add(s.t[s.i] - before)
	}
}

func (p *pace) add(apart int64) {
	a, b, c := p.last[1], p.last[2], apart
	p.last = [3]int64{a, b, c}
	switch p.n {
	case 0:
		p.median, p.n = c, 1
	case 1:
		p.median, p.n = min(b, c), 2
	default:
		p.median = max(min(a, b), min(max(a, b), c))
	}
}
