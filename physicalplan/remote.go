package physicalplan

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/aggregate"
	"github.com/stride-promql/stride/operators/exchange"
	"github.com/stride-promql/stride/operators/function"
	"github.com/stride-promql/stride/operators/remoteexec"
	"github.com/stride-promql/stride/remote"
)

// Remote says how parts of a query reach other engines. It serves one plan.
type Remote struct {
	// Start sends a part.
	Start func(ctx context.Context, r *logicalplan.Remote) (remote.ColumnStream, error)
	// Failed says what an error of the engine is to the query: a warning, after which the part is empty, or an error.
	Failed func(r *logicalplan.Remote, err error) (warning, failure error)
	// Check looks at the annotations of a part.
	Check func(r *logicalplan.Remote, a annotations.Annotations) error
	// Slots limits how many parts of the query are on their way at once.
	Slots chan struct{}

	failures *remoteexec.Failures
}

// remote is a part of the query that another engine evaluates.
func (b *builder) remote(n *logicalplan.Remote, c place) *node {
	conf := remoteexec.Config{Title: n.Describe(), Scope: c.scope.scope, Ranges: b.opts.StepsPerRange > 0}
	if r := b.opts.Remote; r != nil {
		if r.failures == nil {
			r.failures = remoteexec.NewFailures()
		}
		conf.Slots, conf.Failures = r.Slots, r.failures
		conf.Start = func(ctx context.Context) (remote.ColumnStream, error) { return r.Start(ctx, n) }
		conf.Check = func(a annotations.Annotations) error { return r.Check(n, a) }
		conf.Failed = func(err error) (warning, failure error) { return r.Failed(n, err) }
	}
	return b.add(remoteexec.New(b.account(), conf, c.grid), c.grid)
}

// consumeRemote counts what other engines read for the query's limits.
func (p *Plan) consumeRemote() error {
	for _, n := range p.nodes {
		if e, ok := n.op.(*remoteexec.Exec); ok {
			if err := e.Consume(); err != nil {
				return err
			}
		}
	}
	return nil
}

// dedup is the union of what several engines computed.
func (b *builder) dedup(n *logicalplan.Dedup, c place) (*node, error) {
	var (
		inputs  []*node
		schemas []*operators.Schema
	)
	for _, child := range n.Inputs {
		in, err := b.build(child, c)
		if err != nil {
			return nil, err
		}
		inputs, schemas = append(inputs, in), append(schemas, in.op.Schema())
	}
	return b.add(exchange.NewCoalesce(b.account(), schemas, n.Partition, ranking(n.Ranking), c.grid), c.grid, inputs...), nil
}

// section is a part of the query that is evaluated at some steps only. Nothing in it is shared with what is evaluated at others: it has a
// scope of its own.
func (b *builder) section(n *logicalplan.Section, c place) (*node, error) {
	inner := c
	inner.scope = b.plan.newScope(c.scope, sectionScope, c.grid, c.scope.perStep)
	in, err := b.build(n.Expr, inner)
	if err != nil {
		return nil, err
	}
	inner.scope.top = in
	return b.add(exchange.NewSection(in.op.Schema(), operators.StepRange{From: n.Steps.From, To: n.Steps.To}), c.grid, in), nil
}

// ranking translates a plan's ranking. Many label sets have the same runs, which are translated once.
func ranking(of logicalplan.Ranking) exchange.Ranking {
	known := map[*logicalplan.Run][]exchange.Run{}
	return func(set labels.Labels) []exchange.Run {
		runs := of.Runs(set)
		if len(runs) == 0 {
			return nil
		}
		out, ok := known[&runs[0]]
		if !ok {
			for _, r := range runs {
				out = append(out, exchange.Run{From: r.From, To: r.To, Inputs: r.Inputs})
			}
			known[&runs[0]] = out
		}
		return out
	}
}

// parts are the averages, numbers of samples and variances of a part of the series, side by side.
func (b *builder) parts(n *logicalplan.Parts, c place) (*node, error) {
	in, err := b.build(n.Expr, c)
	if err != nil {
		return nil, err
	}
	var (
		inputs  []*node
		schemas []*operators.Schema
	)
	for _, op := range n.Ops() {
		a := b.add(aggregate.NewAccumulate(b.account(), op, in.op.Schema(), n.Grouping, n.Without, c.grid, n.Expr.Pos()), c.grid, in)
		l := b.add(function.NewLabelReplace(b.account(), a.op.Schema(), logicalplan.PartLabel, op.String(), "", ""), c.grid, a)
		inputs, schemas = append(inputs, l), append(schemas, l.op.Schema())
	}
	return b.add(exchange.NewCoalesce(b.account(), schemas, nil, nil, c.grid), c.grid, inputs...), nil
}

// combine puts parts together.
func (b *builder) combine(n *logicalplan.Combine, c place) (*node, error) {
	in, err := b.build(n.Expr, c)
	if err != nil {
		return nil, err
	}
	op := aggregate.NewCombine(b.account(), n.Op, in.op.Schema(), logicalplan.PartLabel, n.Grouping, n.Without, c.grid, n.Expr.Pos())
	return b.add(op, c.grid, in), nil
}
