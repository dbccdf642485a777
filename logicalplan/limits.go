package logicalplan

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"
)

const (
	// DefaultMaxDepth is the deepest nesting of an expression that Build accepts. Everything that
	// walks a plan recurses once a level, at most some kilobytes of stack, so this many levels
	// stay far below Go's limit of 1 GB, over which a program dies and cannot recover. A chain
	// of n equal operators (a or b or c ...) is n levels deep, so the limit must be well above
	// what dashboards generate.
	DefaultMaxDepth = 10_000
	// DefaultMaxNodes is the most nodes of an expression that Build accepts. Each one may become
	// an operator with state of its own.
	DefaultMaxNodes = 100_000
)

// checkLimits refuses an expression that is nested too deeply or has too many nodes. It walks the
// AST with a stack of its own, so that it cannot overflow itself.
func checkLimits(root parser.Expr, maxDepth, maxNodes int) error {
	type level struct {
		expr  parser.Expr
		depth int
	}
	stack := []level{{root, 1}}
	nodes := 0
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if nodes++; nodes > maxNodes {
			return fmt.Errorf("expression has more than %d nodes, which is the limit", maxNodes)
		}
		if at.depth > maxDepth {
			return fmt.Errorf("expression is nested %d deep, the limit is %d", astDepth(root), maxDepth)
		}
		children, err := astChildren(at.expr)
		if err != nil {
			return err
		}
		for _, c := range children {
			stack = append(stack, level{c, at.depth + 1})
		}
	}
	return nil
}

// astDepth is the number of levels of an expression that has only known nodes. It goes level by
// level, again without recursion.
func astDepth(root parser.Expr) int {
	depth := 0
	for row := []parser.Expr{root}; len(row) > 0; depth++ {
		var next []parser.Expr
		for _, e := range row {
			children, err := astChildren(e)
			if err != nil {
				continue
			}
			next = append(next, children...)
		}
		row = next
	}
	return depth
}

// astChildren are the expressions that e is made of. A type of node that this package does not
// know is an error.
func astChildren(e parser.Expr) ([]parser.Expr, error) {
	switch e := e.(type) {
	case *parser.NumberLiteral, *parser.StringLiteral, *parser.VectorSelector:
		return nil, nil
	case *parser.MatrixSelector:
		return []parser.Expr{e.VectorSelector}, nil
	case *parser.SubqueryExpr:
		return []parser.Expr{e.Expr}, nil
	case *parser.Call:
		return e.Args, nil
	case *parser.AggregateExpr:
		if e.Param == nil {
			return []parser.Expr{e.Expr}, nil
		}
		return []parser.Expr{e.Expr, e.Param}, nil
	case *parser.BinaryExpr:
		return []parser.Expr{e.LHS, e.RHS}, nil
	case *parser.UnaryExpr:
		return []parser.Expr{e.Expr}, nil
	case *parser.ParenExpr:
		return []parser.Expr{e.Expr}, nil
	case *parser.StepInvariantExpr:
		return []parser.Expr{e.Expr}, nil
	case nil:
		return nil, fmt.Errorf("expression is incomplete: a part of it is missing")
	default:
		return nil, fmt.Errorf("expression has a part of the unknown type %T", e)
	}
}
