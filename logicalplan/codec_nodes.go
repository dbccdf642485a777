package logicalplan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/storage"
)

// nodeVersions are the versions of the codec in which the nodes were changed last.
var nodeVersions = map[string]int{
	"number": 1, "string": 1, "selector": 1, "range": 1, "subquery": 1, "call": 1, "aggregate": 1, "binary": 1, "unary": 1,
	"step-invariant": 1, "parts": 1,
}

// newestNodeVersion is the version that it takes to read any plan.
func newestNodeVersion() int {
	return slices.Max(slices.Collect(maps.Values(nodeVersions)))
}

// wireNode is a node of any type; most fields are of some types only.
type wireNode struct {
	Type string      `json:"type"`
	In   []*wireNode `json:"in,omitempty"`
	Pos  [2]int      `json:"pos"`

	Value *wireFloat `json:"value,omitempty"`
	Text  wireText   `json:"text,omitempty"`

	Name           wireText      `json:"name,omitempty"`
	Matchers       []wireMatcher `json:"matchers,omitempty"`
	Range          int64         `json:"range,omitempty"` // ns, as all durations
	Step           int64         `json:"step,omitempty"`
	OriginalOffset int64         `json:"original_offset,omitempty"`
	Timestamp      *int64        `json:"timestamp,omitempty"`
	Offset         int64         `json:"offset,omitempty"`
	Anchored       bool          `json:"anchored,omitempty"`
	Smoothed       bool          `json:"smoothed,omitempty"`
	StatsOnly      bool          `json:"stats_only,omitempty"`
	Hints          *wireHints    `json:"hints,omitempty"`

	Times *Times    `json:"times,omitempty"`
	Info  *wireInfo `json:"info,omitempty"`

	Op         string        `json:"op,omitempty"`
	Grouping   []wireText    `json:"grouping,omitempty"`
	Grouped    bool          `json:"grouped,omitempty"` // by () is not the same as no grouping
	Without    bool          `json:"without,omitempty"`
	ReturnBool bool          `json:"bool,omitempty"`
	Matching   *wireMatching `json:"matching,omitempty"`
}

type wireHints struct {
	Start    int64      `json:"start"`
	End      int64      `json:"end"`
	Step     int64      `json:"step,omitempty"`
	Func     string     `json:"func,omitempty"`
	Grouping []wireText `json:"grouping,omitempty"`
	By       bool       `json:"by,omitempty"`
	Range    int64      `json:"range,omitempty"`
}

type wireInfo struct {
	Timestamp *int64     `json:"timestamp,omitempty"`
	Offset    int64      `json:"offset,omitempty"`
	Hints     *wireHints `json:"hints"`
}

type wireMatching struct {
	Card      string     `json:"card"`
	Labels    []wireText `json:"labels,omitempty"`
	On        bool       `json:"on,omitempty"`
	Include   []wireText `json:"include,omitempty"`
	FillLeft  *wireFloat `json:"fill_left,omitempty"`
	FillRight *wireFloat `json:"fill_right,omitempty"`
}

