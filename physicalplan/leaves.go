package physicalplan

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/function"
	"github.com/stride-promql/stride/operators/scan"
	"github.com/stride-promql/stride/operators/subquery"
	"github.com/stride-promql/stride/operators/window"
)

func (b *builder) number(n *logicalplan.NumberLiteral, c place) *node {
	return b.add(function.NewNumber(b.account(), n.Val), c.grid)
}

func (b *builder) selector(n *logicalplan.VectorSelector, c place) *scan.Selector {
	return &scan.Selector{
		Storage:              b.opts.Storage,
		Matchers:             n.Matchers,
		Filter:               n.Filter,
		Hints:                n.Hints,
		StatsOnly:            n.StatsOnly,
		SkipHistogramBuckets: n.SkipHistogramBuckets,
		Text:                 logicalplan.Text(n),
		Scopes:               []*operators.Scope{c.scope.scope},
	}
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
	sel := b.selector(n, c)
	if !n.Smoothed {
		return b.add(scan.NewVector(b.account(), sel, c.grid, n.Offset, nil, scan.Value), c.grid)
	}
	spec := b.spec(n, 0, c)
	spec.Anchored, spec.Fixed = false, false
	return b.add(scan.NewWindow(b.account(), sel, &window.Application{
		Function: window.Smooth,
		Spec:     spec,
		Pos:      window.Positions{First: n.Pos()},
		Query:    b.q,
	}), c.grid)
}

// timestamps is timestamp or start_timestamp directly over a selector, which look at the sample's own times.
func (b *builder) timestamps(n *logicalplan.VectorSelector, kind scan.Kind, c place) *node {
	offset := n.Offset
	if n.Timestamp != nil {
		// Prometheus looks exactly at the timestamp, whatever the offset.
		offset = 0
	}
	op := scan.NewVector(b.account(), b.selector(n, c), c.grid, offset, n.Timestamp, kind)
	return b.mergeResults(b.add(op, c.grid), c)
}

// rangeFunction is a function over a matrix selector or a subquery.
func (b *builder) rangeFunction(f window.Function, n *logicalplan.Call, c place) (*node, error) {
	app := &window.Application{Function: f, Query: b.q}
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
	app.Pos.First = at[0]
	app.Pos.All = posrange.PositionRange{Start: at[0].Start, End: at[len(at)-1].End}
	if len(at) > 1 {
		app.Pos.Second = at[1]
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
		return b.add(scan.NewWindow(b.account(), b.selector(m.Selector, c), app), c.grid, inputs...), nil
	case *logicalplan.Subquery:
		return b.subquery(m, app, inputs, c)
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

func (b *builder) subquery(n *logicalplan.Subquery, app *window.Application, params []*node, c place) (*node, error) {
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
	op := subquery.NewWindow(b.account(), in.op.Schema(), inner.grid, app)
	return b.add(op, c.grid, append([]*node{in}, params...)...), nil
}
