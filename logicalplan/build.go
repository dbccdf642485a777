package logicalplan

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// BuildOptions are what Build needs to know besides the statement.
type BuildOptions struct {
	// NoStepSubqueryInterval is the interval in ms of a subquery without a step, given its range
	// in ms. nil: one minute.
	NoStepSubqueryInterval func(rangeMillis int64) int64
	// MaxDepth and MaxNodes limit the expression; 0: DefaultMaxDepth and DefaultMaxNodes.
	MaxDepth, MaxNodes int
}

// Build makes a plan of a statement whose expression went through promql.PreprocessExpr. All times
// are resolved as Prometheus' evaluator resolves them. The statement is not changed and the plan
// keeps no part of it but functions and matchers, which nobody changes. Whatever in the expression
// is not understood is an error.
func Build(stmt *parser.EvalStmt, opts BuildOptions) (*Plan, error) {
	if opts.MaxDepth <= 0 {
		opts.MaxDepth = DefaultMaxDepth
	}
	if opts.MaxNodes <= 0 {
		opts.MaxNodes = DefaultMaxNodes
	}
	if opts.NoStepSubqueryInterval == nil {
		opts.NoStepSubqueryInterval = func(int64) int64 { return time.Minute.Milliseconds() }
	}
	if err := checkLimits(stmt.Expr, opts.MaxDepth, opts.MaxNodes); err != nil {
		return nil, err
	}
	times, err := statementTimes(stmt)
	if err != nil {
		return nil, err
	}
	b := &builder{stmt: stmt, noStep: opts.NoStepSubqueryInterval}
	root, err := b.expr(stmt.Expr, scope{times: times, at: atReference{start: times.Start}})
	if err != nil {
		return nil, err
	}
	return &Plan{Root: root.node, Times: times, Lookback: durationMillis(stmt.LookbackDelta)}, nil
}

type builder struct {
	stmt   *parser.EvalStmt
	noStep func(int64) int64
}

// scope is what the place of an expression in the query says about it.
type scope struct {
	times Times
	at    atReference
	hints hintScope
	// raw is set in the parameter of an aggregation. PreprocessExpr leaves it alone but for
	// durations and start(), end(), range() and step() as functions: there, nothing is marked as
	// step-invariant, `@ start()` and `@ end()` have no effect, and parentheses hide a selector
	// from the function around it.
	raw bool
}

// part is a node with its place in the text (parentheses included) and its type, so that neither
// is worked out again at each level above.
type part struct {
	node Node
	pos  posrange.PositionRange
	typ  parser.ValueType
}

func (b *builder) expr(e parser.Expr, s scope) (part, error) {
	switch e := e.(type) {
	case *parser.NumberLiteral:
		return part{&NumberLiteral{Val: e.Val, PosRange: e.PosRange}, e.PosRange, parser.ValueTypeScalar}, nil
	case *parser.StringLiteral:
		return part{&StringLiteral{Val: e.Val, PosRange: e.PosRange}, e.PosRange, parser.ValueTypeString}, nil
	case *parser.ParenExpr:
		s.hints = s.hints.under(e)
		p, err := b.expr(e.Expr, s)
		p.pos = e.PosRange
		return p, err
	case *parser.StepInvariantExpr:
		s.times = s.times.first()
		s.hints = s.hints.under(e)
		p, err := b.expr(e.Expr, s)
		if err != nil {
			return part{}, err
		}
		p.node = &StepInvariant{Expr: p.node}
		return p, nil
	case *parser.VectorSelector:
		n, err := b.selector(e, 0, s)
		if err != nil {
			return part{}, err
		}
		return part{n, n.PosRange, parser.ValueTypeVector}, nil
	case *parser.MatrixSelector:
		return b.matrixSelector(e, s)
	case *parser.SubqueryExpr:
		return b.subquery(e, s)
	case *parser.Call:
		return b.call(e, s)
	case *parser.AggregateExpr:
		return b.aggregate(e, s)
	case *parser.BinaryExpr:
		return b.binary(e, s)
	case *parser.UnaryExpr:
		return b.unary(e, s)
	default:
		return part{}, fmt.Errorf("expression has a part of the unknown type %T", e)
	}
}

