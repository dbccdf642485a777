package logicalplan

import (
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// namesDoNotMatter tells parts whose result is the same whether names are dropped at once or at the end: those that keep names, and aggregations
// of which nothing looks at them, in which no two series of different names can become one.
func namesDoNotMatter(n Node) bool {
	switch n := n.(type) {
	case *VectorSelector:
		return true
	case *StepInvariant:
		return namesDoNotMatter(n.Expr)
	case *Aggregate:
		switch n.Op {
		case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
			return namesDoNotMatter(n.Expr) // what they pick keeps its name
		}
		return oneName(n) && !looksAtNames(n)
	case *Parts:
		return oneName(n) && !looksAtNames(n)
	}
	return false
}

// looksAtNames tells whether anything in n makes a difference between series with and without a name.
func looksAtNames(n Node) bool {
	found := false
	Walk(n, func(n Node) bool {
		switch n := n.(type) {
		case *Aggregate:
			found = found || !n.Without && slices.ContainsFunc(n.Grouping, isNameLabel) // without always drops them
		case *Parts:
			found = found || !n.Without && slices.ContainsFunc(n.Grouping, isNameLabel)
		case *Binary:
			if m := n.Matching; m != nil {
				found = found || m.On && slices.ContainsFunc(m.MatchingLabels, isNameLabel) || slices.ContainsFunc(m.Include, isNameLabel)
			}
		case *Call:
			found = found || slices.ContainsFunc(n.Args, func(a Node) bool {
				s, ok := a.(*StringLiteral)
				return ok && isNameLabel(s.Val)
			})
		}
		return !found
	})
	return found
}

func isNameLabel(l string) bool {
	return l == model.MetricNameLabel || l == model.MetricTypeLabel || l == model.MetricUnitLabel
}

// oneName tells whether all selectors ask for one name.
func oneName(n Node) bool {
	one := true
	Walk(n, func(n Node) bool {
		if s, ok := n.(*VectorSelector); ok {
			named := false
			for _, m := range s.Matchers {
				named = named || m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual
			}
			one = one && named
		}
		return one
	})
	return one
}
