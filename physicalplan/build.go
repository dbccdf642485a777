package physicalplan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/exchange"
	"github.com/stride-promql/stride/operators/result"
	"github.com/stride-promql/stride/operators/scan"
)

// Build makes the operators of a logical plan. Nothing is selected yet.
func Build(lp *logicalplan.Plan, opts Options) (*Plan, error) {
	p, err := build(lp, opts, true)
	if errors.Is(err, errUnfinished) {
		// A shared node feeds both sides of an operator that needs one side before the other:
		// scan it again for each.
		p, err = build(lp, opts, false)
	}
	return p, err
}

func build(lp *logicalplan.Plan, opts Options, share bool) (*Plan, error) {
	b := &builder{
		plan:   &Plan{opts: opts, query: opts.Query, start: lp.Start},
		opts:   opts,
		q:      opts.Query,
		lookup: lp.Lookback,
		places: map[*logicalplan.VectorSelector]int{},
	}
	if share {
		b.shared = map[sharedKey]*node{}
	}
	logicalplan.Walk(lp.Root, func(n logicalplan.Node) bool {
		if v, ok := n.(*logicalplan.VectorSelector); ok {
			b.places[v] = len(b.places)
		}
		return true
	})
	grid := operators.NewGrid(lp.Start, lp.End, lp.Interval)
	if err := checkSteps("query", grid); err != nil {
		return nil, err
	}
	c := place{grid: grid, start: lp.Start, end: lp.End}
	c.scope = b.plan.newScope(nil, rootScope, grid, opts.PerStepStats)
	if err := b.root(lp.Root, c); err != nil {
		return nil, err
	}
	if b.plan.root != nil {
		b.plan.root.number(new(int), map[*node]bool{})
	}
	return b.plan, b.plan.checkOrder()
}

