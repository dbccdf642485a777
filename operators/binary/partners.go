package binary

import (
	"sync"

	"github.com/stride-promql/stride/operators"
)

// partners says of both sides which series can matter to the result, so that only those are kept. One without a possible match
// cannot, unless it is filled in for, or stands beside others of its match group, which may be an error, or such others are
// there on the "one" side: then it matters whether the "many" side has any sample at a step.
//
// It is known once the schemas are complete. Until then all series are kept.
type partners struct {
	mu        sync.Mutex // both inputs may come at once
	known     bool
	many, one []uint8 // series of a match group: 0, 1, or 2 for several
	several   bool    // a match group has several on the "one" side
}

// find counts the series of match groups if that can be done by now.
func (p *partners) find(v *VectorVector) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known || !v.many.schema.Complete() || !v.one.schema.Complete() {
		return p.known
	}
	p.known = true
	p.many, p.one = make([]uint8, v.sigs.len()), make([]uint8, v.sigs.len())
	for i, g := range v.many.groups {
		if !v.many.schema.Absent(i) {
			p.many[g] = min(2, p.many[g]+1)
		}
	}
	for i, g := range v.one.groups {
		if !v.one.schema.Absent(i) {
			p.one[g] = min(2, p.one[g]+1)
			p.several = p.several || p.one[g] == 2
		}
	}
	return true
}

// matter tells whether a series of the "many" side, or else of the "one" side, has to be kept.
func (p *partners) matter(v *VectorVector, many bool, series int) bool {
	if many {
		g := v.many.groups[series]
		return p.several || p.one[g] > 0 || v.one.fill != nil
	}
	g := v.one.groups[series]
	return p.one[g] > 1 || p.many[g] > 0 || v.many.fill != nil
}

// keep adds the rows of a batch that matter to the table of their side.
func (v *VectorVector) keep(input int, b *operators.Batch) error {
	s := v.input(input)
	if b.H != nil || !v.partners.find(v) {
		return s.table.Add(b)
	}
	many := s == &v.many
	return s.table.AddSome(b, func(row int) bool { return v.partners.matter(v, many, b.First+row) })
}