// toWire gives a node and the version of the codec that it takes to read it.
func toWire(n Node) (*wireNode, int, error) {
	pos := n.Pos()
	w := &wireNode{Pos: [2]int{int(pos.Start), int(pos.End)}}
	switch n := n.(type) {
	case *NumberLiteral:
		v := wireFloat(n.Val)
		w.Type, w.Value = "number", &v
	case *StringLiteral:
		w.Type, w.Text = "string", wireText(n.Val)
	case *VectorSelector:
		if n.Filter != nil || n.ReadOnce || n.Uses > 1 || n.SkipHistogramBuckets {
			return nil, 0, fmt.Errorf("selector %s was optimized for one engine and cannot be sent to another", n.Describe())
		}
		w.Type, w.Name, w.Matchers = "selector", wireText(n.Name), matchersToWire(n.Matchers)
		w.OriginalOffset, w.Timestamp, w.Offset = int64(n.OriginalOffset), n.Timestamp, n.Offset
		w.Anchored, w.Smoothed, w.StatsOnly = n.Anchored, n.Smoothed, n.StatsOnly
		w.Hints = hintsToWire(n.Hints)
	case *MatrixSelector:
		w.Type, w.Range = "range", int64(n.Range)
	case *Subquery:
		w.Type, w.Range, w.Step = "subquery", int64(n.Range), int64(n.Step)
		w.OriginalOffset, w.Timestamp, w.Offset = int64(n.OriginalOffset), n.Timestamp, n.Offset
		times := n.Times
		w.Times = &times
	case *Call:
		w.Type, w.Name = "call", wireText(n.Func.Name)
		if n.Info != nil {
			w.Info = &wireInfo{n.Info.Timestamp, n.Info.Offset, hintsToWire(n.Info.Hints)}
		}
	case *Aggregate:
		w.Type, w.Op, w.Without, w.Grouping, w.Grouped = "aggregate", n.Op.String(), n.Without, textsToWire(n.Grouping), n.Grouping != nil
	case *Parts:
		w.Type, w.Op, w.Without, w.Grouping, w.Grouped = "parts", n.Op.String(), n.Without, textsToWire(n.Grouping), n.Grouping != nil
	case *Binary:
		w.Type, w.Op, w.ReturnBool, w.Matching = "binary", n.Op.String(), n.ReturnBool, matchingToWire(n.Matching)
	case *Unary:
		w.Type, w.Op = "unary", n.Op.String()
	case *StepInvariant:
		w.Type = "step-invariant"
	default:
		return nil, 0, fmt.Errorf("%s cannot be sent to another engine", n.Describe())
	}
	version := nodeVersions[w.Type]
	for _, c := range n.Children() {
		in, v, err := toWire(c)
		if err != nil {
			return nil, 0, err
		}
		w.In = append(w.In, in)
		version = max(version, v)
	}
	return w, version, nil
}

func hintsToWire(h storage.SelectHints) *wireHints {
	return &wireHints{h.Start, h.End, h.Step, h.Func, textsToWire(h.Grouping), h.By, h.Range}
}

func (w *wireHints) hints() (storage.SelectHints, error) {
	if w == nil {
		return storage.SelectHints{}, errors.New("storage hints are missing")
	}
	return storage.SelectHints{Start: w.Start, End: w.End, Step: w.Step, Func: w.Func, Grouping: textsFromWire(w.Grouping), By: w.By, Range: w.Range}, nil
}

func textsToWire(s []string) []wireText {
	var out []wireText
	for _, x := range s {
		out = append(out, wireText(x))
	}
	return out
}

func textsFromWire(s []wireText) []string {
	var out []string
	for _, x := range s {
		out = append(out, string(x))
	}
	return out
}

var cards = []parser.VectorMatchCardinality{parser.CardOneToOne, parser.CardManyToOne, parser.CardOneToMany, parser.CardManyToMany}

func matchingToWire(m *parser.VectorMatching) *wireMatching {
	if m == nil {
		return nil
	}
	return &wireMatching{
		m.Card.String(), textsToWire(m.MatchingLabels), m.On, textsToWire(m.Include),
		(*wireFloat)(m.FillValues.LHS), (*wireFloat)(m.FillValues.RHS),
	}
}

func (w *wireMatching) matching() (*parser.VectorMatching, error) {
	if w == nil {
		return nil, nil
	}
	for _, c := range cards {
		if c.String() == w.Card {
			m := &parser.VectorMatching{Card: c, MatchingLabels: textsFromWire(w.Labels), On: w.On, Include: textsFromWire(w.Include)}
			m.FillValues.LHS, m.FillValues.RHS = (*float64)(w.FillLeft), (*float64)(w.FillRight)
			return m, nil
		}
	}
	return nil, fmt.Errorf("unknown cardinality %q", w.Card)
}

// fromWire makes the node, and checks what Build would have.
func fromWire(w *wireNode) (Node, error) {
	if w == nil {
		return nil, errors.New("a node is missing")
	}
	pos := posrange.PositionRange{Start: posrange.Pos(w.Pos[0]), End: posrange.Pos(w.Pos[1])}
	in := make([]Node, len(w.In))
	for i, c := range w.In {
		var err error
		if in[i], err = fromWire(c); err != nil {
			return nil, err
		}
	}
	n, err := w.node(in, pos)
	if err != nil {
		return nil, fmt.Errorf("node of type %q: %w", w.Type, err)
	}
	return n, nil
}

