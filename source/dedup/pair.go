package dedup

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// pair is two replicas, of which one is taken at a time. It is a chunkenc.Iterator but for how it goes on.
type pair struct {
	a, b  *side
	useA  bool
	last  int64 // time of the current sample
	begun bool

	before   bool // useA of the sample that was left
	previous float64
	wasFloat bool
}

func newPair(a, b *side) pair {
	a.Next()
	b.Next()
	return pair{a: a, b: b, useA: true, last: math.MinInt64}
}

// leave notes the current sample before the replicas go on.
func (p *pair) leave() {
	p.before, p.wasFloat = p.useA, false
	if s := p.picked(); p.begun && s.at == chunkenc.ValFloat {
		_, p.previous = s.At()
		p.wasFloat = true
	}
}

// take makes the sample of a, or of b, the current one.
func (p *pair) take(a bool) chunkenc.ValueType {
	p.useA = a
	at := p.picked().at
	if at != chunkenc.ValNone {
		p.last = p.picked().AtT()
	}
	if p.begun && p.useA != p.before && p.wasFloat {
		p.a.adjust(p.previous)
		p.b.adjust(p.previous)
	}
	p.begun = true
	return at
}

func (p *pair) picked() *side {
	if p.useA {
		return p.a
	}
	return p.b
}

// seek is Seek by way of all samples, so that replicas are chosen as they would have been.
func (p *pair) seek(t millis, next func() chunkenc.ValueType) chunkenc.ValueType {
	if p.begun && p.picked().at != chunkenc.ValNone && p.AtT() >= t {
		return p.picked().at
	}
	for {
		vt := next()
		if vt == chunkenc.ValNone || p.AtT() >= t {
			return vt
		}
	}
}

// At implements chunkenc.Iterator.
func (p *pair) At() (int64, float64) { return p.picked().At() }

// AtHistogram implements chunkenc.Iterator.
func (p *pair) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	return p.picked().AtHistogram(h)
}

// AtFloatHistogram implements chunkenc.Iterator.
func (p *pair) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return p.picked().AtFloatHistogram(h)
}

// AtT implements chunkenc.Iterator.
func (p *pair) AtT() int64 { return p.picked().AtT() }

// AtST implements chunkenc.Iterator.
func (p *pair) AtST() int64 { return p.picked().AtST() }

// Err implements chunkenc.Iterator.
func (p *pair) Err() error {
	if err := p.a.Err(); err != nil {
		return err
	}
	return p.b.Err()
}

// side is one replica, or several that are merged already: it knows what it stands at, and lifts a counter that fell behind.
type side struct {
	chunkenc.Iterator
	at      chunkenc.ValueType
	counter bool
	lift    float64
}

func newSide(it chunkenc.Iterator, counter bool) *side { return &side{Iterator: it, counter: counter} }

// time is that of the sample it stands at, or the last of all times behind the last one.
func (s *side) time() int64 {
	if s.at == chunkenc.ValNone {
		return math.MaxInt64
	}
	return s.AtT()
}

// Next implements chunkenc.Iterator.
func (s *side) Next() chunkenc.ValueType {
	s.at = s.Iterator.Next()
	return s.at
}

// Seek implements chunkenc.Iterator.
func (s *side) Seek(t millis) chunkenc.ValueType {
	if s.at != chunkenc.ValNone && s.Iterator.AtT() >= t {
		return s.at
	}
	s.at = s.Iterator.Seek(t)
	return s.at
}

// millis is a time in ms.
type millis = int64

// At implements chunkenc.Iterator.
func (s *side) At() (int64, float64) {
	t, v := s.Iterator.At()
	if math.IsNaN(v) {
		return t, v // a sum would be another NaN, and no stale marker any more
	}
	return t, v + s.lift
}

// adjust makes the values from here on no less than v, which is that of the other replica: a counter does not fall because
// replicas were changed.
func (s *side) adjust(v float64) {
	if !s.counter || s.at != chunkenc.ValFloat {
		return
	}
	if _, own := s.At(); v > own {
		s.lift += v - own
	}
}
