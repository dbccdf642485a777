package physicalplan

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/remoteexec"
	"github.com/stride-promql/stride/operators/scan"
)

// Slots is the limit on extra worker goroutines that all queries of an engine share. A query's own
// goroutine needs none, and no query ever waits for one.
type Slots chan struct{}

// NewSlots lets at most n extra workers run at once.
func NewSlots(n int) Slots { return make(Slots, max(0, n)) }

// driver runs the pipelines of a plan.
type driver struct {
	plan    *Plan
	query   *operators.Query
	slots   Slots
	workers []*operators.Worker
}

// work runs fn on the caller's goroutine and on as many more workers as the number of morsels and
// the free slots allow, and returns when all are done.
func (d *driver) work(morsels int, fn func(*operators.Worker)) {
	var wg sync.WaitGroup
	for _, w := range d.workers[1:] {
		if w.ID >= morsels {
			break
		}
		select {
		case d.slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-d.slots }()
				fn(w)
			})
			continue
		default:
		}
		break
	}
	fn(d.workers[0])
	wg.Wait()
}

// Run binds and runs the plan over all its steps. It must be called once.
func (p *Plan) Run(ctx context.Context, slots Slots) error {
	d := &driver{plan: p, query: p.query, slots: slots}
	for i := range max(1, p.query.Workers) {
		d.workers = append(d.workers, &operators.Worker{ID: i, Poison: p.opts.Poison})
	}
	p.query.Start(ctx)
	p.bound = p.query.Bytes()
	start := time.Now()
	defer func() { p.elapsed = time.Since(start) }()
	switch {
	case p.text != nil:
		return nil
	case p.raw != nil:
		return d.runRaw()
	}
	return d.runRanges(ctx)
}

// Bind selects all series, in the order in which Prometheus does, and then prepares the other operators. If there is a slot,
// a worker reads ahead meanwhile.
func (p *Plan) Bind(ctx context.Context, slots Slots) error {
	ahead := p.readAhead(slots)
	defer ahead.stop()
	order := slices.Clone(p.nodes)
	slices.SortStableFunc(order, func(a, b *node) int { return a.place() - b.place() })
	for _, n := range order {
		if l, ok := n.op.(scan.Leaf); ok {
			l.Announce()
		}
	}
	for _, n := range order {
		if err := n.op.Bind(ctx); err != nil {
			return err
		}
	}
	return nil
}

// place is the number in the query of a leaf's selector; other operators come behind, but for parts that other engines
// evaluate: these can begin at once.
func (n *node) place() int {
	switch op := n.op.(type) {
	case *remoteexec.Exec:
		return -1
	case scan.Leaf:
		return op.Place()
	}
	return math.MaxInt
}

// Close closes all operators.
func (p *Plan) Close() {
	for _, n := range p.nodes {
		n.op.Close()
	}
}

// runRange runs all pipelines over the steps r of the root's grid.
func (d *driver) runRange(ctx context.Context, r operators.StepRange, first bool) error {
	d.plan.spread(r)
	for _, s := range d.plan.scopes {
		if s.top != nil {
			s.scope.Open(s.top.open, first)
		}
	}
	for _, n := range d.plan.nodes {
		clear(n.finished)
		if err := n.op.Open(n.open); err != nil {
			return err
		}
	}
	for _, n := range d.plan.nodes {
		if _, ok := n.source(); !ok || len(n.consumers) == 0 {
			continue
		}
		if err := d.query.Err(); err != nil {
			return err
		}
		p, err := newPipeline(n)
		if err != nil {
			return err
		}
		if err := p.run(ctx, d); err != nil {
			return err
		}
	}
	d.plan.annotate()
	return nil
}

// annotate collects what operators could not say before the range was through.
func (p *Plan) annotate() {
	for _, n := range p.nodes {
		if a, ok := n.op.(operators.Annotator); ok {
			a.Annotate()
		}
	}
}

// spread gives every node the range of its own grid that the root's steps r need. Nodes stand behind their
// inputs in the plan, so that consumers come first here.
func (p *Plan) spread(r operators.StepRange) {
	for i := len(p.nodes) - 1; i >= 0; i-- {
		n := p.nodes[i]
		if n == p.root {
			n.open = r
		}
		for in, child := range n.inputs {
			need := n.open
			if g, ok := n.op.(operators.Regridder); ok {
				need = g.InputRange(in, n.open)
				if goesOn(n, child) {
					need.From = min(need.From, child.open.To)
				}
			}
			need.To = min(need.To, child.grid.Steps)
			need.From = min(need.From, need.To)
			child.open = need
		}
	}
}

// goesOn tells whether child, an input of n, goes on where it ended before, whatever n needs of it: a subquery has no gaps. That is not so on n's
// own grid, where n's ranges may have gaps, and not at the first of n's ranges, if it is none of its first steps: those before it are not asked for.
func goesOn(n, child *node) bool {
	if _, sparse := n.op.(operators.Sparse); sparse || child.grid == n.grid {
		return false
	}
	return child.open.To > 0 || n.open.From == 0
}

// opened are the ranges of all nodes, which spread goes on from.
func (p *Plan) opened() []operators.StepRange {
	out := make([]operators.StepRange, len(p.nodes))
	for i, n := range p.nodes {
		out[i] = n.open
	}
	return out
}

// reopen brings back what opened gave.
func (p *Plan) reopen(opened []operators.StepRange) {
	for i, n := range p.nodes {
		n.open = opened[i]
	}
}

// runRaw collects the series of a matrix selector.
func (d *driver) runRaw() error {
	raw := d.plan.raw
	r := newRun(d.query, raw.Morsels())
	r.carry = raw.Collect
	d.work(r.morsels, r.work)
	return r.err
}
