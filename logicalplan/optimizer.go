package logicalplan

import "github.com/prometheus/prometheus/util/annotations"

// Optimizer changes a plan so that it computes the same with less work. Values, annotations, errors and
// statistics must stay those of the query as written. An optimizer may change the plan it gets
// in place. It must leave Extensions that it does not know alone (their children are fair game,
// by SetChild), and run a second time it must change nothing.
type Optimizer interface {
	// Name is how the pass is called where it is switched on or off and in Explain.
	Name() string
	// Optimize gives the new plan, which may be the old one.
	Optimize(*Plan) (*Plan, annotations.Annotations)
}

// DAGPass is an Optimizer after which the plan is not a tree that PromQL can spell: nodes have
// several parents, or fields that text does not show. Passes that cut the plan into fragments of
// PromQL must come before the first of them.
type DAGPass interface {
	Optimizer
	// DAG tells these passes from the others.
	DAG()
}

// DefaultOptimizers are all passes of this package, in the order in which they must run.
func DefaultOptimizers() []Optimizer {
	return []Optimizer{
		FoldConstants{},
		SimplifyInvariants{},
		SortMatchers{},
		HistogramStats{},
		MergeSelectors{},
		ShareSubexpressions{},
	}
}

// Walk calls f for n and all nodes below in the order of the text, each one before its children; a shared node
// is visited once. Where f returns false, the children are skipped.
func Walk(n Node, f func(Node) bool) {
	walk(n, f, map[Node]bool{})
}

func walk(n Node, f func(Node) bool, seen map[Node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	if !f(n) {
		return
	}
	for _, c := range n.Children() {
		walk(c, f, seen)
	}
}

// Transform replaces n and all nodes below by what f makes of them, each one after its children; a shared
// node is transformed once. It gives what has become of n. The selector of a MatrixSelector and the
// second argument of info() must stay VectorSelectors.
func Transform(n Node, f func(Node) Node) Node {
	return transform(n, f, map[Node]Node{})
}

func transform(n Node, f func(Node) Node, done map[Node]Node) Node {
	if r, ok := done[n]; ok {
		return r
	}
	for i, c := range n.Children() {
		if r := transform(c, f, done); r != c {
			n.SetChild(i, r)
		}
	}
	r := f(n)
	done[n] = r
	return r
}
