// Package logicalplan says what a query computes: a tree of nodes built from the parser's AST with all
// times resolved, optimizer passes over it, and its text form. It knows nothing of operators.
package logicalplan

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/storage"
)

// Node is a node of a logical plan. The set of nodes is closed, but for Extension. A node may have
// several parents once a pass has shared it.
type Node interface {
	// Children are the inputs in Prometheus' evaluation order of the text (not of execution).
	Children() []Node
	// SetChild replaces input i.
	SetChild(i int, n Node)
	// Type is the PromQL type of the node's value.
	Type() parser.ValueType
	// Pos is the place in the query's text that annotations name.
	Pos() posrange.PositionRange
	// Describe is the node on one line, without its children.
	Describe() string
}

// Times are the evaluation times of a part of the query in milliseconds: Start, Start+Interval, ...
// up to End. Interval is at least 1.
type Times struct {
	Start, End, Interval int64
}

// Plan is a query: a tree and the times at which it is evaluated.
type Plan struct {
	Root Node
	Times
	// Lookback is the age in milliseconds from which on a sample is too old for an instant selector.
	Lookback int64
}

// NumberLiteral is a scalar constant.
type NumberLiteral struct {
	Val      float64
	PosRange posrange.PositionRange
}

// StringLiteral is a string constant.
type StringLiteral struct {
	Val      string
	PosRange posrange.PositionRange
}

// VectorSelector selects series and, at every step, each one's newest sample within the lookback.
type VectorSelector struct {
	Name     string // metric name as written in front of the braces, if any
	Matchers []*labels.Matcher
	// Filter narrows what Matchers select to the series that the query asked for, after
	// selectors were merged; nil: all of them.
	Filter []*labels.Matcher
	// ReadOnce is set when another selector of the query is the SameScan, and one scan may serve both.
	ReadOnce bool
	// Uses is how many selectors of the query as written the node stands for, once equal ones are
	// shared; 0 is 1. Samples read, samples in total, series touched and the cost limits count
	// what the node gives (after Filter) that many times.
	Uses int

	OriginalOffset time.Duration // as written
	Timestamp      *int64        // of `@`, with start() and end() resolved, ms
	// Offset is what to subtract from a step's time to get the reference time, ms; `@` is worked in
	// with respect to the first step of the times the node is evaluated at.
	// An instant selector with `@` that is not below a StepInvariant (so in the parameter of an
	// aggregation) is read at each step's time less Offset all the same, as Prometheus does; the
	// window of a matrix selector with `@` is the same at all steps.
	Offset int64

	Anchored, Smoothed bool
	// StatsOnly says that the query looks at nothing but count and sum of native histograms;
	// SkipHistogramBuckets, that only these are to be read. HistogramStats makes the one of the other.
	StatsOnly, SkipHistogramBuckets bool

	// Hints are the storage hints, as Prometheus gives them.
	Hints    storage.SelectHints
	PosRange posrange.PositionRange
}

// MatrixSelector selects, at every step, the samples of a window.
type MatrixSelector struct {
	Selector *VectorSelector
	Range    time.Duration
	PosRange posrange.PositionRange
}

// Subquery evaluates Expr at times of its own and gives, at every step, the results in a window.
type Subquery struct {
	Expr           Node
	Range          time.Duration
	Step           time.Duration // as written; 0: the default interval
	OriginalOffset time.Duration
	Timestamp      *int64
	// Offset is what to subtract from a step's time to get the end of its window, ms; with `@` that
	// holds for the first step, and all others see the same window.
	Offset int64
	// Times are those of Expr. There may be none (End < Start).
	Times    Times
	PosRange posrange.PositionRange
}

// Call is a function call. String arguments stay StringLiterals. The second argument of info() is a
// VectorSelector that is not evaluated: it only carries matchers.
//
// timestamp() and start_timestamp() directly over a VectorSelector with Timestamp read, at every
// step, the sample of that very time; the selector's Offset leads there from the first step.
type Call struct {
	Func *parser.Function
	Args []Node
	// Info is set for info() alone: when to look up the info series.
	Info *InfoReference
	// Of is what absent() or absent_over_time() asks for, where its argument stands for that and is an instant vector: it
	// gives the result its labels.
	Of       Node
	PosRange posrange.PositionRange
}

// Aggregate is an aggregation. Param is nil for operators without one.
type Aggregate struct {
	Op       parser.ItemType
	Expr     Node
	Param    Node
	Grouping []string // sorted
	Without  bool
	PosRange posrange.PositionRange
}

// Binary is a binary operation. Matching is nil unless both sides are vectors.
type Binary struct {
	Op         parser.ItemType
	LHS, RHS   Node
	Matching   *parser.VectorMatching
	ReturnBool bool
	PosRange   posrange.PositionRange
}

