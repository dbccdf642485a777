package dedup

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// penalty merges two replicas. It takes the samples of one of them, and makes the other wait twice as long as the last two samples were
// apart before it may take over: so it does not change replicas at each scrape, whose values differ, but does when the one it takes
// misses two. Before there are two samples the wait is firstPenalty.
//
// With adaptive set, the wait is half as long again as the replica's samples were apart lately, so that one missed scrape is filled.
type penalty struct {
	a, b       *side
	penA, penB int64
	last       int64 // time of the current sample
	begun      bool
	useA       bool
	adaptive   bool
	gap        int64 // adaptive: the least time between two samples of one replica, of late
}

// firstPenalty is Thanos' constant, in ms.
const firstPenalty = 5000

func newPenalty(a, b *side, adaptive bool) *penalty {
	p := &penalty{a: a, b: b, last: math.MinInt64, useA: true, adaptive: adaptive}
	a.Next()
	b.Next()
	return p
}

// Next implements chunkenc.Iterator.
func (p *penalty) Next() chunkenc.ValueType {
	previous, wasFloat := p.current()
	before := p.useA
	if p.a.at != chunkenc.ValNone {
		p.a.Seek(p.last + 1 + p.penA)
	}
	if p.b.at != chunkenc.ValNone {
		p.b.Seek(p.last + 1 + p.penB)
	}
	vt := p.pick()
	if p.begun && p.useA != before && wasFloat {
		p.a.adjust(previous)
		p.b.adjust(previous)
	}
	p.begun = true
	return vt
}

// current is the value of the current sample, if it is a float.
func (p *penalty) current() (float64, bool) {
	if !p.begun {
		return 0, false
	}
	s := p.picked()
	if s.at != chunkenc.ValFloat {
		return 0, false
	}
	_, v := s.At()
	return v, true
}

func (p *penalty) picked() *side {
	if p.useA {
		return p.a
	}
	return p.b
}

// pick chooses the replica of the next sample.
func (p *penalty) pick() chunkenc.ValueType {
	switch {
	case p.a.at == chunkenc.ValNone:
		p.useA, p.penB = false, 0
		if p.b.at != chunkenc.ValNone {
			p.last = p.b.AtT()
		}
		return p.b.at
	case p.b.at == chunkenc.ValNone:
		p.useA, p.penA = true, 0
		p.last = p.a.AtT()
		return p.a.at
	}
	ta, tb := p.a.AtT(), p.b.AtT()
	p.useA = ta <= tb
	t := min(ta, tb)
	wait := p.wait(t)
	if p.useA {
		p.penA, p.penB = 0, wait
	} else {
		p.penA, p.penB = wait, 0
	}
	p.last = t
	return p.picked().at
}

// wait is the penalty of the replica that is not taken, the next sample being at t.
func (p *penalty) wait(t int64) int64 {
	if p.last == math.MinInt64 {
		return firstPenalty
	}
	delta := t - p.last
	if !p.adaptive {
		return 2 * delta
	}
	if p.gap == 0 || delta < p.gap {
		p.gap = delta
	} else {
		p.gap += (delta - p.gap) / 8 // scraped less often from now on, or a gap
	}
	return p.gap / 2
}

// Seek implements chunkenc.Iterator: by way of all samples, so that penalties are what they would have been.
func (p *penalty) Seek(t millis) chunkenc.ValueType {
	if p.begun && p.picked().at != chunkenc.ValNone && p.AtT() >= t {
		return p.picked().at
	}
	for {
		vt := p.Next()
		if vt == chunkenc.ValNone || p.AtT() >= t {
			return vt
		}
	}
}

// At implements chunkenc.Iterator.
func (p *penalty) At() (int64, float64) { return p.picked().At() }

// AtHistogram implements chunkenc.Iterator.
func (p *penalty) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	return p.picked().AtHistogram(h)
}

// AtFloatHistogram implements chunkenc.Iterator.
func (p *penalty) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return p.picked().AtFloatHistogram(h)
}

// AtT implements chunkenc.Iterator.
func (p *penalty) AtT() int64 { return p.picked().AtT() }

// AtST implements chunkenc.Iterator.
func (p *penalty) AtST() int64 { return p.picked().AtST() }

// Err implements chunkenc.Iterator.
func (p *penalty) Err() error {
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
