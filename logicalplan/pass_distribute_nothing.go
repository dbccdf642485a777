package logicalplan

import (
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// ofNothing stands for a part that no engine has data of: the empty union, or the part over nothing where its parameters may be wrong, which
// is an error or a warning whatever the data.
func ofNothing(n Node, empty *Dedup) Node {
	if !hasParameters(n) {
		return empty
	}
	return overNothing(n, empty)
}

// overNothing puts empty unions in place of what reads samples. (Range functions look at their parameters only where there are any.)
func overNothing(n Node, empty *Dedup) Node {
	if readsSamples(n) {
		return &Dedup{Partition: empty.Partition, Ranking: empty.Ranking, Of: n}
	}
	for i, c := range n.Children() {
		if r := overNothing(c, empty); r != c {
			n.SetChild(i, r)
		}
	}
	return n
}

// readsSamples tells selectors, and functions of ranges of samples.
func readsSamples(n Node) bool {
	switch n := n.(type) {
	case *VectorSelector:
		return true
	case *Call:
		return slices.ContainsFunc(n.Args, func(a Node) bool {
			_, ok := a.(*MatrixSelector)
			return ok
		})
	}
	return false
}

// hasParameters tells whether n has aggregations or functions that take more than their vector.
func hasParameters(n Node) bool {
	found := false
	Walk(n, func(n Node) bool {
		switch n := n.(type) {
		case *Aggregate:
			found = found || n.Param != nil
		case *Call:
			found = found || len(n.Args) > 1
		}
		return !found
	})
	return found
}

// variesByStep tells whether n has parameters that may be wrong at some steps only.
func variesByStep(n Node) bool {
	varies := func(n Node) bool {
		switch n.(type) {
		case *NumberLiteral, *StringLiteral, *StepInvariant:
			return false
		}
		return n.Type() == parser.ValueTypeScalar
	}
	found := false
	Walk(n, func(n Node) bool {
		switch n := n.(type) {
		case *Aggregate:
			found = found || n.Param != nil && varies(n.Param)
		case *Call:
			found = found || len(n.Args) > 1 && slices.ContainsFunc(n.Args, varies)
		}
		return !found
	})
	return found
}

// askForAll lets one of the engines that are asked evaluate all steps, if there are any that nobody does: parameters may be wrong there as
// well. Without data there is no result, nor would it count.
func askForAll(asked []StepRange, local StepRange, at Times) {
	first, covered := -1, []StepRange{local}
	for i, r := range asked {
		if r.none() {
			continue
		}
		if covered = append(covered, r); first < 0 {
			first = i
		}
	}
	if first >= 0 && len(at.all().without(mergeRanges(covered))) > 0 {
		asked[first] = at.all()
	}
}
