package logicalplan

import (
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
)

// DistributedExecutionOptimizer lets other engines evaluate as much of the query as they can without seeing each other's data.
//
//	before:                     after:
//	-                           -
//	  sum                         sum
//	    rate()                      dedup coalesce by (cluster)
//	      [2m]                        remote a: sum by (cluster) (rate(m[2m]))
//	        m                         remote b: sum by (cluster) (rate(m[2m]))
//
// It classifies each part of the query from the leaves up: an engine can evaluate it as it is (as-is), or after an
// aggregation was split (split), or not (stays). Then it takes the largest parts that are as-is or split, and lets each be
// evaluated by all engines whose data may matter.
//
// Partition labels are the external labels that tell data sets apart. A part is as-is if each series of its result comes from
// series of one partition label set and says so in its labels: then the results of all partitions together are the result, and
// where engines overlap, samples with equal labels at one step are the same. docs/distributed.md has the rule of each operator.
type DistributedExecutionOptimizer struct {
	Endpoints remote.RemoteEndpoints
	Conditions

	topologies *topologies
}

// Conditions are what distribution has to know of the engine at the root and of the query.
type Conditions struct {
	// Unsplit leaves sums and averages whole that lose partition labels: how a query is done again in which floats and
	// histograms met in a group of one engine.
	Unsplit bool
	// DelayedNames says that names are dropped at the end of the query.
	DelayedNames bool
	// StartTimestamps says that rates take start timestamps into account.
	StartTimestamps bool
}

// NewDistributedExecutionOptimizer keeps what it found out about endpoints' label sets for as long as they stay the same.
func NewDistributedExecutionOptimizer(endpoints remote.RemoteEndpoints) *DistributedExecutionOptimizer {
	return &DistributedExecutionOptimizer{Endpoints: endpoints, topologies: &topologies{}}
}

// WithEngines is the optimizer for one query, for which the endpoints' engines were asked already.
func (o DistributedExecutionOptimizer) WithEngines(engines []remote.RemoteEngine, c Conditions) *DistributedExecutionOptimizer {
	o.Endpoints, o.Conditions = remote.StaticEndpoints(engines), c
	return &o
}

// Name is "distribute".
func (*DistributedExecutionOptimizer) Name() string { return "distribute" }

// Optimize distributes.
func (o *DistributedExecutionOptimizer) Optimize(p *Plan) (*Plan, annotations.Annotations) {
	if selectors(p.Root) == 0 || distributed(p.Root) {
		return p, nil
	}
	engines := o.Endpoints.Engines()
	if len(engines) == 0 {
		var notes annotations.Annotations
		return p, notes.Add(ErrNoEngines)
	}
	t := o.topologies
	if t == nil {
		t = &topologies{}
	}
	d := newDistributor(t.of(engines), p.Lookback, o.Conditions, p.Root)
	p.Root = d.replace(p.Root, p.Times, false)
	return p, d.notes
}

// distributed tells plans that have been through the pass.
func distributed(n Node) bool {
	found := false
	Walk(n, func(n Node) bool {
		switch n.(type) {
		case *Remote, *Dedup:
			found = true
		}
		return !found
	})
	return found
}

// distributor is one run of the pass.
type distributor struct {
	classifier
	topology *topology
	lookback int64
	limits   textLimits
	notes    annotations.Annotations
}

func newDistributor(t *topology, lookback int64, c Conditions, root Node) *distributor {
	return &distributor{
		classifier: newClassifier(t, c.Unsplit), topology: t, lookback: lookback, limits: limitsOf(t, lookback, c, root), notes: t.notAsked(),
	}
}

// replace gives what stands for n, which is evaluated at the given times. inParam says that it is in the parameter of an aggregation.
func (d *distributor) replace(n Node, at Times, inParam bool) Node {
	if at.steps() == 0 {
		return n // it is evaluated at no time
	}
	sent := !(inParam && hasAt(n)) && d.limits.allow(n, at)
	switch d.class(n) {
	case asIs:
		if _, ok := n.(*StepInvariant); ok {
			break // the part below it is evaluated at one step
		}
		if sent && n.Type() == parser.ValueTypeVector {
			union := d.union(united{fragment: n, of: n}, at)
			if len(union.Inputs) == 0 {
				return ofNothing(n, union)
			}
			return d.ordered(n, union)
		}
	case split:
		if sent {
			if s := d.split(n.(*Aggregate), at); s != nil {
				return s
			}
		}
	case free:
		return n
	}
	if c, ok := n.(*Call); ok && d.absents(c) && d.limits.allow(n, at) && !inParam {
		return d.absent(c, at)
	}
	a, aggregate := n.(*Aggregate)
	for i, c := range n.Children() {
		if i == 1 && isInfo(n) {
			continue // it only carries matchers
		}
		if _, ok := c.(*VectorSelector); ok && !d.replaceable(n) {
			continue
		}
		if r := d.replace(c, childTimes(n, at), inParam || aggregate && a.Param == c); r != c {
			n.SetChild(i, r)
		}
	}
	return n
}

