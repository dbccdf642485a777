package difftest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// Coverage counts how many queries used each element of the language:
// functions and aggregations by name, operators by symbol, and modifiers.
type Coverage map[string]int

func (c Coverage) add(expr parser.Expr) {
	seen := map[string]bool{}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		for _, e := range elements(n) {
			seen[e] = true
		}
		return nil
	})
	for e := range seen {
		c[e]++
	}
}

// elements names what a node shows of the language.
func elements(n parser.Node) []string {
	var out []string
	note := func(is bool, name string) {
		if is {
			out = append(out, name)
		}
	}
	switch n := n.(type) {
	case *parser.Call:
		note(true, n.Func.Name+"()")
	case *parser.AggregateExpr:
		note(true, n.Op.String())
		note(n.Without, "without")
		note(!n.Without && n.Grouping != nil, "by")
	case *parser.UnaryExpr:
		note(true, "unary "+n.Op.String())
	case *parser.SubqueryExpr:
		note(true, "subquery")
		note(n.OriginalOffset != 0 || n.OriginalOffsetExpr != nil, "subquery offset")
		note(n.Timestamp != nil || n.StartOrEnd != 0, "subquery @")
		note(n.RangeExpr != nil || n.StepExpr != nil || n.OriginalOffsetExpr != nil, "duration expression")
	case *parser.MatrixSelector:
		note(true, "range selector")
		note(n.RangeExpr != nil, "duration expression")
	case *parser.VectorSelector:
		note(n.OriginalOffset != 0 || n.OriginalOffsetExpr != nil, "offset")
		note(n.OriginalOffsetExpr != nil, "duration expression")
		note(n.Timestamp != nil, "@ timestamp")
		note(n.StartOrEnd == parser.START, "@ start()")
		note(n.StartOrEnd == parser.END, "@ end()")
		note(n.Anchored, "anchored")
		note(n.Smoothed, "smoothed")
	case *parser.BinaryExpr:
		note(true, n.Op.String())
		note(n.ReturnBool, "bool")
		if m := n.VectorMatching; m != nil {
			note(m.On, "on")
			note(!m.On && len(m.MatchingLabels) > 0, "ignoring")
			note(m.Card == parser.CardManyToOne, "group_left")
			note(m.Card == parser.CardOneToMany, "group_right")
			note(len(m.Include) > 0, "included labels")
			note(m.FillValues.LHS != nil || m.FillValues.RHS != nil, "fill")
		}
	}
	return out
}

// String lists the elements, the most frequent first.
func (c Coverage) String() string {
	names := make([]string, 0, len(c))
	for n := range c {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		if c[a] != c[b] {
			return c[b] - c[a]
		}
		return strings.Compare(a, b)
	})
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", n, c[n])
	}
	return b.String()
}
