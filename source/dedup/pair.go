package dedup

import (
	"math"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// pair is two replicas, of which one is taken at a time.
type pair struct {
	a, b  side
	useA  bool
	last  int64 // time of the sample that was taken last
	begun bool
}

func newPair(a, b *column, counter bool) pair {
	return pair{a: side{column: a, counter: counter}, b: side{column: b, counter: counter}, useA: true, last: math.MinInt64}
}

// take appends the sample of a, or of b, to what was taken.
func (p *pair) take(a bool, to *column) {
	stayed := a == p.useA && p.begun
	if before := p.picked(); !stayed && p.a.counter && before.takenFloat {
		previous := before.takenValue
		p.a.adjust(previous)
		p.b.adjust(previous)
	}
	p.useA, p.begun = a, true
	s := p.picked()
	p.last = s.t[s.i]
	v := s.value()
	to.add(s.column, s.i, v, stayed && s.i == s.taken+1)
	s.taken, s.takenFloat, s.takenValue = s.i, s.typ(s.i) == chunkenc.ValFloat, v
}

func (p *pair) picked() *side {
	if p.useA {
		return &p.a
	}
	return &p.b
}

// done tells whether both are.
func (p *pair) done() bool { return p.a.done() && p.b.done() }

// side is one replica, or several that are merged already: it knows where it stands, and lifts a counter that fell behind.
type side struct {
	*column
	i       int
	counter bool
	lift    float64

	taken      int // the sample that was taken last
	takenFloat bool
	takenValue float64
}

func (s *side) done() bool { return s.i >= len(s.t) }

// time is that of the sample it stands at, or the last of all times behind the last one.
func (s *side) time() int64 {
	if s.done() {
		return math.MaxInt64
	}
	return s.t[s.i]
}

// seek goes on to the first sample at t or behind it.
func (s *side) seek(t int64) {
	for s.i < len(s.t) && s.t[s.i] < t {
		s.i++
	}
}

// value is that of the sample it stands at.
func (s *side) value() float64 {
	v := s.f[s.i]
	if s.lift == 0 || math.IsNaN(v) {
		return v // a sum would be another NaN, and no stale marker any more
	}
	return v + s.lift
}

// copy appends the samples from where it stands up to end, which are floats, and goes on to there. They are the ones that were taken last.
func (s *side) copy(end int, to *column) {
	to.t = append(to.t, s.t[s.i:end]...)
	if s.lift == 0 {
		to.f = append(to.f, s.f[s.i:end]...)
	} else {
		for ; s.i < end; s.i++ {
			to.f = append(to.f, s.value())
		}
	}
	s.i, s.taken, s.takenFloat, s.takenValue = end, end-1, true, to.f[len(to.f)-1]
}

// adjust makes the values from here on no less than v, which is that of the other replica: a counter does not fall because
// replicas were changed.
func (s *side) adjust(v float64) {
	if s.done() || s.typ(s.i) != chunkenc.ValFloat {
		return
	}
	if own := s.value(); v > own {
		s.lift += v - own
	}
}