// replaceable tells nodes whose selector may be replaced by what is no selector.
func (d *distributor) replaceable(n Node) bool {
	switch n := n.(type) {
	case *MatrixSelector:
		return false
	case *Call:
		return n.Func.Name != "timestamp" && n.Func.Name != "start_timestamp" && n.Func.Name != "absent"
	}
	return true
}

func isInfo(n Node) bool {
	c, ok := n.(*Call)
	return ok && c.Func.Name == "info"
}

// hasAt tells whether a selector or subquery below n has an `@`.
func hasAt(n Node) bool {
	found := false
	Walk(n, func(n Node) bool {
		switch n := n.(type) {
		case *VectorSelector:
			found = found || n.Timestamp != nil
		case *Subquery:
			found = found || n.Timestamp != nil
		}
		return !found
	})
	return found
}

// ordered puts what orders the result of an instant query on top of engines' results, which come in the order of labels.
func (d *distributor) ordered(n Node, union *Dedup) Node {
	a, ok := n.(*Aggregate)
	if !ok || a.Op != parser.TOPK && a.Op != parser.BOTTOMK {
		return union
	}
	again := *a
	again.Expr = union
	return &again
}

// split evaluates an aggregation by partition at the engines and the rest here. It gives nil if that cannot be done.
func (d *distributor) split(a *Aggregate, at Times) Node {
	grouped := *a
	grouped.Grouping = d.keeping(a)
	p := united{fragment: &grouped, of: a.Expr, unmixed: a.Op == parser.SUM, apart: d.ambiguous}
	root := *a
	combined := false
	switch a.Op {
	case parser.AVG, parser.STDDEV, parser.STDVAR:
		p.fragment = &Parts{Op: a.Op, Expr: a.Expr, Grouping: grouped.Grouping, Without: a.Without, PosRange: a.PosRange}
		p.unmixed, combined = true, true
	case parser.COUNT:
		root.Op = parser.SUM
	case parser.COUNT_VALUES:
		root.Op, root.Param = parser.SUM, nil
		if !a.Without {
			root.Grouping = sortedUnion(a.Grouping, []string{a.Param.(*StringLiteral).Val})
		}
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK:
		p.apart = false // the parts are series, not parts of one
	}
	union := d.union(p, at)
	switch {
	case union == nil:
		return nil
	case len(union.Inputs) == 0:
		return ofNothing(a, union)
	}
	if a.Without && p.apart {
		root.Grouping = sortedUnion(root.Grouping, []string{SourceLabel})
	}
	if combined {
		return &Combine{Op: a.Op, Expr: union, Grouping: root.Grouping, Without: a.Without, PosRange: a.PosRange}
	}
	root.Expr = union
	return &root
}

// keeping is the grouping of an aggregation with the partition labels kept apart.
func (d *distributor) keeping(a *Aggregate) []string {
	if !a.Without {
		return sortedUnion(a.Grouping, d.partition)
	}
	return slices.DeleteFunc(slices.Clone(a.Grouping), func(n string) bool { return slices.Contains(d.partition, n) })
}

func sortedUnion(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// absents tells calls that absent can look for.
func (d *distributor) absents(c *Call) bool {
	return (c.Func.Name == "absent" || c.Func.Name == "absent_over_time") && c.Of == nil && !d.topology.entangled && d.class(c.Args[0]) == asIs
}

// absent looks for any sample of any partition: absent of the groups that have one. (last_over_time keeps names apart, so that no
// two series become one.)
func (d *distributor) absent(c *Call, at Times) Node {
	arg := c.Args[0]
	in := arg
	if c.Func.Name == "absent_over_time" {
		in = &Call{Func: parser.Functions["last_over_time"], Args: []Node{arg}, PosRange: c.PosRange}
	}
	group := &Aggregate{Op: parser.GROUP, Expr: in, Grouping: d.partition, PosRange: c.PosRange}
	out := *c
	var found Node
	if union := d.union(united{fragment: group, of: group}, at); len(union.Inputs) > 0 {
		found = union
	} else {
		found = ofNothing(group, union)
	}
	out.Args, out.Of = []Node{found}, arg
	return &out
}

// ErrMixed is the error of a distributed query in which floats and histograms met in a group of one engine, so that a sum or
// average cannot be split. The query can be done again without that.
var ErrMixed = errors.New("floats and histograms met in a group of a part of the series")

// String names the endpoints' engines, for logs.
func (o *DistributedExecutionOptimizer) String() string {
	var names []string
	for _, e := range o.Endpoints.Engines() {
		names = append(names, e.Name())
	}
	return "distribute over " + strings.Join(names, ", ")
}