// number tells the accounts their operators' order in Prometheus' evaluation.
func (n *node) number(next *int, seen map[*node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	for _, in := range append(slices.Clone(n.evaluated), n.inputs...) {
		in.number(next, seen)
	}
	*next++
	if n.account != nil {
		n.account.SetOrder(*next)
	}
}

type builder struct {
	plan   *Plan
	opts   Options
	q      *operators.Query
	lookup int64
	shared map[sharedKey]*node // nil: nothing is shared
	leaves []leaf
	places map[*logicalplan.VectorSelector]int // the order in which Prometheus selects

	accounts *operators.Query // of the operator that is being made
}

// place is where in the query a node is evaluated.
type place struct {
	grid operators.Grid
	// start and end in ms are those of the evaluation; the grid's last step may lie before end.
	start, end int64
	scope      *scopeInfo
}

// ranged tells a range evaluation from one at a single time; its grid may have one step all the same.
func (c place) ranged() bool { return c.start != c.end }

type sharedKey struct {
	node  logicalplan.Node
	scope *scopeInfo
}

func (b *builder) root(n logicalplan.Node, c place) error {
	instant := b.opts.Instant
	switch r := n.(type) {
	case *logicalplan.StringLiteral:
		b.plan.text = &r.Val
		return nil
	case *logicalplan.MatrixSelector:
		b.plan.raw = scan.NewRaw(b.account(), b.selector(r.Selector, logicalplan.Text(r), use(r.Selector, c, nil)), b.spec(r.Selector, r.Range, c))
		c.scope.top = b.add(b.plan.raw, c.grid)
		return nil
	case *logicalplan.Subquery:
		var err error
		if c, err = b.subqueryPlace(r, c, 0, 0); err != nil {
			return err
		}
		n, instant = r.Expr, false
	}
	root, err := b.build(n, c)
	if err != nil {
		return err
	}
	if b.opts.Emit != nil {
		emitter := result.NewEmitter(root.op.Schema(), b.opts.Emit)
		b.plan.root = b.add(emitter, c.grid, root)
		c.scope.top = b.plan.root
		return nil
	}
	if b.q.DelayedNameRemoval && n.Type() == parser.ValueTypeVector {
		root = b.add(exchange.NewMerge(b.account(), root.op.Schema(), true, c.grid), c.grid, root)
		b.plan.cleanup = root
	}
	b.plan.scalar = instant && n.Type() == parser.ValueTypeScalar
	b.plan.vector = instant && n.Type() == parser.ValueTypeVector
	b.plan.collector = result.NewCollector(b.account(), root.op.Schema(), c.grid, instant)
	b.plan.root = b.add(b.plan.collector, c.grid, root)
	c.scope.top = b.plan.root
	return nil
}

// add puts an operator into the plan behind its inputs.
func (b *builder) add(op operators.Operator, grid operators.Grid, inputs ...*node) *node {
	n := &node{id: len(b.plan.nodes), op: op, grid: grid, inputs: inputs, finished: make([]bool, len(inputs)), account: b.accounts}
	if n.account != nil {
		n.account.SetName(op.Describe())
	}
	b.accounts = nil
	for i, in := range inputs {
		in.consumers = append(in.consumers, edge{to: n, input: i})
	}
	b.plan.nodes = append(b.plan.nodes, n)
	return n
}

// account is the account of the operator that is added next.
func (b *builder) account() *operators.Query {
	b.accounts = b.q.Account()
	return b.accounts
}

// build makes the operators of a vector or scalar node. Inputs that must be there before another
// one streams are built first, so that the driver finds the sources in a runnable order.
func (b *builder) build(n logicalplan.Node, c place) (*node, error) {
	key := sharedKey{n, c.scope}
	if b.shared != nil {
		if s, ok := b.shared[key]; ok {
			countAgain(s)
			return s, nil
		}
	}
	out, err := b.node(n, c)
	if err == nil && b.shared != nil {
		b.shared[key] = out
	}
	return out, err
}

// countAgain counts the samples of the selectors below a shared node once more: for one more selector of
// the query as written.
func countAgain(n *node) {
	switch op := n.op.(type) {
	case *scan.Filter:
		op.Again()
		return
	case scan.Scan:
		op.Again()
	}
	for _, in := range n.inputs {
		countAgain(in)
	}
}

func (b *builder) node(n logicalplan.Node, c place) (*node, error) {
	switch n := n.(type) {
	case *logicalplan.Shared:
		return b.build(n.Expr, c)
	case *logicalplan.NumberLiteral:
		return b.number(n, c), nil
	case *logicalplan.VectorSelector:
		return b.vectorSelector(n, c), nil
	case *logicalplan.Call:
		return b.call(n, c)
	case *logicalplan.Aggregate:
		return b.aggregate(n, c)
	case *logicalplan.Binary:
		return b.binary(n, c)
	case *logicalplan.Unary:
		return b.unary(n, c)
	case *logicalplan.StepInvariant:
		return b.stepInvariant(n, c)
	case *logicalplan.Parts:
		return b.parts(n, c)
	case *logicalplan.Combine:
		return b.combine(n, c)
	case *logicalplan.Remote:
		return b.remote(n, c), nil
	case *logicalplan.Dedup:
		return b.dedup(n, c)
	case *logicalplan.Section:
		return b.section(n, c)
	case logicalplan.Extension:
		return b.extension(n, c)
	}
	return nil, fmt.Errorf("cannot evaluate %s here", n.Describe())
}

// mergeResults puts a merge behind an operator that Prometheus evaluates step by step and whose
// output series may get equal labels. At a single time with delayed name removal Prometheus does not look.
func (b *builder) mergeResults(n *node, c place) *node {
	if !c.ranged() && b.q.DelayedNameRemoval {
		return n
	}
	return b.merge(n, c)
}

// mergeInvariants puts a merge behind an operator that keeps labels as they are. What reaches it has differing
// labels, but for a step-invariant part under delayed name removal: that is evaluated at a single time.
func (b *builder) mergeInvariants(n *node, c place) *node {
	if !c.ranged() || !b.q.DelayedNameRemoval {
		return n
	}
	return b.merge(n, c)
}

// mergeNameless puts a merge behind an operator that evaluates whole series and drops their names.
func (b *builder) mergeNameless(n *node, c place) *node {
	if b.q.DelayedNameRemoval {
		return n
	}
	return b.merge(n, c)
}

func (b *builder) merge(n *node, c place) *node {
	return b.add(exchange.NewMerge(b.account(), n.op.Schema(), false, c.grid), c.grid, n)
}

// unshared is the node itself where others see it too.
func unshared(n logicalplan.Node) logicalplan.Node {
	for {
		s, ok := n.(*logicalplan.Shared)
		if !ok {
			return n
		}
		n = s.Expr
	}
}

// scalar makes an operand of a scalar node. The node is nil for a constant.
func (b *builder) scalar(n logicalplan.Node, c place) (*operators.Scalar, *node, error) {
	n = unshared(n)
	if s, ok := n.(*logicalplan.StepInvariant); ok {
		if lit, ok := s.Expr.(*logicalplan.NumberLiteral); ok {
			n = lit
		}
	}
	if lit, ok := n.(*logicalplan.NumberLiteral); ok {
		return operators.ConstantScalar(lit.Val), nil, nil
	}
	in, err := b.build(n, c)
	return operators.FoldedScalar(), in, err
}

// scalars makes operands of several scalar nodes; the nodes are those of the ones that are folded.
func (b *builder) scalars(args []logicalplan.Node, c place) ([]*operators.Scalar, []*node, error) {
	var (
		operands []*operators.Scalar
		inputs   []*node
	)
	for _, a := range args {
		s, in, err := b.scalar(a, c)
		if err != nil {
			return nil, nil, err
		}
		operands = append(operands, s)
		if in != nil {
			inputs = append(inputs, in)
		}
	}
	return operands, inputs, nil
}

func (b *builder) stepInvariant(n *logicalplan.StepInvariant, c place) (*node, error) {
	inner := place{
		grid:  operators.Grid{Start: c.grid.Start, Interval: c.grid.Interval, Steps: min(1, c.grid.Steps)},
		start: c.start,
		end:   c.start,
	}
	inner.scope = b.plan.newScope(c.scope, invariantScope, inner.grid, false)
	in, err := b.build(n.Expr, inner)
	if err != nil {
		return nil, err
	}
	inner.scope.top = in
	return b.add(exchange.NewRepeat(in.op.Schema()), c.grid, in), nil
}

func (b *builder) extension(n logicalplan.Extension, c place) (*node, error) {
	var (
		inputs  []*node
		schemas []*operators.Schema
	)
	for _, child := range n.Children() {
		in, err := b.build(child, c)
		if err != nil {
			return nil, err
		}
		inputs, schemas = append(inputs, in), append(schemas, in.op.Schema())
	}
	for _, x := range b.opts.Builders {
		op, err := x.Build(n, schemas)
		if err != nil {
			return nil, err
		}
		if op != nil {
			return b.add(op, c.grid, inputs...), nil
		}
	}
	return nil, fmt.Errorf("no builder knows the node %q (%T)", strings.TrimSpace(n.Describe()), n)
}

// checkOrder fails with errUnfinished when the nodes' order does not serve every stage's side inputs before the
// pipeline that the stage is part of. A merge may turn out a stage or a source: either must do.
func (p *Plan) checkOrder() error {
	for _, n := range p.nodes {
		if _, ok := n.source(); !ok && !n.adapts() {
			continue
		}
		if err := n.checkFlow(n); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) checkFlow(source *node) error {
	for _, e := range n.consumers {
		streams := e.to.op.Takes(e.input) == operators.Stream
		for i, in := range e.to.inputs {
			if i != e.input && (streams || e.to.after(e.input, i)) && lastSource(in) >= source.id {
				return errUnfinished
			}
		}
		if !streams && !e.to.adapts() {
			continue
		}
		if err := e.to.checkFlow(source); err != nil {
			return err
		}
	}
	return nil
}

// after tells whether the node folds input only after another one.
func (n *node) after(input, other int) bool {
	s, ok := n.op.(operators.Sequenced)
	return ok && slices.Contains(s.After(input), other)
}

// adapts tells operators that become a stage or a sink only once series are known.
func (n *node) adapts() bool {
	_, ok := n.op.(*exchange.Merge)
	return ok
}

// lastSource is the id of the source whose pipeline brings n's batches, at the latest.
func lastSource(n *node) int {
	for !n.adapts() {
		i := n.streamed()
		if i < 0 {
			break
		}
		n = n.inputs[i]
	}
	return n.id
}
