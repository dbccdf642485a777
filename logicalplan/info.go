package logicalplan

import (
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// InfoReference says at which times info() looks up the info series.
type InfoReference struct {
	// Timestamp is the `@` in ms that the selectors of the first argument share. When set, all
	// steps see the info series as of Timestamp-Offset.
	Timestamp *int64
	// Offset is what to subtract from Timestamp or else from a step's time, ms.
	Offset int64
	// Hints are the storage hints for selecting info series.
	Hints storage.SelectHints
}

// infoReference works out the reference for a call of info() evaluated at the given times. The
// selectors' own reference is taken only if all series of arg come from selectors with the same
// one; else info series are looked up at the time of the step.
func infoReference(arg parser.Expr, at Times, lookback time.Duration) *InfoReference {
	s := referenceScan{uniform: true}
	s.scan(arg, nil)
	var ref selectorReference
	if s.found && s.uniform && !s.stepTime {
		ref = s.first
	}

	r := &InfoReference{Timestamp: copyOf(ref.at), Offset: durationMillis(ref.offset)}
	start, end := at.Start, at.End
	if r.Timestamp != nil {
		start, end = *r.Timestamp, *r.Timestamp
	}
	r.Hints = storage.SelectHints{
		Start: start - (durationMillis(lookback) - 1) - r.Offset,
		End:   end - r.Offset,
		Step:  at.Interval,
		Func:  "info",
	}
	return r
}

// selectorReference is a selector's time of reference relative to the step, or at a fixed time.
type selectorReference struct {
	at     *int64
	offset time.Duration
}

func (r selectorReference) equal(o selectorReference) bool {
	if r.at == nil || o.at == nil {
		return r.at == nil && o.at == nil && durationMillis(r.offset) == durationMillis(o.offset)
	}
	return *r.at-durationMillis(r.offset) == *o.at-durationMillis(o.offset)
}

// referenceScan collects the references of the selectors that an expression's series come from.
type referenceScan struct {
	first    selectorReference
	found    bool
	uniform  bool // all are equal to the first
	stepTime bool // some series come from no selector, such as those of vector(1)
}

// scan looks at e, inside the given subqueries (innermost last), and reports whether it holds a selector.
func (s *referenceScan) scan(e parser.Expr, inside []*parser.SubqueryExpr) bool {
	if t := e.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeMatrix {
		return false
	}
	var children []parser.Expr
	switch e := e.(type) {
	case *parser.VectorSelector:
		s.add(e, inside)
		return true
	case *parser.SubqueryExpr:
		inside = append(inside, e)
		children = []parser.Expr{e.Expr}
	case *parser.Call:
		if children = e.Args; e.Func.Name == "info" {
			return s.scan(e.Args[0], inside) // the other one is not evaluated
		}
	default:
		children, _ = astChildren(e)
	}
	holds := false
	for _, c := range children {
		if s.scan(c, inside) {
			holds = true
		}
	}
	if !holds {
		s.stepTime = true
	}
	return holds
}

func (s *referenceScan) add(v *parser.VectorSelector, inside []*parser.SubqueryExpr) {
	ref := selectorReference{at: v.Timestamp, offset: v.OriginalOffset}
	// Offsets of subqueries add up until an `@` makes those further out irrelevant.
	for i := len(inside) - 1; i >= 0 && ref.at == nil; i-- {
		ref.offset += inside[i].OriginalOffset
		ref.at = inside[i].Timestamp
	}
	switch {
	case !s.found:
		s.first, s.found = ref, true
	case !s.first.equal(ref):
		s.uniform = false
	}
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