// Unary is +Expr or -Expr.
type Unary struct {
	Op       parser.ItemType
	Expr     Node
	PosRange posrange.PositionRange
}

// StepInvariant evaluates Expr at the first step only; all other steps have the same value.
type StepInvariant struct {
	Expr Node
}

// Shared stands for a node that is a part of the query at other places too: one of the parents has Expr
// itself, all others a Shared with the place where the query spells it out for them. It is computed once.
type Shared struct {
	Expr     Node
	PosRange posrange.PositionRange
}

// Extension is a node from outside this package. Optimizers put it into the plan, and a
// physicalplan.Builder makes an operator of it.
type Extension interface {
	Node
	// Extension tells extensions from this package's nodes.
	Extension()
}

func (*NumberLiteral) Children() []Node  { return nil }
func (*StringLiteral) Children() []Node  { return nil }
func (*VectorSelector) Children() []Node { return nil }

// Children is the selector.
func (n *MatrixSelector) Children() []Node { return []Node{n.Selector} }
func (n *Subquery) Children() []Node       { return []Node{n.Expr} }
func (n *Call) Children() []Node           { return n.Args }
func (n *Unary) Children() []Node          { return []Node{n.Expr} }
func (n *StepInvariant) Children() []Node  { return []Node{n.Expr} }
func (n *Shared) Children() []Node         { return []Node{n.Expr} }
func (n *Binary) Children() []Node         { return []Node{n.LHS, n.RHS} }

// Children is the aggregated expression and, where there is one, the parameter.
func (n *Aggregate) Children() []Node {
	if n.Param == nil {
		return []Node{n.Expr}
	}
	return []Node{n.Expr, n.Param}
}

func (*NumberLiteral) SetChild(int, Node)        {}
func (*StringLiteral) SetChild(int, Node)        {}
func (*VectorSelector) SetChild(int, Node)       {}
func (n *MatrixSelector) SetChild(_ int, c Node) { n.Selector = c.(*VectorSelector) }
func (n *Subquery) SetChild(_ int, c Node)       { n.Expr = c }
func (n *Call) SetChild(i int, c Node)           { n.Args[i] = c }
func (n *Unary) SetChild(_ int, c Node)          { n.Expr = c }
func (n *StepInvariant) SetChild(_ int, c Node)  { n.Expr = c }
func (n *Shared) SetChild(_ int, c Node)         { n.Expr = c }
func (n *Binary) SetChild(i int, c Node) {
	if i == 0 {
		n.LHS = c
	} else {
		n.RHS = c
	}
}

func (n *Aggregate) SetChild(i int, c Node) {
	if i == 0 {
		n.Expr = c
	} else {
		n.Param = c
	}
}

func (*NumberLiteral) Type() parser.ValueType   { return parser.ValueTypeScalar }
func (*StringLiteral) Type() parser.ValueType   { return parser.ValueTypeString }
func (*VectorSelector) Type() parser.ValueType  { return parser.ValueTypeVector }
func (*MatrixSelector) Type() parser.ValueType  { return parser.ValueTypeMatrix }
func (*Subquery) Type() parser.ValueType        { return parser.ValueTypeMatrix }
func (n *Call) Type() parser.ValueType          { return n.Func.ReturnType }
func (*Aggregate) Type() parser.ValueType       { return parser.ValueTypeVector }
func (n *Unary) Type() parser.ValueType         { return n.Expr.Type() }
func (n *StepInvariant) Type() parser.ValueType { return n.Expr.Type() }
func (n *Shared) Type() parser.ValueType        { return n.Expr.Type() }
func (n *Binary) Type() parser.ValueType {
	if n.LHS.Type() == parser.ValueTypeScalar && n.RHS.Type() == parser.ValueTypeScalar {
		return parser.ValueTypeScalar
	}
	return parser.ValueTypeVector
}

func (n *NumberLiteral) Pos() posrange.PositionRange  { return n.PosRange }
func (n *StringLiteral) Pos() posrange.PositionRange  { return n.PosRange }
func (n *VectorSelector) Pos() posrange.PositionRange { return n.PosRange }
func (n *MatrixSelector) Pos() posrange.PositionRange { return n.PosRange }
func (n *Subquery) Pos() posrange.PositionRange       { return n.PosRange }
func (n *Call) Pos() posrange.PositionRange           { return n.PosRange }
func (n *Aggregate) Pos() posrange.PositionRange      { return n.PosRange }
func (n *Unary) Pos() posrange.PositionRange          { return n.PosRange }
func (n *StepInvariant) Pos() posrange.PositionRange  { return n.Expr.Pos() }
func (n *Shared) Pos() posrange.PositionRange         { return n.PosRange }
func (n *Binary) Pos() posrange.PositionRange         { return n.PosRange }
