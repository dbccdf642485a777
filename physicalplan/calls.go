package physicalplan

import (
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/function"
	"github.com/stride-promql/stride/operators/scan"
	"github.com/stride-promql/stride/operators/window"
)

func (b *builder) call(n *logicalplan.Call, c place) (*node, error) {
	name := n.Func.Name
	if n.Of != nil {
		in, err := b.build(n.Args[0], c)
		if err != nil {
			return nil, err
		}
		return b.absent(n, in, c), nil
	}
	if f, ok := window.Lookup(name); ok {
		out, err := b.rangeFunction(f, n, c)
		if err != nil {
			return nil, err
		}
		if name == "absent_over_time" {
			return b.absent(n, out, c), nil
		}
		return b.mergeNameless(out, c), nil
	}
	switch name {
	case "time":
		return b.add(function.NewTime(b.account(), c.grid), c.grid), nil
	case "pi":
		return b.add(function.NewPi(b.account()), c.grid), nil
	case "min_of", "max_of", "vector":
		return b.ofScalars(n, c)
	case "label_replace", "label_join":
		return b.relabel(n, c)
	case "histogram_quantile", "histogram_quantiles", "histogram_fraction":
		return b.quantile(n, c)
	case "info":
		return b.info(n, c)
	case "timestamp", "start_timestamp":
		return b.timestamp(n, c)
	}
	if function.IsDate(name) && len(n.Args) == 0 {
		op, err := function.NewDateOfStep(b.account(), name, c.grid)
		if err != nil {
			return nil, err
		}
		return b.add(op, c.grid), nil
	}
	return b.ofVector(n, c)
}

// ofVector is a function whose first argument is an instant vector and whose others, if any, are
// scalars or strings.
func (b *builder) ofVector(n *logicalplan.Call, c place) (*node, error) {
	name := n.Func.Name
	if len(n.Args) == 0 {
		return nil, fmt.Errorf("unknown function %q", name)
	}
	var (
		params []*operators.Scalar
		sides  []*node
		err    error
	)
	sorts := strings.HasPrefix(name, "sort")
	if !sorts {
		if params, sides, err = b.scalars(n.Args[1:], c); err != nil {
			return nil, err
		}
	}
	in, err := b.build(n.Args[0], c)
	if err != nil {
		return nil, err
	}
	schema := in.op.Schema()
	switch {
	case name == "absent":
		return b.absent(n, in, c), nil
	case name == "scalar":
		return b.add(function.NewScalar(b.account()), c.grid, in), nil
	case sorts:
		op := function.NewSort(b.account(), schema, function.SortConfig{
			Labels: strings.HasPrefix(name, "sort_by_label"),
			By:     stringArgs(n.Args[1:]),
			Desc:   strings.HasSuffix(name, "_desc"),
			Pos:    n.Pos(),
		}, c.ranged())
		return b.mergeInvariants(b.add(op, c.grid, in), c), nil
	case strings.HasPrefix(name, "histogram_"):
		op, err := function.NewHistogram(b.account(), name, schema)
		if err != nil {
			return nil, err
		}
		return b.mergeResults(b.add(op, c.grid, in), c), nil
	}
	if function.IsDate(name) {
		op, err := function.NewDate(b.account(), name, schema)
		if err != nil {
			return nil, err
		}
		return b.mergeResults(b.add(op, c.grid, in), c), nil
	}
	op, err := function.NewMath(b.account(), name, schema, params)
	if err != nil {
		return nil, err
	}
	return b.mergeResults(b.add(op, c.grid, append([]*node{in}, sides...)...), c), nil
}

func stringArgs(args []logicalplan.Node) []string {
	var out []string
	for _, a := range args {
		if s, ok := unshared(a).(*logicalplan.StringLiteral); ok {
			out = append(out, s.Val)
		}
	}
	return out
}

