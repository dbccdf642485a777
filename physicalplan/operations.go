package physicalplan

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/aggregate"
	"github.com/stride-promql/stride/operators/binary"
	"github.com/stride-promql/stride/operators/function"
)

func (b *builder) unary(n *logicalplan.Unary, c place) (*node, error) {
	in, err := b.build(n.Expr, c)
	if err != nil || n.Op == parser.ADD {
		return in, err
	}
	return b.mergeNameless(b.add(function.NewNegate(b.account(), in.op.Schema()), c.grid, in), c), nil
}

func (b *builder) binary(n *logicalplan.Binary, c place) (*node, error) {
	left, right := n.LHS.Type() == parser.ValueTypeScalar, n.RHS.Type() == parser.ValueTypeScalar
	switch {
	case left && right:
		operands, inputs, err := b.scalars([]logicalplan.Node{n.LHS, n.RHS}, c)
		if err != nil {
			return nil, err
		}
		return b.add(binary.NewScalarScalar(b.account(), n.Op, operands[0], operands[1], c.grid), c.grid, inputs...), nil
	case left:
		return b.vectorScalar(n, n.RHS, n.LHS, true, c)
	case right:
		return b.vectorScalar(n, n.LHS, n.RHS, false, c)
	}
	switch n.Op {
	case parser.LAND, parser.LUNLESS:
		// The right side is folded before the left one streams.
		rhs, err := b.build(n.RHS, c)
		if err != nil {
			return nil, err
		}
		lhs, err := b.build(n.LHS, c)
		if err != nil {
			return nil, err
		}
		op := binary.NewSetFilter(b.account(), n.Op, lhs.op.Schema(), rhs.op.Schema(), n.Matching)
		return b.mergeInvariants(b.add(op, c.grid, lhs, rhs), c), nil
	}
	lhs, err := b.build(n.LHS, c)
	if err != nil {
		return nil, err
	}
	rhs, err := b.build(n.RHS, c)
	if err != nil {
		return nil, err
	}
	if n.Op == parser.LOR {
		or := b.add(binary.NewOr(b.account(), lhs.op.Schema(), rhs.op.Schema(), n.Matching, c.grid), c.grid, lhs, rhs)
		return b.mergeResults(or, c), nil
	}
	join := binary.NewVectorVector(b.account(), n.Op, lhs.op.Schema(), rhs.op.Schema(), n.Matching, n.ReturnBool, c.grid, c.ranged(), n.Pos())
	return b.add(join, c.grid, lhs, rhs), nil
}

func (b *builder) vectorScalar(n *logicalplan.Binary, vector, scalar logicalplan.Node, scalarOnLeft bool, c place) (*node, error) {
	operand, side, err := b.scalar(scalar, c)
	if err != nil {
		return nil, err
	}
	in, err := b.build(vector, c)
	if err != nil {
		return nil, err
	}
	op := binary.NewVectorScalar(b.account(), n.Op, in.op.Schema(), operand, scalarOnLeft, n.ReturnBool, n.Pos())
	out := b.add(op, c.grid, some(in, side)...)
	if scalarOnLeft {
		out.evaluated = some(side, in)
	}
	return b.mergeResults(out, c), nil
}

// some are the nodes that are there.
func some(nodes ...*node) []*node {
	out := nodes[:0]
	for _, n := range nodes {
		if n != nil {
			out = append(out, n)
		}
	}
	return out
}

func (b *builder) aggregate(n *logicalplan.Aggregate, c place) (*node, error) {
	var (
		param *operators.Scalar
		side  *node
		err   error
	)
	if n.Param != nil && n.Op != parser.COUNT_VALUES {
		if param, side, err = b.scalar(n.Param, c); err != nil {
			return nil, err
		}
	}
	in, err := b.build(n.Expr, c)
	if err != nil {
		return nil, err
	}
	var op operators.Operator
	schema, pos := in.op.Schema(), n.Expr.Pos()
	switch n.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		op = aggregate.NewPick(b.account(), n.Op, schema, param, n.Grouping, n.Without, c.grid, n.Pos(), n.Param.Pos())
	case parser.QUANTILE:
		op = aggregate.NewQuantile(b.account(), schema, param, n.Grouping, n.Without, c.grid, pos, n.Param.Pos())
	case parser.COUNT_VALUES:
		label, ok := n.Param.(*logicalplan.StringLiteral)
		if !ok {
			return nil, fmt.Errorf("count_values needs a string for the label, not %s", n.Param.Describe())
		}
		op = aggregate.NewCountValues(b.account(), schema, label.Val, n.Grouping, n.Without, c.grid)
	default:
		op = aggregate.NewAccumulate(b.account(), n.Op, schema, n.Grouping, n.Without, c.grid, pos)
	}
	return b.add(op, c.grid, some(in, side)...), nil
}