func (w *wireNode) node(in []Node, pos posrange.PositionRange) (Node, error) {
	inputs := func(n int) error {
		if len(in) != n {
			return fmt.Errorf("it has %d inputs, not %d", len(in), n)
		}
		return nil
	}
	switch w.Type {
	case "number":
		if w.Value == nil {
			return nil, errors.New("the number is missing")
		}
		return &NumberLiteral{Val: float64(*w.Value), PosRange: pos}, inputs(0)
	case "string":
		return &StringLiteral{Val: string(w.Text), PosRange: pos}, inputs(0)
	case "selector":
		if err := inputs(0); err != nil {
			return nil, err
		}
		return w.selector(pos)
	case "range":
		if err := inputs(1); err != nil {
			return nil, err
		}
		s, ok := in[0].(*VectorSelector)
		if !ok {
			return nil, errors.New("its input is no selector")
		}
		return &MatrixSelector{Selector: s, Range: time.Duration(w.Range), PosRange: pos}, nil
	case "subquery":
		if err := inputs(1); err != nil {
			return nil, err
		}
		return w.subquery(in[0], pos)
	case "call":
		return w.call(in, pos)
	case "aggregate":
		return w.aggregate(in, pos)
	case "parts":
		if err := inputs(1); err != nil {
			return nil, err
		}
		op, err := aggregateOp(w.Op)
		if err != nil {
			return nil, err
		}
		if op != parser.AVG && op != parser.STDDEV && op != parser.STDVAR || in[0].Type() != parser.ValueTypeVector {
			return nil, errors.New("it has no parts")
		}
		return &Parts{Op: op, Expr: in[0], Grouping: w.grouping(), Without: w.Without, PosRange: pos}, nil
	case "binary":
		return w.binary(in, pos)
	case "unary":
		if err := inputs(1); err != nil {
			return nil, err
		}
		for _, op := range []parser.ItemType{parser.ADD, parser.SUB} {
			if op.String() == w.Op && (in[0].Type() == parser.ValueTypeVector || in[0].Type() == parser.ValueTypeScalar) {
				return &Unary{Op: op, Expr: in[0], PosRange: pos}, nil
			}
		}
		return nil, fmt.Errorf("unknown operator %q for its input", w.Op)
	case "step-invariant":
		if err := inputs(1); err != nil {
			return nil, err
		}
		return &StepInvariant{Expr: in[0]}, nil
	}
	return nil, errors.New("the type is not known")
}

func (w *wireNode) selector(pos posrange.PositionRange) (Node, error) {
	matchers, err := matchersFromWire(w.Matchers)
	if err != nil {
		return nil, err
	}
	hints, err := w.Hints.hints()
	if err != nil {
		return nil, err
	}
	if w.Anchored && w.Smoothed {
		return nil, errors.New("it is both anchored and smoothed")
	}
	return &VectorSelector{
		Name: string(w.Name), Matchers: matchers,
		OriginalOffset: time.Duration(w.OriginalOffset), Timestamp: w.Timestamp, Offset: w.Offset,
		Anchored: w.Anchored, Smoothed: w.Smoothed, StatsOnly: w.StatsOnly,
		Hints: hints, PosRange: pos,
	}, nil
}

func (w *wireNode) subquery(in Node, pos posrange.PositionRange) (Node, error) {
	switch {
	case w.Times == nil || w.Times.Interval < 1:
		return nil, errors.New("its times are missing")
	case w.Times.End >= w.Times.Start && uint64(w.Times.End-w.Times.Start)/uint64(w.Times.Interval) >= maxDecodedSteps:
		return nil, fmt.Errorf("it has more than %d steps", maxDecodedSteps)
	case in.Type() != parser.ValueTypeVector:
		return nil, errors.New("its input is no vector")
	}
	return &Subquery{
		Expr: in, Range: time.Duration(w.Range), Step: time.Duration(w.Step),
		OriginalOffset: time.Duration(w.OriginalOffset), Timestamp: w.Timestamp, Offset: w.Offset,
		Times: *w.Times, PosRange: pos,
	}, nil
}

