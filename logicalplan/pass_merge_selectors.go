package logicalplan

import (
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"
)

// MergeSelectors lets a selector read what a wider one in the query reads anyway, and filter it.
//
//	before:                    after:
//	/                          /
//	  foo{a="1",b!="2"}          foo{a="1"} filter={b!="2"}
//	  foo{a="1"}                 foo{a="1"}
//
// Wider is a selector whose matchers are a part of the other's. All matchers of a selector must
// hold, also when several look at one label, and one that is missing has the value "", so what is left of
// them is a filter on labels. Both must look at the same windows at the same times.
//
// The two stay two nodes. A physical plan finds those that SameScan, selects and reads their
// series once, and passes each node the series that its Filter lets through; statistics, cost limits,
// and whether there was any series, are those after the filter.
//
// Selectors in absent(), absent_over_time() and the second argument of info() stay as they are,
// since their matchers mean more than what they select.
type MergeSelectors struct{}

// maxMergeCandidates bounds the selectors among which a wider one is looked for, the work being
// quadratic in them.
const maxMergeCandidates = 256

// Name is "merge-selectors".
func (MergeSelectors) Name() string { return "merge-selectors" }

// DAG marks the pass: selectors come to share what they read.
func (MergeSelectors) DAG() {}

// Optimize looks for a wider selector for each one.
func (MergeSelectors) Optimize(p *Plan) (*Plan, annotations.Annotations) {
	if selectors(p.Root) < 2 {
		return p, nil
	}
	fixed := selectorsWithFixedMatchers(p.Root)
	var groups [][]*VectorSelector // that look at the same windows at the same times
	timesOf := selectorTimes(p)
	for _, v := range timesOf.order {
		if fixed[v] {
			continue
		}
		i := slices.IndexFunc(groups, func(g []*VectorSelector) bool {
			return timesOf.reader[g[0]] == timesOf.reader[v] && sameWindow(g[0], v) && sameHintTimes(g[0].Hints, v.Hints)
		})
		switch {
		case i >= 0 && len(groups[i]) < maxMergeCandidates:
			groups[i] = append(groups[i], v)
		case i < 0 && len(groups) < maxMergeCandidates:
			groups = append(groups, []*VectorSelector{v})
		}
	}
	for _, g := range groups {
		mergeSelectors(g)
		for i, a := range g {
			for _, b := range g[:i] {
				if sameMatchers(a, b) {
					a.ReadOnce, b.ReadOnce = true, true
				}
			}
		}
		reconcileHints(g)
	}
	return p, nil
}

func mergeSelectors(group []*VectorSelector) {
	// From the widest on, so that what is merged into is not merged itself.
	slices.SortStableFunc(group, func(a, b *VectorSelector) int { return len(a.Matchers) - len(b.Matchers) })
	for i, narrow := range group {
		for _, wide := range group[:i] {
			if wide.Filter != nil || narrow.Filter != nil || len(wide.Matchers) == len(narrow.Matchers) {
				continue
			}
			rest, ok := without(narrow.Matchers, wide.Matchers)
			if !ok || len(rest) == 0 {
				continue
			}
			narrow.Matchers, narrow.Filter = wide.Matchers, rest
			break
		}
	}
}

// without is all less part, provided that all of part is in it.
func without(all, part []*labels.Matcher) ([]*labels.Matcher, bool) {
	for _, p := range part {
		if !slices.ContainsFunc(all, func(m *labels.Matcher) bool { return sameMatcher(m, p) }) {
			return nil, false
		}
	}
	rest := slices.DeleteFunc(slices.Clone(all), func(m *labels.Matcher) bool {
		return slices.ContainsFunc(part, func(p *labels.Matcher) bool { return sameMatcher(m, p) })
	})
	return rest, true
}

// SameScan reports whether two selectors read the same samples of the same series before their
// filters. Only for selectors that are evaluated at the same times one scan can serve both.
func SameScan(a, b *VectorSelector) bool {
	return sameWindow(a, b) && sameHints(a.Hints, b.Hints) && sameMatchers(a, b)
}

func sameMatchers(a, b *VectorSelector) bool {
	return slices.EqualFunc(a.Matchers, b.Matchers, sameMatcher)
}

// reconcileHints makes the hints of selectors that read together the same: where they differ
// in what happens to the samples, the storage is told nothing about that.
func reconcileHints(group []*VectorSelector) {
	for i, a := range group {
		same := true
		for j, b := range group {
			same = same && (i == j || !sameMatchers(a, b) || sameHints(a.Hints, b.Hints))
		}
		if same {
			continue
		}
		for _, b := range group {
			if sameMatchers(a, b) {
				b.Hints.Func, b.Hints.By, b.Hints.Grouping = "", false, nil
			}
		}
	}
}

// reader is who reads a selector: only what is evaluated together, by the same function, can read together.
type reader struct {
	times Times
	scope Node   // the subquery or step-invariant part around it, nil for the query itself
	by    string // the function of its windows with other arguments, if all of these are literals
	call  Node   // that function's call, if they are not
}

// gridOf collects the readers of the selectors of a plan.
type gridOf struct {
	reader map[*VectorSelector]reader
	order  []*VectorSelector // as in the text
	seen   map[Node]bool
}

func selectorTimes(p *Plan) *gridOf {
	g := &gridOf{reader: map[*VectorSelector]reader{}, seen: map[Node]bool{}}
	g.visit(p.Root, reader{times: p.Times})
	return g
}

func (g *gridOf) visit(n Node, r reader) {
	if g.seen[n] {
		return // shared nodes are evaluated at the same times
	}
	g.seen[n] = true
	if v, ok := n.(*VectorSelector); ok {
		g.reader[v] = r
		g.order = append(g.order, v)
	}
	for _, c := range n.Children() {
		g.visit(c, r.of(n, c))
	}
}

// of is the reader of child c of n, n having the reader r.
func (r reader) of(n, c Node) reader {
	below := reader{times: childTimes(n, r.times), scope: r.scope}
	switch n := n.(type) {
	case *StepInvariant, *Subquery, *Section:
		below.scope = n
	case *MatrixSelector:
		return r
	case *Call:
		switch c.(type) {
		case *MatrixSelector:
			below.by, below.call = n.windows()
		case *VectorSelector:
			if n.Func.Name == "timestamp" || n.Func.Name == "start_timestamp" {
				below.by = n.Func.Name // reads times, not values
			}
		}
	}
	return below
}

// windows says what the call does with the windows of its range vector.
func (n *Call) windows() (by string, call Node) {
	by = n.Func.Name
	for _, a := range n.Args {
		switch a := a.(type) {
		case *MatrixSelector:
		case *NumberLiteral:
			by += " " + strconv.FormatUint(math.Float64bits(a.Val), 16)
		default:
			return "", n
		}
	}
	return by, nil
}

// childTimes are the times at which the children of n are evaluated, n being evaluated at the given ones.
func childTimes(n Node, at Times) Times {
	switch n := n.(type) {
	case *StepInvariant:
		return at.first()
	case *Subquery:
		return n.Times
	default:
		return at
	}
}
