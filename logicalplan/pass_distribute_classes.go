package logicalplan

import (
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/remote"
)

// class is what other engines can do with a part of the query.
type class int

const (
	// stays: the part is evaluated here, over what its children become.
	stays class = iota
	// free parts select nothing: everybody gets the same.
	free
	// asIs parts can be evaluated by each partition for itself.
	asIs
	// split parts are aggregations of an as-is part that lose partition labels, but can be put together from what each
	// partition makes of them.
	split
)

// classifier classifies the parts of one query.
type classifier struct {
	partition []string
	level     int  // that all engines understand
	sameHash  bool // all engines hash labels as this one does
	unsplit   bool
	ambiguous bool // see index
	whole     bool // only who sees all series can aggregate them
	known     map[Node]class
}

func newClassifier(t *topology, unsplit bool) classifier {
	c := classifier{
		partition: t.partition, level: ownLevel, sameHash: true, unsplit: unsplit,
		ambiguous: t.ambiguous, whole: t.copied || t.entangled, known: map[Node]class{},
	}
	for _, e := range t.engines {
		caps := e.Capabilities()
		c.level = min(c.level, remote.Level(caps.LanguageLevel))
		c.sameHash = c.sameHash && caps.LabelHash == remote.LabelHash
	}
	return c
}

func (c *classifier) class(n Node) class {
	if k, ok := c.known[n]; ok {
		return k
	}
	k := c.classify(n)
	if k != free && k != stays && (needsLevel(n) > c.level || k == asIs && c.ambiguous && changesLabels(n) && !oneName(n)) {
		k = stays
	}
	c.known[n] = k
	return k
}

func (c *classifier) classify(n Node) class {
	switch n := n.(type) {
	case *NumberLiteral, *StringLiteral:
		return free
	case *VectorSelector:
		return asIs
	case *MatrixSelector:
		return c.class(n.Selector)
	case *Subquery, *Unary, *StepInvariant:
		return c.absorb(n.Children()[0])
	case *Call:
		return c.call(n)
	case *Aggregate:
		return c.aggregate(n)
	case *Binary:
		return c.binary(n)
	}
	return stays
}

// absorb is the class of a node that leaves the labels of its only input alone.
func (c *classifier) absorb(in Node) class {
	if k := c.class(in); k == asIs || k == free {
		return k
	}
	return stays
}

func (c *classifier) call(n *Call) class {
	if n.Func.Name == "info" {
		return stays // it joins with series of whatever partition
	}
	of := free
	for _, a := range n.Args {
		switch k := c.class(a); {
		case k == free:
		case k == asIs && of == free:
			of = asIs
		default:
			return stays
		}
	}
	if of == free {
		return free
	}
	switch name := n.Func.Name; {
	case name == "absent", name == "absent_over_time", name == "scalar", name == "vector", strings.HasPrefix(name, "sort"):
		return stays
	case name == "label_replace", name == "label_join", name == "histogram_quantiles":
		if c.ambiguous || !c.mayWrite(n.Args[1]) {
			return stays
		}
	case name == "histogram_quantile", name == "histogram_fraction":
		if c.ambiguous {
			return stays // it puts series together
		}
	}
	return of
}

// changesLabels tells nodes that may drop names, by which series of different names become the same: an error, which only shows to who sees
// both.
func changesLabels(n Node) bool {
	switch n.(type) {
	case *Call, *Unary, *Binary:
		return true
	}
	return false
}

// mayWrite tells whether the label that a function writes leaves alone what says where a series comes from.
func (c *classifier) mayWrite(label Node) bool {
	l, ok := label.(*StringLiteral)
	return ok && !slices.Contains(c.partition, l.Val)
}

func (c *classifier) aggregate(n *Aggregate) class {
	if n.Param != nil && c.class(n.Param) != free {
		return stays
	}
	in := c.class(n.Expr)
	switch {
	case in == free:
		return free
	case in != asIs:
		return stays
	case n.Op == parser.LIMIT_RATIO:
		if c.sameHash {
			return asIs
		}
		return stays
	case n.Op == parser.COUNT_VALUES && !c.valueLabel(n):
		return stays
	case c.whole:
		return stays
	case !c.ambiguous && c.keeps(n.Grouping, n.Without):
		return asIs
	}
	switch n.Op {
	case parser.SUM, parser.AVG, parser.STDDEV, parser.STDVAR:
		if c.unsplit {
			return stays
		}
		return split
	case parser.MIN, parser.MAX, parser.GROUP, parser.COUNT, parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.COUNT_VALUES:
		return split
	}
	return stays
}

// keeps tells whether a grouping keeps partitions apart.
func (c *classifier) keeps(grouping []string, without bool) bool {
	for _, p := range c.partition {
		if slices.Contains(grouping, p) == without {
			return false
		}
	}
	return true
}

// valueLabel tells whether the label that count_values makes stands beside all others.
func (c *classifier) valueLabel(n *Aggregate) bool {
	l, ok := n.Param.(*StringLiteral)
	return ok && !slices.Contains(c.partition, l.Val) && !slices.Contains(n.Grouping, l.Val)
}

func (c *classifier) binary(n *Binary) class {
	l, r := c.class(n.LHS), c.class(n.RHS)
	switch {
	case l == free && r == free:
		return free
	case n.Matching == nil:
		// One side is a scalar.
		if l == asIs && r == free || l == free && r == asIs {
			return asIs
		}
		return stays
	case l != asIs || r != asIs:
		return stays // also vector(0): each engine would have one
	case c.ambiguous:
		return stays // a match may be in another data set
	}
	m := n.Matching
	for _, p := range c.partition {
		if slices.Contains(m.MatchingLabels, p) != m.On || slices.Contains(m.Include, p) {
			return stays
		}
	}
	return asIs
}
