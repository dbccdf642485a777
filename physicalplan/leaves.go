package physicalplan

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators/function"
	"github.com/stride-promql/stride/operators/scan"
	"github.com/stride-promql/stride/operators/subquery"
	"github.com/stride-promql/stride/operators/window"
)

func (b *builder) number(n *logicalplan.NumberLiteral, c place) *node {
	return b.add(function.NewNumber(b.account(), n.Val), c.grid)
}

// selector is what a leaf selects; use is the first selector of the query that it stands for.
func (b *builder) selector(n *logicalplan.VectorSelector, text string, use *scan.Use) *scan.Selector {
	matchers := n.Matchers
	if b.shared == nil {
		matchers = slices.Concat(n.Matchers, n.Filter) // nobody else reads the wider selection
	}
	return &scan.Selector{
		Storage:              b.opts.Storage,
		Matchers:             matchers,
		Hints:                n.Hints,
		StatsOnly:            n.StatsOnly,
		SkipHistogramBuckets: n.SkipHistogramBuckets,
		Place:                b.places[n],
		Text:                 text,
		Uses:                 []*scan.Use{use},
	}
}

// unfiltered is what a selector reads.
func unfiltered(n *logicalplan.VectorSelector) *logicalplan.VectorSelector {
	wide := *n
	wide.Filter = nil
	return &wide
}

// use is a selector's share in the leaf that reads it.
func use(n *logicalplan.VectorSelector, c place, pos *window.Positions) *scan.Use {
	return &scan.Use{Scope: c.scope.scope, Filter: n.Filter, Pos: pos}
}

// leaf is a leaf that has been built, for other selectors to share.
type leaf struct {
	node     *node
	selector *logicalplan.VectorSelector
	scope    *scopeInfo
	app      *window.Application // nil for an instant selector
}

// leaf gives the node that reads n: one that is there already, if the plan says that n is read together with
// others, or what build makes.
func (b *builder) leaf(n *logicalplan.VectorSelector, app *window.Application, c place, u *scan.Use, build func() *node) *node {
	out := b.sharedLeaf(n, app, c)
	if out == nil {
		out = build()
		b.leaves = append(b.leaves, leaf{out, n, c.scope, app})
	} else {
		out.op.(scan.Scan).AddUse(u)
	}
	if n.Filter == nil {
		return out
	}
	return b.add(scan.NewFilter(out.op.(scan.Scan), u), c.grid, out)
}

func (b *builder) sharedLeaf(n *logicalplan.VectorSelector, app *window.Application, c place) *node {
	if b.shared == nil || !n.ReadOnce {
		return nil
	}
	for _, l := range b.leaves {
		if l.scope == c.scope && l.selector.ReadOnce && logicalplan.SameScan(l.selector, n) && sameApplication(l.app, app) {
			return l.node
		}
	}
	return nil
}

// sameApplication tells whether two functions over the same selector give the same.
func sameApplication(a, b *window.Application) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Function.Name != b.Function.Name || a.Spec != b.Spec || len(a.Params) != len(b.Params) {
		return false
	}
	for i := range a.Params {
		x, xConstant := a.Params[i].Constant()
		y, yConstant := b.Params[i].Constant()
		if !xConstant || !yConstant || math.Float64bits(x) != math.Float64bits(y) {
			return false
		}
	}
	return true
}

// spec says what the windows of a selector look like.
func (b *builder) spec(n *logicalplan.VectorSelector, width time.Duration, c place) window.Spec {
	return window.Spec{
		Grid:     c.grid,
		Range:    width.Milliseconds(),
		Offset:   n.Offset,
		Lookback: b.lookup,
		Anchored: n.Anchored,
		Smoothed: n.Smoothed,
		Fixed:    n.Timestamp != nil,
	}
}

func (b *builder) vectorSelector(n *logicalplan.VectorSelector, c place) *node {
	if n.Smoothed {
		app := &window.Application{Function: window.Smooth, Spec: b.spec(n, 0, c)}
		app.Spec.Anchored, app.Spec.Fixed = false, false
		return b.windows(n, logicalplan.Text(unfiltered(n)), app, c, window.Positions{First: n.Pos()}, nil)
	}
	u := use(n, c, nil)
	return b.leaf(n, nil, c, u, func() *node {
		return b.add(scan.NewVector(b.account(), b.selector(n, logicalplan.Text(unfiltered(n)), u), c.grid, n.Offset, nil, scan.Value), c.grid)
	})
}

