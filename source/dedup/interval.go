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
	}
}

// choose says whether the next sample is that of a.
func (p *interval) choose() bool {
	taken, other, pace := &p.a, &p.b, &p.paceB
	if !p.useA {
		taken, other, pace = &p.b, &p.a, &p.paceA
	}
	usual, next := usual(p.paceA.median(), p.paceB.median()), taken.time()
	if next != math.MaxInt64 && next-p.last <= usual+usual/2 {
		return p.useA
	}
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
	last [3]int64
	n    int
}

// advance goes on to the first sample behind t.
func (p *pace) advance(s *side, t int64) {
	for !s.done() && s.t[s.i] <= t {
		before := s.t[s.i]
		if s.i++; s.done() {
			return
		}
		p.last[p.n%len(p.last)] = s.t[s.i] - before
		p.n++
	}
}

// median is of the last three, which a scrape that is missed, or one too many, does not change; 0 before the first. Of less than three it is the least.
func (p *pace) median() int64 {
	a, b, c := p.last[0], p.last[1], p.last[2]
	switch p.n {
	case 0, 1:
		return a
	case 2:
		return min(a, b)
	}
	return max(min(a, b), min(max(a, b), c))
}