func (b *builder) absent(n *logicalplan.Call, in *node, c place) *node {
	var matchers []*labels.Matcher
	overTime := false
	arg := n.Args[0]
	if n.Of != nil {
		arg = n.Of
	}
	switch a := unshared(arg).(type) {
	case *logicalplan.VectorSelector:
		matchers = a.Matchers
	case *logicalplan.MatrixSelector:
		matchers, overTime = a.Selector.Matchers, true
	case *logicalplan.Subquery:
		overTime = true
	}
	return b.add(function.NewAbsent(n.Func.Name, function.AbsentLabels(matchers), overTime), c.grid, in)
}

// ofScalars is a function that only has scalar arguments.
func (b *builder) ofScalars(n *logicalplan.Call, c place) (*node, error) {
	s, inputs, err := b.scalars(n.Args, c)
	if err != nil {
		return nil, err
	}
	switch n.Func.Name {
	case "min_of":
		return b.add(function.NewMinOf(b.account(), s[0], s[1]), c.grid, inputs...), nil
	case "max_of":
		return b.add(function.NewMaxOf(b.account(), s[0], s[1]), c.grid, inputs...), nil
	}
	return b.add(function.NewVector(b.account(), s[0]), c.grid, inputs...), nil
}

func (b *builder) relabel(n *logicalplan.Call, c place) (*node, error) {
	in, err := b.build(n.Args[0], c)
	if err != nil {
		return nil, err
	}
	s := stringArgs(n.Args[1:])
	var op operators.Operator
	if n.Func.Name == "label_replace" {
		op = function.NewLabelReplace(b.account(), in.op.Schema(), s[0], s[1], s[2], s[3])
	} else {
		op = function.NewLabelJoin(b.account(), in.op.Schema(), s[0], s[1], s[2:])
	}
	return b.merge(b.add(op, c.grid, in), c), nil
}

// quantile is one of the functions that look into classic and native histograms.
func (b *builder) quantile(n *logicalplan.Call, c place) (*node, error) {
	vector := len(n.Args) - 1
	scalars := n.Args[:vector]
	if n.Func.Name == "histogram_quantiles" {
		vector, scalars = 0, n.Args[2:]
	}
	s, sides, err := b.scalars(scalars, c)
	if err != nil {
		return nil, err
	}
	in, err := b.build(n.Args[vector], c)
	if err != nil {
		return nil, err
	}
	pos := n.Args[vector].Pos()
	inputs := append(sides[:len(sides):len(sides)], in)
	var op operators.Operator
	switch n.Func.Name {
	case "histogram_quantile":
		op = function.NewHistogramQuantile(b.account(), in.op.Schema(), s[0], c.grid, pos, n.Args[0].Pos())
	case "histogram_fraction":
		op = function.NewHistogramFraction(b.account(), in.op.Schema(), s[0], s[1], c.grid, pos)
	default:
		at := make([]posrange.PositionRange, len(scalars))
		for i, q := range scalars {
			at[i] = q.Pos()
		}
		op = function.NewHistogramQuantiles(b.account(), in.op.Schema(), stringArgs(n.Args[1:2])[0], s, c.grid, pos, at)
		inputs = append([]*node{in}, sides...)
	}
	return b.mergeResults(b.add(op, c.grid, inputs...), c), nil
}

func (b *builder) timestamp(n *logicalplan.Call, c place) (*node, error) {
	if sel, ok := unshared(n.Args[0]).(*logicalplan.VectorSelector); ok {
		kind := scan.Timestamp
		if n.Func.Name == "start_timestamp" {
			kind = scan.StartTimestamp
		}
		return b.timestamps(sel, kind, c), nil
	}
	in, err := b.build(n.Args[0], c)
	if err != nil {
		return nil, err
	}
	var op operators.Operator
	if n.Func.Name == "timestamp" {
		op = function.NewTimestamp(b.account(), in.op.Schema(), c.grid)
	} else {
		op = function.NewStartTimestamp(b.account(), in.op.Schema())
	}
	return b.mergeResults(b.add(op, c.grid, in), c), nil
}
