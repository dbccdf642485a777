package logicalplan

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// Equal reports whether two nodes compute the same from the same data, with the same storage hints:
// whether they are equal but for their places in the text, for whether a name was written in
// front of braces or in them, and for which of their nodes are shared. An Extension is equal only to itself.
func Equal(a, b Node) bool { return equal(a, b, sameSelector) }

// equal compares two trees, selectors with the given function.
func equal(a, b Node, selectors func(a, b *VectorSelector) bool) bool {
	if a, b = target(a), target(b); a == b {
		return true
	}
	switch a := a.(type) {
	case *NumberLiteral:
		b, ok := b.(*NumberLiteral)
		return ok && sameFloat(a.Val, b.Val)
	case *StringLiteral:
		b, ok := b.(*StringLiteral)
		return ok && a.Val == b.Val
	case *VectorSelector:
		b, ok := b.(*VectorSelector)
		return ok && selectors(a, b)
	case *MatrixSelector:
		b, ok := b.(*MatrixSelector)
		return ok && a.Range == b.Range && selectors(a.Selector, b.Selector)
	case *Subquery:
		b, ok := b.(*Subquery)
		return ok && a.Range == b.Range && a.Step == b.Step && a.OriginalOffset == b.OriginalOffset &&
			samePointed(a.Timestamp, b.Timestamp) && a.Offset == b.Offset && a.Times == b.Times &&
			equal(a.Expr, b.Expr, selectors)
	case *Call:
		b, ok := b.(*Call)
		return ok && a.Func.Name == b.Func.Name && sameInfo(a.Info, b.Info) && equalAll(a.Args, b.Args, selectors)
	case *Aggregate:
		b, ok := b.(*Aggregate)
		return ok && a.Op == b.Op && a.Without == b.Without && slices.Equal(a.Grouping, b.Grouping) &&
			equalAll(a.Children(), b.Children(), selectors)
	case *Binary:
		b, ok := b.(*Binary)
		return ok && a.Op == b.Op && a.ReturnBool == b.ReturnBool && sameMatching(a.Matching, b.Matching) &&
			equal(a.LHS, b.LHS, selectors) && equal(a.RHS, b.RHS, selectors)
	case *Unary:
		b, ok := b.(*Unary)
		return ok && a.Op == b.Op && equal(a.Expr, b.Expr, selectors)
	case *StepInvariant:
		b, ok := b.(*StepInvariant)
		return ok && equal(a.Expr, b.Expr, selectors)
	default:
		return false
	}
}

func equalAll(a, b []Node, selectors func(a, b *VectorSelector) bool) bool {
	return slices.EqualFunc(a, b, func(a, b Node) bool { return equal(a, b, selectors) })
}

func sameSelector(a, b *VectorSelector) bool {
	return sameWindow(a, b) && a.uses() == b.uses() && sameHints(a.Hints, b.Hints) &&
		slices.EqualFunc(a.Matchers, b.Matchers, sameMatcher) && slices.EqualFunc(a.Filter, b.Filter, sameMatcher)
}

// sameWindow reports whether two selectors look at the same samples of a series and see the same of them.
func sameWindow(a, b *VectorSelector) bool {
	return a.OriginalOffset == b.OriginalOffset && samePointed(a.Timestamp, b.Timestamp) && a.Offset == b.Offset &&
		a.Anchored == b.Anchored && a.Smoothed == b.Smoothed && a.StatsOnly == b.StatsOnly && a.SkipHistogramBuckets == b.SkipHistogramBuckets
}

func (n *VectorSelector) uses() int { return max(1, n.Uses) }

func sameMatcher(a, b *labels.Matcher) bool {
	return a == b || a.Type == b.Type && a.Name == b.Name && a.Value == b.Value
}

// sameHints compares hints; the order of the labels of an aggregation means nothing.
func sameHints(a, b storage.SelectHints) bool {
	return sameHintTimes(a, b) && a.Func == b.Func && a.By == b.By && a.Limit == b.Limit &&
		slices.Equal(slices.Sorted(slices.Values(a.Grouping)), slices.Sorted(slices.Values(b.Grouping))) &&
		a.ShardCount == b.ShardCount && a.ShardIndex == b.ShardIndex && a.DisableTrimming == b.DisableTrimming &&
		slices.Equal(a.ProjectionLabels, b.ProjectionLabels) && a.ProjectionInclude == b.ProjectionInclude
}

// sameHintTimes compares what hints say about times alone.
func sameHintTimes(a, b storage.SelectHints) bool {
	return a.Start == b.Start && a.End == b.End && a.Step == b.Step && a.Range == b.Range
}

func sameInfo(a, b *InfoReference) bool {
	if a == nil || b == nil {
		return a == b
	}
	return samePointed(a.Timestamp, b.Timestamp) && a.Offset == b.Offset && sameHints(a.Hints, b.Hints)
}

func sameMatching(a, b *parser.VectorMatching) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Card == b.Card && a.On == b.On &&
		slices.Equal(a.MatchingLabels, b.MatchingLabels) && slices.Equal(a.Include, b.Include) &&
		sameFill(a.FillValues.LHS, b.FillValues.LHS) && sameFill(a.FillValues.RHS, b.FillValues.RHS)
}

func sameFill(a, b *float64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return sameFloat(*a, *b)
}

// sameFloat tells -0 from 0, and holds all NaNs for one.
func sameFloat(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

func samePointed[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
