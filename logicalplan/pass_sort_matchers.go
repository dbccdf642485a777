package logicalplan

import (
	"cmp"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"
)

// SortMatchers brings the matchers of selectors into one order and drops those that are there
// twice, so that selectors which select the same become equal.
//
//	before: foo{b="1",a!="2",b="1"}
//	after:  foo{a!="2",b="1"}
//
// Matchers of the metric name stay last, where the parser puts them. The argument of absent() and
// absent_over_time() keeps its matchers, as the labels of the result come from them in order and a
// repeated one counts; so does the second argument of info(), which selects nothing.
type SortMatchers struct{}

// Name is "sort-matchers".
func (SortMatchers) Name() string { return "sort-matchers" }

// Optimize sorts the matchers of all selectors but those named above.
func (SortMatchers) Optimize(p *Plan) (*Plan, annotations.Annotations) {
	fixed := selectorsWithFixedMatchers(p.Root)
	Walk(p.Root, func(n Node) bool {
		if v, ok := n.(*VectorSelector); ok && !fixed[v] {
			v.Matchers = sortedMatchers(v.Matchers)
			v.Filter = sortedMatchers(v.Filter)
		}
		return true
	})
	return p, nil
}

func sortedMatchers(ms []*labels.Matcher) []*labels.Matcher {
	ms = slices.Clone(ms)
	slices.SortStableFunc(ms, compareMatchers)
	return slices.CompactFunc(ms, sameMatcher)
}

func compareMatchers(a, b *labels.Matcher) int {
	if aName, bName := a.Name == model.MetricNameLabel, b.Name == model.MetricNameLabel; aName != bName {
		if aName {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value))
}

// selectorsWithFixedMatchers are those whose matchers mean more than what they select.
func selectorsWithFixedMatchers(root Node) map[*VectorSelector]bool {
	fixed := map[*VectorSelector]bool{}
	Walk(root, func(n Node) bool {
		c, ok := n.(*Call)
		if !ok {
			return true
		}
		switch c.Func.Name {
		case "absent":
			// A step-invariant mark hides the selector from absent(), but costs nothing to respect.
			if v, ok := unwrap(c.Args[0]).(*VectorSelector); ok {
				fixed[v] = true
			}
		case "absent_over_time":
			if m, ok := c.Args[0].(*MatrixSelector); ok {
				fixed[m.Selector] = true
			}
		case "info":
			if len(c.Args) > 1 {
				if v, ok := c.Args[1].(*VectorSelector); ok {
					fixed[v] = true
				}
			}
		}
		return true
	})
	return fixed
}