// windows is a range function over a selector.
func (b *builder) windows(n *logicalplan.VectorSelector, text string, app *window.Application, c place, pos window.Positions, params []*node) *node {
	pos.Use = b.places[n]
	u := use(n, c, &pos)
	return b.leaf(n, app, c, u, func() *node {
		app.Query = b.account()
		return b.add(scan.NewWindow(app.Query, b.selector(n, text, u), app), c.grid, params...)
	})
}

// timestamps is timestamp or start_timestamp directly over a selector, which look at the sample's own times.
func (b *builder) timestamps(n *logicalplan.VectorSelector, kind scan.Kind, c place) *node {
	offset := n.Offset
	if n.Timestamp != nil {
		// Prometheus looks exactly at the timestamp, whatever the offset.
		offset = 0
	}
	op := scan.NewVector(b.account(), b.selector(n, logicalplan.Text(n), use(n, c, nil)), c.grid, offset, n.Timestamp, kind)
	return b.mergeResults(b.add(op, c.grid), c)
}

// rangeFunction is a function over a matrix selector or a subquery.
func (b *builder) rangeFunction(f window.Function, n *logicalplan.Call, c place) (*node, error) {
	app := &window.Application{Function: f}
	var (
		matrix logicalplan.Node
		params []logicalplan.Node
	)
	at := make([]posrange.PositionRange, len(n.Args))
	for i, a := range n.Args {
		at[i] = a.Pos()
		switch a.(type) {
		case *logicalplan.MatrixSelector:
			matrix = a
		case *logicalplan.Subquery:
			// Prometheus has replaced the subquery by a selector without a position by then.
			matrix, at[i] = a, posrange.PositionRange{}
		default:
			params = append(params, a)
		}
	}
	pos := window.Positions{First: at[0], All: posrange.PositionRange{Start: at[0].Start, End: at[len(at)-1].End}}
	if len(at) > 1 {
		pos.Second = at[1]
	}
	operands, inputs, err := b.scalars(params, c)
	if err != nil {
		return nil, err
	}
	app.Params = operands

	switch m := matrix.(type) {
	case *logicalplan.MatrixSelector:
		if err := checkExtended(f, m.Selector); err != nil {
			return nil, err
		}
		app.Spec = b.spec(m.Selector, m.Range, c)
		text := logicalplan.Text(&logicalplan.MatrixSelector{Selector: unfiltered(m.Selector), Range: m.Range})
		return b.windows(m.Selector, text, app, c, pos, inputs), nil
	case *logicalplan.Subquery:
		return b.subquery(m, app, pos, inputs, c)
	}
	return nil, fmt.Errorf("%s needs a range vector", f.Name)
}

func checkExtended(f window.Function, n *logicalplan.VectorSelector) error {
	switch {
	case n.Anchored && !f.Anchored():
		return fmt.Errorf("anchored modifier can only be used with: %s - not with %s", window.AnchoredFunctions(), f.Name)
	case n.Smoothed && !f.Smoothed():
		return fmt.Errorf("smoothed modifier can only be used with: %s - not with %s", window.SmoothedFunctions(), f.Name)
	}
	return nil
}

func (b *builder) subquery(n *logicalplan.Subquery, app *window.Application, pos window.Positions, params []*node, c place) (*node, error) {
	inner, err := b.subqueryPlace(n, c, n.OriginalOffset, n.Range)
	if err != nil {
		return nil, err
	}
	in, err := b.build(n.Expr, inner)
	if err != nil {
		return nil, err
	}
	inner.scope.top = in
	app.Spec = window.Spec{Grid: c.grid, Range: n.Range.Milliseconds(), Offset: n.OriginalOffset.Milliseconds(), Lookback: b.lookup}
	if n.Timestamp != nil {
		app.Spec.Fixed = true
		app.Spec.Offset += c.grid.Start - *n.Timestamp
	}
	app.Query = b.account()
	op := subquery.NewWindow(app.Query, in.op.Schema(), inner.grid, app, pos)
	return b.add(op, c.grid, append([]*node{in}, params...)...), nil
}
