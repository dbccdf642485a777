package binary

import (
	"context"
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/operators"
)

// ScalarScalar is a binary operation between two scalars: a source of one row without labels that
// has a value at every step.
//
// Inputs: the operands that are folded, the left one first; a constant is no input.
type ScalarScalar struct {
	op       parser.ItemType
	lhs, rhs *operators.Scalar
	inputs   []*operators.Scalar
	schema   *operators.Schema
	r        operators.StepRange
}

// NewScalarScalar is lhs op rhs. Comparisons give 0 and 1.
func NewScalarScalar(_ *operators.Query, op parser.ItemType, lhs, rhs *operators.Scalar, _ operators.Grid) *ScalarScalar {
	s := &ScalarScalar{op: op, lhs: lhs, rhs: rhs, schema: operators.ConstantSchema(labels.EmptyLabels())}
	for _, operand := range []*operators.Scalar{lhs, rhs} {
		if _, constant := operand.Constant(); !constant {
			s.inputs = append(s.inputs, operand)
		}
	}
	return s
}

// Describe implements operators.Operator.
func (s *ScalarScalar) Describe() string { return "scalar " + s.op.String() + " scalar" }

// Schema implements operators.Operator.
func (s *ScalarScalar) Schema() *operators.Schema { return s.schema }

// Takes implements operators.Operator.
func (*ScalarScalar) Takes(int) operators.Edge { return operators.Fold }

// Bind implements operators.Operator.
func (*ScalarScalar) Bind(context.Context) error { return nil }

// Extend implements operators.Operator.
func (*ScalarScalar) Extend() error { return nil }

// Open implements operators.Operator.
func (s *ScalarScalar) Open(r operators.StepRange) error {
	s.r = r
	for _, in := range s.inputs {
		in.Open(r)
	}
	return nil
}

// Close implements operators.Operator.
func (*ScalarScalar) Close() {}

// Fold implements operators.Sink.
func (s *ScalarScalar) Fold(_ *operators.Worker, input int, b *operators.Batch, seg operators.StepRange) error {
	s.inputs[input].Fold(b, seg)
	return nil
}

// Finish implements operators.Sink.
func (*ScalarScalar) Finish(context.Context, int) error { return nil }

// Morsels implements operators.Source.
func (*ScalarScalar) Morsels() int { return 1 }

// Read implements operators.Source.
func (s *ScalarScalar) Read(w *operators.Worker, _ int) (*operators.Batch, error) {
	b := w.Batch(0, 1, s.r.From, s.r.Len())
	for i := range b.F {
		step := s.r.From + i
		v, err := scalars(s.op, s.lhs.At(step), s.rhs.At(step))
		if err != nil {
			w.Release(b)
			return nil, err
		}
		b.F[i] = v
	}
	b.Valid.SetRange(0, len(b.F))
	return b, nil
}

// scalars is l op r; it fails for operators that are for histograms only, which parse between scalars.
func scalars(op parser.ItemType, l, r float64) (float64, error) {
	switch op {
	case parser.ADD:
		return l + r, nil
	case parser.SUB:
		return l - r, nil
	case parser.MUL:
		return l * r, nil
	case parser.DIV:
		return l / r, nil
	case parser.POW:
		return math.Pow(l, r), nil
	case parser.MOD:
		return math.Mod(l, r), nil
	case parser.ATAN2:
		return math.Atan2(l, r), nil
	case parser.EQLC:
		return boolToFloat(l == r), nil
	case parser.NEQ:
		return boolToFloat(l != r), nil
	case parser.GTR:
		return boolToFloat(l > r), nil
	case parser.LSS:
		return boolToFloat(l < r), nil
	case parser.GTE:
		return boolToFloat(l >= r), nil
	case parser.LTE:
		return boolToFloat(l <= r), nil
	default:
		return 0, fmt.Errorf("operator %q not allowed for Scalar operations", op)
	}
}
