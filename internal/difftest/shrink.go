package difftest

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// shrinkLimit bounds how many smaller cases are tried for one mismatch.
const shrinkLimit = 400

// Shrink looks for a smaller case that still fails: fewer steps first, then
// less of the query, as long as anything gets smaller.
func Shrink(c Case, fails func(Case) bool) Case {
	tries := shrinkLimit
	try := func(smaller Case) bool {
		if tries == 0 {
			return false
		}
		tries--
		if !fails(smaller) {
			return false
		}
		c = smaller
		return true
	}
	shrinkTimes(c, try)
	for {
		shrunk := false
		for _, q := range simplifications(c.Query) {
			smaller := c
			smaller.Query = q
			if try(smaller) {
				shrunk = true
				break
			}
		}
		if !shrunk {
			break
		}
	}
	shrinkTimes(c, try)
	return c
}

// shrinkTimes tries single steps, then halves of the range.
func shrinkTimes(c Case, try func(Case) bool) {
	at := func(t Times) bool {
		smaller := c
		smaller.Times = t
		return try(smaller)
	}
	t := c.Times
	if t.Instant {
		return
	}
	for _, ts := range t.Steps() {
		if at(Times{Instant: true, Start: ts, End: ts}) {
			return
		}
	}
	for _, ts := range t.Steps() {
		single := Times{Start: ts, End: ts, Step: t.Step}
		if single != t && at(single) {
			return
		}
	}
	for n := len(t.Steps()); n > 1; n = len(t.Steps()) {
		first := Times{Start: t.Start, End: t.Start + int64(n/2-1)*t.Step, Step: t.Step}
		last := Times{Start: t.Start + int64(n/2)*t.Step, End: t.End, Step: t.Step}
		switch {
		case at(first):
			t = first
		case at(last):
			t = last
		default:
			return
		}
	}
}

// simplifications returns the queries one simplification away that are
// shorter, the shortest first.
func simplifications(query string) []string {
	root, err := Parser().ParseExpr(query)
	if err != nil {
		return nil
	}
	s := simplifier{root: root}
	s.visit(&s.root)
	parser.Inspect(root, func(n parser.Node, _ []parser.Node) error {
		if e, ok := n.(parser.Expr); ok && e.Type() == root.Type() {
			s.out = append(s.out, e.String())
		}
		return nil
	})
	slices.Sort(s.out)
	s.out = slices.Compact(s.out)
	s.out = slices.DeleteFunc(s.out, func(q string) bool { return len(q) >= len(query) })
	slices.SortStableFunc(s.out, func(a, b string) int { return len(a) - len(b) })
	return s.out
}

// simplifier changes one place of an expression at a time, prints the whole
// and changes the place back.
type simplifier struct {
	root parser.Expr
	out  []string
}

func (s *simplifier) emit() { s.out = append(s.out, s.root.String()) }

// with emits the expression with *place set to v.
func with[T any](s *simplifier, place *T, v T) {
	old := *place
	*place = v
	s.emit()
	*place = old
}

func (s *simplifier) visit(slot *parser.Expr) {
	node := *slot
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		if e, ok := n.(parser.Expr); ok && e != node && e.Type() == node.Type() {
			with(s, slot, e)
		}
		return nil
	})
	if _, literal := node.(*parser.NumberLiteral); node.Type() == parser.ValueTypeScalar && !literal {
		with[parser.Expr](s, slot, &parser.NumberLiteral{Val: 1})
	}
	switch n := node.(type) {
	case *parser.ParenExpr:
		s.visit(&n.Expr)
	case *parser.UnaryExpr:
		s.visit(&n.Expr)
	case *parser.StepInvariantExpr:
		s.visit(&n.Expr)
	case *parser.Call:
		for i := range n.Args {
			s.visit(&n.Args[i])
		}
	case *parser.AggregateExpr:
		if n.Param != nil {
			s.visit(&n.Param)
		}
		s.visit(&n.Expr)
		without(s, &n.Grouping)
	case *parser.BinaryExpr:
		s.visit(&n.LHS)
		s.visit(&n.RHS)
		with(s, &n.ReturnBool, false)
		if m := n.VectorMatching; m != nil {
			with(s, &n.VectorMatching, &parser.VectorMatching{Card: parser.CardOneToOne})
			with(s, &m.FillValues, parser.VectorMatchFillValues{})
			without(s, &m.Include)
			without(s, &m.MatchingLabels)
		}
	case *parser.SubqueryExpr:
		s.visit(&n.Expr)
		s.shift(&n.OriginalOffset, &n.OriginalOffsetExpr, &n.Timestamp, &n.StartOrEnd)
	case *parser.MatrixSelector:
		s.visit(&n.VectorSelector)
	case *parser.VectorSelector:
		s.shift(&n.OriginalOffset, &n.OriginalOffsetExpr, &n.Timestamp, &n.StartOrEnd)
		with(s, &n.Anchored, false)
		with(s, &n.Smoothed, false)
		for i, m := range n.LabelMatchers {
			if m.Name != model.MetricNameLabel {
				with(s, &n.LabelMatchers, slices.Delete(slices.Clone(n.LabelMatchers), i, i+1))
			}
		}
	}
}

// without emits the expression with each of the names left out.
func without(s *simplifier, names *[]string) {
	for i := range *names {
		with(s, names, slices.Delete(slices.Clone(*names), i, i+1))
	}
}

// shift drops what moves a selector or subquery in time.
func (s *simplifier) shift(offset *time.Duration, offsetExpr **parser.DurationExpr, at **int64, startOrEnd *parser.ItemType) {
	old := *offsetExpr
	*offsetExpr = nil
	with(s, offset, 0)
	*offsetExpr = old
	oldAt := *at
	*at = nil
	with(s, startOrEnd, 0)
	*at = oldAt
}
