package scan

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/window"
)

// Use is a selector of the query as written that a scan stands for. Equal selectors, and ones that
// are narrower than another, are read once; each counts its own samples and has its own
// annotations.
type Use struct {
	// Scope counts the samples.
	Scope *operators.Scope
	// Filter is what the use keeps of the scan's series; nil keeps all.
	Filter []*labels.Matcher
	// Pos is the place of the range function in the query; nil where an equal function was annotated
	// already, or where there is none.
	Pos *window.Positions

	series int    // series counted
	mask   []bool // by series; nil without Filter
	// once holds the labels of the series counted where the same ones are selected repeatedly; else nil.
	once map[string]struct{}
}

func (u *Use) keeps(l labels.Labels) bool {
	for _, m := range u.Filter {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

// add takes the series with the next index in, if the use keeps it.
func (u *Use) add(series int, l labels.Labels) {
	keep := u.keeps(l)
	if u.Filter != nil {
		for len(u.mask) <= series {
			u.mask = append(u.mask, false)
		}
		u.mask[series] = keep
	}
	if keep && u.once != nil {
		key := string(l.Bytes(nil))
		if _, again := u.once[key]; again {
			return
		}
		u.once[key] = struct{}{}
	}
	if keep {
		u.series++
	}
}

// has tells whether the use keeps a series of the scan.
func (u *Use) has(series int) bool { return u.mask == nil || u.mask[series] }

// Scan is a leaf that selectors of the query can share.
type Scan interface {
	operators.Source
	// AddUse makes the scan stand for one more selector, before Bind.
	AddUse(u *Use)
	// Again counts for one more selector that keeps all series of the scan. One with a filter has
	// a Filter behind the scan, whose Again it is.
	Again()
}

// AddUse implements Scan.
func (v *Vector) AddUse(u *Use) { v.sel.Uses = append(v.sel.Uses, u) }

// Again implements Scan.
func (v *Vector) Again() {
	v.AddUse(&Use{Scope: v.sel.Uses[0].Scope})
}

// AddUse implements Scan.
func (s *Window) AddUse(u *Use) { s.sel.Uses = append(s.sel.Uses, u) }

// Again implements Scan.
func (s *Window) Again() {
	s.AddUse(&Use{Scope: s.sel.Uses[0].Scope})
}

// Leaf is implemented by all operators that select series.
type Leaf interface {
	// Place is the selector's number in the query.
	Place() int
	// Announce says that the leaf is going to be bound. Storages are asked for all that was announced
	// before the first answer is read, in the order of announcing.
	Announce()
}

// Place implements Leaf.
func (v *Vector) Place() int { return v.sel.Place }

// Announce implements Leaf.
func (v *Vector) Announce() {
	if v.grid.Steps > 0 {
		v.sel.announce()
	}
}

// Place implements Leaf.
func (s *Window) Place() int { return s.sel.Place }

// Announce implements Leaf.
func (s *Window) Announce() {
	if s.app.Spec.Grid.Steps > 0 {
		s.sel.announce()
	}
}

// Place implements Leaf.
func (r *Raw) Place() int { return r.sel.Place }

// Announce implements Leaf.
func (r *Raw) Announce() { r.sel.announce() }
