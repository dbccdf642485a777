package difftest

import (
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// Mismatch is a difference that was found, with all that led to it.
type Mismatch struct {
	Case Case
	Expr parser.Expr
	// Runs are the reference's outcomes, the first being the one compared first.
	Runs []*Outcome
	Got  *Outcome
	Diff *Difference
	// Unstable tells that the reference's own runs differ from each other.
	Unstable bool
	// Comparer is what compared them, and Rerun asks the reference more.
	Comparer Comparer
	Rerun    Rerun
}

// Explanation is a known and accepted kind of difference.
type Explanation struct {
	// Reason says why the difference is right, or cannot be judged.
	Reason string
	// Matches says whether the mismatch is of this kind.
	Matches func(*Mismatch) bool
	// Most is of how many queries in 10,000 it may be said; 0 is any number. More is a mistake, of the engine or of Matches.
	Most int
}

// Explanations returns the differences that are explained by Prometheus alone.
func Explanations() []Explanation {
	return []Explanation{
		{
			// tombstones.Intervals.Add indexes past its end when a query trims both
			// ends of a block's chunks and a deletion lies after its range. Engines
			// that read whole chunks do not trim and have an answer.
			Reason: "Prometheus panics in its storage and has no answer",
			Matches: func(m *Mismatch) bool {
				return m.Diff.Part == PartError && m.Got.Panic == "" && !panicked(m.Got) &&
					!slices.ContainsFunc(m.Runs, func(o *Outcome) bool { return !panicked(o) })
			},
		},
		{
			Reason: "Prometheus selects by the order of a Go map: topk, bottomk and limitk choose among equals, and do so differently from run to run",
			Matches: func(m *Mismatch) bool {
				return m.Unstable && m.Diff.Part == PartValue && contains(m.Expr, func(n parser.Node) bool {
					a, ok := n.(*parser.AggregateExpr)
					return ok && (a.Op == parser.TOPK || a.Op == parser.BOTTOMK || a.Op == parser.LIMITK)
				})
			},
		},
		{
			// The mean of values of 1e9 and a variance of less than 1 cancel out but for a few digits,
			// and those follow the order of a Go map.
			Reason: "Prometheus adds in the order of a Go map: stddev and stdvar of large, close values cancel out differently from run to run",
			Matches: func(m *Mismatch) bool {
				return m.Unstable && m.Diff.Part == PartValue && contains(m.Expr, func(n parser.Node) bool {
					a, ok := n.(*parser.AggregateExpr)
					return ok && (a.Op == parser.STDDEV || a.Op == parser.STDVAR)
				})
			},
		},
		{
			Reason: "sums and averages over time slide, which shows in the last digits, and `%`, sine, cosine, tangent and count_values make different values of these",
			Matches: func(m *Mismatch) bool {
				slides := contains(m.Expr, func(n parser.Node) bool {
					c, ok := n.(*parser.Call)
					return ok && (c.Func.Name == "sum_over_time" || c.Func.Name == "avg_over_time")
				})
				return m.Diff.Part == PartValue && slides && contains(m.Expr, magnifies)
			},
		},
		{
			Reason: "two parts of the query fail, and an engine that needs one side of `and`, `unless` or a scalar argument first, or reads a selector once for both sides of an operation, reports the other's error",
			Matches: func(m *Mismatch) bool {
				return m.Diff.Part == PartError && m.Got.Err != nil && m.Runs[0].Err != nil &&
					!panicked(m.Got) && contains(m.Expr, needsASideFirst)
			},
		},
	}
}

// magnifies says whether a node makes values that differ much, or labels that differ, of ones that differ in their last digits.
func magnifies(n parser.Node) bool {
	switch n := n.(type) {
	case *parser.BinaryExpr:
		return n.Op == parser.MOD
	case *parser.AggregateExpr:
		return n.Op == parser.COUNT_VALUES
	case *parser.Call:
		return n.Func.Name == "sin" || n.Func.Name == "cos" || n.Func.Name == "tan"
	}
	return false
}

// needsASideFirst says whether an engine may evaluate a later operand of the node before an earlier one.
func needsASideFirst(n parser.Node) bool {
	switch n := n.(type) {
	case *parser.BinaryExpr:
		return n.LHS.Type() == parser.ValueTypeVector && n.RHS.Type() == parser.ValueTypeVector
	case *parser.Call:
		return n.Func.Name == "scalar"
	}
	return false
}

// contains says whether any node of the expression satisfies match.
func contains(expr parser.Expr, match func(parser.Node) bool) bool {
	found := false
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		found = found || n != nil && match(n)
		return nil
	})
	return found
}

// panicked says whether the engine recovered from a runtime error.
func panicked(o *Outcome) bool {
	return o.Err != nil && strings.HasPrefix(o.Err.Error(), "unexpected error: runtime error:")
}