func (b *builder) selector(e *parser.VectorSelector, rng time.Duration, s scope) (*VectorSelector, error) {
	if e.Anchored && e.Smoothed {
		return nil, fmt.Errorf("selector %s is both anchored and smoothed", e)
	}
	if e.Series != nil || e.UnexpandedSeriesSet != nil {
		return nil, fmt.Errorf("selector %s was already evaluated", e)
	}
	if err := checkStartOrEnd(e.StartOrEnd); err != nil {
		return nil, err
	}
	for _, m := range e.LabelMatchers {
		if m == nil || m.Type < labels.MatchEqual || m.Type > labels.MatchNotRegexp {
			return nil, fmt.Errorf("selector of metric %q has an unknown matcher", e.Name)
		}
	}
	return &VectorSelector{
		Name:           e.Name,
		Matchers:       slices.Clone(e.LabelMatchers),
		OriginalOffset: e.OriginalOffset,
		Timestamp:      copyOf(e.Timestamp),
		Offset:         durationMillis(s.at.offset(e.Timestamp, e.OriginalOffset)),
		Anchored:       e.Anchored,
		Smoothed:       e.Smoothed,
		StatsOnly:      e.SkipHistogramBuckets,
		Hints:          b.selectHints(e, rng, s.hints),
		PosRange:       e.PosRange,
	}, nil
}

func (b *builder) matrixSelector(e *parser.MatrixSelector, s scope) (part, error) {
	v, ok := e.VectorSelector.(*parser.VectorSelector)
	if !ok {
		return part{}, fmt.Errorf("range over %T, only selectors can have one", e.VectorSelector)
	}
	s.hints = s.hints.under(e)
	n, err := b.selector(v, e.Range, s)
	if err != nil {
		return part{}, err
	}
	pos := posrange.PositionRange{Start: v.PosRange.Start, End: e.EndPos}
	return part{&MatrixSelector{Selector: n, Range: e.Range, PosRange: pos}, pos, parser.ValueTypeMatrix}, nil
}

func (b *builder) subquery(e *parser.SubqueryExpr, s scope) (part, error) {
	if err := checkStartOrEnd(e.StartOrEnd); err != nil {
		return part{}, err
	}
	times, err := subqueryTimes(e, s.times, s.at.offset(e.Timestamp, e.OriginalOffset), b.noStep)
	if err != nil {
		return part{}, err
	}
	// The function around sees the results relative to its own first step, whatever subqueries are
	// further out, so this is not always the offset that the times came from.
	offset := atReference{start: s.times.Start}.offset(e.Timestamp, e.OriginalOffset)

	in := scope{
		times: times,
		at:    s.at.enter(e, s.times.Start, times.Start),
		hints: s.hints.underSubquery(e, times.Interval),
		raw:   s.raw,
	}
	x, err := b.expr(e.Expr, in)
	if err != nil {
		return part{}, err
	}
	if x.typ != parser.ValueTypeVector {
		return part{}, fmt.Errorf("subquery of type %s, only vectors can have one", x.typ)
	}
	pos := posrange.PositionRange{Start: x.pos.Start, End: e.EndPos}
	return part{&Subquery{
		Expr:           x.node,
		Range:          e.Range,
		Step:           e.Step,
		OriginalOffset: e.OriginalOffset,
		Timestamp:      copyOf(e.Timestamp),
		Offset:         durationMillis(offset),
		Times:          times,
		PosRange:       pos,
	}, pos, parser.ValueTypeMatrix}, nil
}

func (b *builder) call(e *parser.Call, s scope) (part, error) {
	if err := checkFunction(e.Func); err != nil {
		return part{}, err
	}
	n := &Call{Func: e.Func, Args: make([]Node, len(e.Args)), PosRange: e.PosRange}
	in := s
	in.hints = s.hints.under(e)
	for i, arg := range e.Args {
		x, err := b.operand(arg, in)
		if err != nil {
			return part{}, err
		}
		if want, ok := argType(e.Func, i); !ok || x.typ != want {
			return part{}, fmt.Errorf("argument %d of %s() has the type %s, which it does not take", i+1, e.Func.Name, x.typ)
		}
		n.Args[i] = x.node
	}
	if len(e.Args) < minArgs(e.Func) {
		return part{}, fmt.Errorf("%s() has %d arguments, it needs %d", e.Func.Name, len(e.Args), minArgs(e.Func))
	}
	switch e.Func.Name {
	case "info":
		n.Info = infoReference(e.Args[0], s.times, b.stmt.LookbackDelta)
		if len(n.Args) > 1 {
			if _, ok := n.Args[1].(*VectorSelector); !ok {
				return part{}, errors.New("the second argument of info() must be label selectors")
			}
		}
	case "timestamp", "start_timestamp":
		// Directly on a selector with `@` these read at that time, without the offset.
		if v, ok := n.Args[0].(*VectorSelector); ok && v.Timestamp != nil {
			v.Offset = s.times.Start - *v.Timestamp
		}
	}
	return part{n, e.PosRange, e.Func.ReturnType}, nil
}

