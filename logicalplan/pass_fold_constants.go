package logicalplan

import (
	"math"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// FoldConstants computes arithmetic and comparisons of literals.
//
//	before:                after:
//	*                      *
//	  foo                    foo
//	  step-invariant         step-invariant
//	    +                      3
//	      1
//	      unary -
//	        -2
//
// Scalars without a selector below read no samples and cannot annotate, so statistics and
// annotations stay the same. The literal has the place of the operation in the text.
type FoldConstants struct{}

// Name is "fold-constants".
func (FoldConstants) Name() string { return "fold-constants" }

// Optimize folds from the leaves up.
func (FoldConstants) Optimize(p *Plan) (*Plan, annotations.Annotations) {
	p.Root = Transform(p.Root, func(n Node) Node {
		switch n := n.(type) {
		case *Unary:
			if x, ok := n.Expr.(*NumberLiteral); ok {
				v := x.Val
				if n.Op == parser.SUB {
					v = -v
				}
				return &NumberLiteral{Val: v, PosRange: n.PosRange}
			}
		case *Binary:
			l, lok := n.LHS.(*NumberLiteral)
			r, rok := n.RHS.(*NumberLiteral)
			if !lok || !rok {
				return n
			}
			if v, ok := foldBinary(n.Op, l.Val, r.Val); ok {
				return &NumberLiteral{Val: v, PosRange: n.PosRange}
			}
		}
		return n
	})
	return p, nil
}

// foldBinary is what Prometheus makes of a binary operation on two scalars.
func foldBinary(op parser.ItemType, l, r float64) (float64, bool) {
	switch op {
	case parser.ADD:
		return l + r, true
	case parser.SUB:
		return l - r, true
	case parser.MUL:
		return l * r, true
	case parser.DIV:
		return l / r, true
	case parser.POW:
		return math.Pow(l, r), true
	case parser.MOD:
		return math.Mod(l, r), true
	case parser.ATAN2:
		return math.Atan2(l, r), true
	}
	var holds bool
	switch op {
	case parser.EQLC:
		holds = l == r
	case parser.NEQ:
		holds = l != r
	case parser.GTR:
		holds = l > r
	case parser.LSS:
		holds = l < r
	case parser.GTE:
		holds = l >= r
	case parser.LTE:
		holds = l <= r
	default:
		return 0, false
	}
	if holds {
		return 1, true
	}
	return 0, true
}
