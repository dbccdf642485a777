package logicalplan

import (
	"hash/maphash"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// ShareSubexpressions evaluates equal parts of the query once.
//
//	before:                    after:
//	-                          -
//	  abs()                      abs() #1
//	    foo                        foo uses=2
//	  or                         or
//	    abs()                      #1 (a Shared)
//	      foo                      bar
//	    bar
//
// Annotations name a place in the text, and equal parts have several. So only parts that cannot
// annotate are shared: selectors (unless smoothed), and operations on such parts that are in mayShare.
// rate(foo[5m]) is not, since it may say at either place that foo is no counter.
//
// Equal parts must be evaluated at the same times. Selectors may differ in what they tell the
// storage to be done with the samples; then it is told nothing about that. Statistics count
// what a selector reads once for each one it stands for (VectorSelector.Uses).
//
// What operators read in a way of their own is shared only with the operator: range vectors and
// subqueries, the selector directly in timestamp(), start_timestamp() and absent(), literals.
type ShareSubexpressions struct{}

// Name is "share-subexpressions".
func (ShareSubexpressions) Name() string { return "share-subexpressions" }

// DAG marks the pass: nodes get several parents.
func (ShareSubexpressions) DAG() {}

// Optimize shares from the leaves up.
func (ShareSubexpressions) Optimize(p *Plan) (*Plan, annotations.Annotations) {
	if selectors(p.Root) < 2 {
		return p, nil // what reads nothing is not shared
	}
	s := sharer{seed: maphash.MakeSeed(), parts: map[Node]sharedPart{}, known: map[uint64][]knownPart{}}
	p.Root = s.share(p.Root, p.Times, true).node
	return p, nil
}

// selectors is the number of selectors in a tree.
func selectors(n Node) int {
	if _, ok := n.(*VectorSelector); ok {
		return 1
	}
	count := 0
	for _, c := range n.Children() {
		count += selectors(c)
	}
	return count
}

// sharedPart is what has become of a node.
type sharedPart struct {
	node Node
	hash uint64
	// pure parts cannot annotate; reads says that there is a selector in it.
	pure, reads bool
}

type knownPart struct {
	node Node
	at   Times
}

type sharer struct {
	seed  maphash.Seed
	parts map[Node]sharedPart    // by the node before
	known map[uint64][]knownPart // by hash
}

// share gives the node that stands for n, which is evaluated at the given times. With alone set, n
// may be replaced by an equal one.
func (s *sharer) share(n Node, at Times, alone bool) sharedPart {
	if p, ok := s.parts[n]; ok {
		return p
	}
	if again, ok := n.(*Shared); ok {
		p := s.share(again.Expr, at, alone)
		again.Expr = target(p.node)
		p.node = again
		s.parts[n] = p
		return p
	}
	p := sharedPart{node: n, pure: mayShare(n)}
	if _, ok := n.(*Section); ok {
		s.parts[n] = p // what is in it is evaluated at other steps than what is not
		return p
	}
	var h maphash.Hash
	h.SetSeed(s.seed)
	h.WriteString(shareKey(n))
	maphash.WriteComparable(&h, at)
	for i, c := range n.Children() {
		x := s.share(c, childTimes(n, at), sharesChild(n, i))
		if x.node != c {
			n.SetChild(i, x.node)
		}
		maphash.WriteComparable(&h, x.hash)
		p.pure = p.pure && x.pure
		p.reads = p.reads || x.reads
	}
	switch n.(type) {
	case *VectorSelector:
		p.reads = true
	case *MatrixSelector, *Subquery:
		alone = false
	}
	p.hash = h.Sum64()
	if alone && p.pure && p.reads {
		p.node = s.canonical(n, p.hash, at)
	}
	s.parts[n] = p
	return p
}

// canonical is the first node equal to n, in the place of n. The place matters to a parent that
// annotates it: max(foo) says where it found the histograms that it left out.
func (s *sharer) canonical(n Node, hash uint64, at Times) Node {
	for _, k := range s.known[hash] {
		if k.at == at && equal(k.node, n, sameButHints) {
			absorb(k.node, n)
			return &Shared{Expr: k.node, PosRange: n.Pos()}
		}
	}
	s.known[hash] = append(s.known[hash], knownPart{n, at})
	return n
}

// absorb lets the selectors of a stand for those of b too. What they share already was counted
// when it became shared.
func absorb(a, b Node) {
	if a, b = target(a), target(b); a == b {
		return
	}
	if v, ok := a.(*VectorSelector); ok {
		w := b.(*VectorSelector)
		v.Uses = v.uses() + w.uses()
		reconcileHints([]*VectorSelector{v, w})
		return
	}
	bs := b.Children()
	for i, c := range a.Children() {
		absorb(c, bs[i])
	}
}

// sameButHints compares selectors without what the hints say beyond times.
func sameButHints(a, b *VectorSelector) bool {
	return sameWindow(a, b) && sameHintTimes(a.Hints, b.Hints) &&
		slices.EqualFunc(a.Matchers, b.Matchers, sameMatcher) && slices.EqualFunc(a.Filter, b.Filter, sameMatcher)
}

// shareKey is equal for nodes that are equal but for their children.
func shareKey(n Node) string {
	if v, ok := n.(*VectorSelector); ok {
		return matchersText(v.Matchers) + matchersText(v.Filter)
	}
	return n.Describe()
}

// sharesChild tells whether child i of n may be a shared node.
func sharesChild(n Node, i int) bool {
	switch n := n.(type) {
	case *MatrixSelector:
		return false
	case *Call:
		switch n.Func.Name {
		case "timestamp", "start_timestamp", "absent":
			_, selector := n.Args[0].(*VectorSelector)
			return !selector
		case "info":
			return i == 0
		}
	}
	return true
}

// mayShare tells whether n itself cannot annotate.
func mayShare(n Node) bool {
	switch n := n.(type) {
	case *NumberLiteral, *StringLiteral, *MatrixSelector, *Subquery, *StepInvariant, *Unary:
		return true
	case *VectorSelector:
		return !n.Smoothed
	case *Call:
		return functionsThatNeverAnnotate[n.Func.Name]
	case *Aggregate:
		return n.Op == parser.COUNT || n.Op == parser.GROUP || n.Op == parser.COUNT_VALUES
	case *Binary:
		return isSet(n.Op) || n.Type() == parser.ValueTypeScalar
	default:
		return false
	}
}

// functionsThatNeverAnnotate is a list of those known, so that a new function is not shared
// until somebody looked.
var functionsThatNeverAnnotate = map[string]bool{
	"abs": true, "ceil": true, "floor": true, "exp": true, "sqrt": true, "ln": true, "log2": true, "log10": true,
	"sgn": true, "round": true, "clamp": true, "clamp_min": true, "clamp_max": true,
	"sin": true, "cos": true, "tan": true, "asin": true, "acos": true, "atan": true,
	"sinh": true, "cosh": true, "tanh": true, "asinh": true, "acosh": true, "atanh": true, "deg": true, "rad": true,
	"minute": true, "hour": true, "day_of_week": true, "day_of_month": true, "day_of_year": true,
	"days_in_month": true, "month": true, "year": true,
	"time": true, "pi": true, "scalar": true, "vector": true, "timestamp": true, "start_timestamp": true,
	"absent": true, "absent_over_time": true, "present_over_time": true, "count_over_time": true,
	"last_over_time": true, "first_over_time": true, "ts_of_first_over_time": true, "ts_of_last_over_time": true,
	"changes": true, "resets": true, "label_replace": true, "label_join": true,
	"histogram_count": true, "histogram_sum": true, "histogram_avg": true,
	"histogram_stddev": true, "histogram_stdvar": true,
}
