package api

import (
	"fmt"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// node is a node of an expression as JSON: an object whose fields depend on its type.
type node = map[string]any

// syntaxTree is an expression in the form that Prometheus' tree view reads.
func syntaxTree(expr parser.Expr) any {
	switch e := expr.(type) {
	case nil:
		return nil
	case *parser.AggregateExpr:
		return node{
			"type":     "aggregation",
			"op":       e.Op.String(),
			"expr":     syntaxTree(e.Expr),
			"param":    syntaxTree(e.Param),
			"grouping": emptyList(e.Grouping),
			"without":  e.Without,
		}
	case *parser.BinaryExpr:
		return node{
			"type":     "binaryExpr",
			"op":       e.Op.String(),
			"lhs":      syntaxTree(e.LHS),
			"rhs":      syntaxTree(e.RHS),
			"matching": matchingTree(e.VectorMatching),
			"bool":     e.ReturnBool,
		}
	case *parser.Call:
		args := []any{}
		for _, arg := range e.Args {
			args = append(args, syntaxTree(arg))
		}
		return node{
			"type": "call",
			"func": node{
				"name":       e.Func.Name,
				"argTypes":   e.Func.ArgTypes,
				"variadic":   e.Func.Variadic,
				"returnType": e.Func.ReturnType,
			},
			"args": args,
		}
	case *parser.MatrixSelector:
		n := selectorTree("matrixSelector", e.VectorSelector.(*parser.VectorSelector))
		n["range"] = e.Range.Milliseconds()
		n["rangeExpr"] = durationTree(e.RangeExpr)
		return n
	case *parser.SubqueryExpr:
		return node{
			"type":       "subquery",
			"expr":       syntaxTree(e.Expr),
			"range":      e.Range.Milliseconds(),
			"rangeExpr":  durationTree(e.RangeExpr),
			"offset":     e.OriginalOffset.Milliseconds(),
			"offsetExpr": durationTree(e.OriginalOffsetExpr),
			"step":       e.Step.Milliseconds(),
			"stepExpr":   durationTree(e.StepExpr),
			"timestamp":  e.Timestamp,
			"startOrEnd": startOrEnd(e.StartOrEnd),
		}
	case *parser.DurationExpr:
		return durationTree(e)
	case *parser.NumberLiteral:
		return node{"type": "numberLiteral", "val": strconv.FormatFloat(e.Val, 'f', -1, 64)}
	case *parser.ParenExpr:
		return node{"type": "parenExpr", "expr": syntaxTree(e.Expr)}
	case *parser.StringLiteral:
		return node{"type": "stringLiteral", "val": e.Val}
	case *parser.UnaryExpr:
		return node{"type": "unaryExpr", "op": e.Op.String(), "expr": syntaxTree(e.Expr)}
	case *parser.VectorSelector:
		return selectorTree("vectorSelector", e)
	}
	panic(fmt.Sprintf("expressions of type %T have no JSON form", expr)) // The parser makes no others.
}

func selectorTree(typ string, s *parser.VectorSelector) node {
	return node{
		"type":       typ,
		"name":       s.Name,
		"offset":     s.OriginalOffset.Milliseconds(),
		"offsetExpr": durationTree(s.OriginalOffsetExpr),
		"matchers":   matchersTree(s.LabelMatchers),
		"timestamp":  s.Timestamp,
		"startOrEnd": startOrEnd(s.StartOrEnd),
		"anchored":   s.Anchored,
		"smoothed":   s.Smoothed,
	}
}

func matchingTree(m *parser.VectorMatching) any {
	if m == nil {
		return nil
	}
	return node{
		"card":       m.Card.String(),
		"labels":     emptyList(m.MatchingLabels),
		"on":         m.On,
		"include":    emptyList(m.Include),
		"fillValues": map[string]*float64{"lhs": m.FillValues.LHS, "rhs": m.FillValues.RHS},
	}
}

// durationTree is an expression in the place of a duration. Fields of the parser's nodes are pointers of their own type, so that
// none is an interface that is not nil.
func durationTree(expr parser.Expr) any {
	switch e := expr.(type) {
	case nil:
		return nil
	case *parser.DurationExpr:
		if e == nil {
			return nil
		}
		return node{
			"type":    "durationExpr",
			"op":      e.Op.String(),
			"lhs":     durationTree(e.LHS),
			"rhs":     durationTree(e.RHS),
			"wrapped": e.Wrapped,
		}
	case *parser.NumberLiteral:
		if e == nil {
			return nil
		}
		return node{
			"type":     "numberLiteral",
			"val":      strconv.FormatFloat(e.Val, 'f', -1, 64),
			"duration": e.Duration,
		}
	}
	return syntaxTree(expr)
}

func matchersTree(matchers []*labels.Matcher) []node {
	list := []node{}
	for _, m := range matchers {
		list = append(list, node{"name": m.Name, "value": m.Value, "type": m.Type.String()})
	}
	return list
}

func startOrEnd(t parser.ItemType) any {
	if t == 0 {
		return nil
	}
	return t.String()
}

// emptyList makes nil a list without elements, as which it is written.
func emptyList(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}