// operand builds an argument of a function or what an aggregation aggregates.
func (b *builder) operand(e parser.Expr, s scope) (part, error) {
	paren, ok := e.(*parser.ParenExpr)
	if !ok || !s.raw {
		return b.expr(e, s)
	}
	inner := paren.Expr
	for {
		p, ok := inner.(*parser.ParenExpr)
		if !ok {
			break
		}
		inner = p.Expr
	}
	switch inner.(type) {
	case *parser.MatrixSelector, *parser.SubqueryExpr:
		// Prometheus does not find the range vector and panics.
		return part{}, errors.New("a range vector in parentheses is not understood inside the parameter of an aggregation")
	case *parser.VectorSelector:
		// A unary plus changes no value and hides the selector from the function in the same way:
		// timestamp((x)) gives the time of the step, absent((x)) has no labels.
		s.hints = s.hints.under(paren)
		x, err := b.expr(inner, s)
		if err != nil {
			return part{}, err
		}
		x.node = &Unary{Op: parser.ADD, Expr: x.node, PosRange: paren.PosRange}
		x.pos = paren.PosRange
		return x, nil
	default:
		return b.expr(e, s)
	}
}

func (b *builder) aggregate(e *parser.AggregateExpr, s scope) (part, error) {
	paramType, err := aggregateParamType(e.Op)
	if err != nil {
		return part{}, err
	}
	s.hints = s.hints.under(e)
	x, err := b.operand(e.Expr, s)
	if err != nil {
		return part{}, err
	}
	if x.typ != parser.ValueTypeVector {
		return part{}, fmt.Errorf("%s aggregates a %s, it must be a vector", e.Op, x.typ)
	}
	n := &Aggregate{
		Op:       e.Op,
		Expr:     x.node,
		Grouping: slices.Clone(e.Grouping),
		Without:  e.Without,
		PosRange: e.PosRange,
	}
	slices.Sort(n.Grouping)
	switch {
	case (e.Param == nil) != (paramType == parser.ValueTypeNone):
		return part{}, fmt.Errorf("%s has a parameter too many or too few", e.Op)
	case e.Param != nil:
		s.raw = true
		p, err := b.expr(e.Param, s)
		if err != nil {
			return part{}, err
		}
		if p.typ != paramType {
			return part{}, fmt.Errorf("the parameter of %s is a %s, it must be a %s", e.Op, p.typ, paramType)
		}
		n.Param = p.node
	}
	return part{n, e.PosRange, parser.ValueTypeVector}, nil
}

func (b *builder) binary(e *parser.BinaryExpr, s scope) (part, error) {
	s.hints = s.hints.under(e)
	l, err := b.expr(e.LHS, s)
	if err != nil {
		return part{}, err
	}
	r, err := b.expr(e.RHS, s)
	if err != nil {
		return part{}, err
	}
	if err := checkBinary(e, l.typ, r.typ); err != nil {
		return part{}, err
	}
	typ := parser.ValueTypeVector
	if l.typ == parser.ValueTypeScalar && r.typ == parser.ValueTypeScalar {
		typ = parser.ValueTypeScalar
	}
	pos := posrange.PositionRange{Start: l.pos.Start, End: r.pos.End}
	return part{&Binary{
		Op:         e.Op,
		LHS:        l.node,
		RHS:        r.node,
		Matching:   copyMatching(e.VectorMatching),
		ReturnBool: e.ReturnBool,
		PosRange:   pos,
	}, pos, typ}, nil
}

func (b *builder) unary(e *parser.UnaryExpr, s scope) (part, error) {
	if e.Op != parser.ADD && e.Op != parser.SUB {
		return part{}, fmt.Errorf("unknown unary operator %s", e.Op)
	}
	s.hints = s.hints.under(e)
	x, err := b.expr(e.Expr, s)
	if err != nil {
		return part{}, err
	}
	if x.typ != parser.ValueTypeVector && x.typ != parser.ValueTypeScalar {
		return part{}, fmt.Errorf("unary %s of a %s, it must be a vector or scalar", e.Op, x.typ)
	}
	x.pos.Start = e.StartPos
	x.node = &Unary{Op: e.Op, Expr: x.node, PosRange: x.pos}
	return x, nil
}

func copyMatching(m *parser.VectorMatching) *parser.VectorMatching {
	if m == nil {
		return nil
	}
	return &parser.VectorMatching{
		Card:           m.Card,
		MatchingLabels: slices.Clone(m.MatchingLabels),
		On:             m.On,
		Include:        slices.Clone(m.Include),
		FillValues: parser.VectorMatchFillValues{
			LHS: copyOf(m.FillValues.LHS),
			RHS: copyOf(m.FillValues.RHS),
		},
	}
}