func (w *wireNode) call(in []Node, pos posrange.PositionRange) (Node, error) {
	f, ok := parser.Functions[string(w.Name)]
	if !ok {
		return nil, fmt.Errorf("unknown function %s()", w.Name)
	}
	if len(in) < minArgs(f) {
		return nil, fmt.Errorf("%s() has %d arguments, it needs %d", f.Name, len(in), minArgs(f))
	}
	for i, a := range in {
		if want, ok := argType(f, i); !ok || a.Type() != want {
			return nil, fmt.Errorf("argument %d of %s() has the type %s, which it does not take", i+1, f.Name, a.Type())
		}
	}
	n := &Call{Func: f, Args: in, PosRange: pos}
	if f.Name == "info" {
		if w.Info == nil {
			return nil, errors.New("info() has no reference")
		}
		hints, err := w.Info.Hints.hints()
		if err != nil {
			return nil, err
		}
		n.Info = &InfoReference{w.Info.Timestamp, w.Info.Offset, hints}
		if len(in) > 1 {
			if _, ok := in[1].(*VectorSelector); !ok {
				return nil, errors.New("the second argument of info() must be label selectors")
			}
		}
	}
	return n, nil
}

func (w *wireNode) grouping() []string {
	if w.Grouped && w.Grouping == nil {
		return []string{}
	}
	return textsFromWire(w.Grouping)
}

var aggregations = []parser.ItemType{
	parser.SUM, parser.AVG, parser.COUNT, parser.MIN, parser.MAX, parser.GROUP, parser.STDDEV, parser.STDVAR,
	parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO, parser.QUANTILE, parser.COUNT_VALUES,
}

func aggregateOp(name string) (parser.ItemType, error) {
	for _, op := range aggregations {
		if op.String() == name {
			return op, nil
		}
	}
	return 0, fmt.Errorf("unknown aggregation %q", name)
}

func (w *wireNode) aggregate(in []Node, pos posrange.PositionRange) (Node, error) {
	op, err := aggregateOp(w.Op)
	if err != nil {
		return nil, err
	}
	paramType, err := aggregateParamType(op)
	if err != nil {
		return nil, err
	}
	n := &Aggregate{Op: op, Grouping: w.grouping(), Without: w.Without, PosRange: pos}
	want := 1
	if paramType != parser.ValueTypeNone {
		want = 2
	}
	if len(in) != want || in[0].Type() != parser.ValueTypeVector || want == 2 && in[1].Type() != paramType {
		return nil, fmt.Errorf("%s does not take these inputs", op)
	}
	n.Expr = in[0]
	if want == 2 {
		n.Param = in[1]
	}
	return n, nil
}

var binaryOps = []parser.ItemType{
	parser.ADD, parser.SUB, parser.MUL, parser.DIV, parser.MOD, parser.POW, parser.ATAN2,
	parser.EQLC, parser.NEQ, parser.GTR, parser.LSS, parser.GTE, parser.LTE,
	parser.LAND, parser.LOR, parser.LUNLESS, parser.TRIM_UPPER, parser.TRIM_LOWER,
}

func (w *wireNode) binary(in []Node, pos posrange.PositionRange) (Node, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("it has %d inputs, not 2", len(in))
	}
	matching, err := w.Matching.matching()
	if err != nil {
		return nil, err
	}
	for _, op := range binaryOps {
		if op.String() != w.Op {
			continue
		}
		check := &parser.BinaryExpr{Op: op, ReturnBool: w.ReturnBool, VectorMatching: matching}
		if err := checkBinary(check, in[0].Type(), in[1].Type()); err != nil {
			return nil, err
		}
		return &Binary{Op: op, LHS: in[0], RHS: in[1], Matching: matching, ReturnBool: w.ReturnBool, PosRange: pos}, nil
	}
	return nil, fmt.Errorf("unknown binary operator %q", w.Op)
}
