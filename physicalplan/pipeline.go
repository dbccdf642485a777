package physicalplan

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stride-promql/stride/operators"
)

// pipeline is a source and the tree of stages and sinks that its batches flow through.
type pipeline struct {
	source *node
	src    operators.Source
	flow   *flow   // what takes the source's batches
	sinks  []*sink // all of the tree, in the order in which a batch is folded into them
}

// flow is a node's output side: the stages and sinks that take its batches.
type flow struct {
	of     *node
	stages []*stage
	sinks  []*sink
}

type stage struct {
	node *node
	op   operators.Stage
	next *flow
}

// sink is an input of a sink and, for each step segment, the morsel whose turn it is to fold.
type sink struct {
	node    *node
	op      operators.Sink
	input   int
	rows    bool // whole rows: a single segment
	steps   int  // in a batch
	tickets []int
}

// newPipeline arranges what the batches of source flow through. All that the stages on the way
// need besides must have finished; errUnfinished says that it has not.
func newPipeline(source *node) (*pipeline, error) {
	src, _ := source.source()
	p := &pipeline{source: source, src: src}
	if err := src.Extend(); err != nil {
		return nil, err
	}
	f, err := p.arrange(source)
	p.flow = f
	return p, err
}

// errUnfinished says that a stage of a pipeline waits for an input that the same pipeline feeds.
var errUnfinished = errors.New("a stage's side input has not finished")

func (p *pipeline) arrange(n *node) (*flow, error) {
	f := &flow{of: n}
	for _, e := range n.consumers {
		// How a merge takes its input depends on the series.
		if err := e.to.op.Extend(); err != nil {
			return nil, err
		}
		if e.to.op.Takes(e.input) == operators.Stream {
			for i := range e.to.inputs {
				if i != e.input && !e.to.finished[i] {
					return nil, errUnfinished
				}
			}
			next, err := p.arrange(e.to)
			if err != nil {
				return nil, err
			}
			f.stages = append(f.stages, &stage{node: e.to, op: e.to.op.(operators.Stage), next: next})
			continue
		}
		s := &sink{node: e.to, op: e.to.op.(operators.Sink), input: e.input, rows: e.to.op.Takes(e.input) == operators.FoldRows, steps: n.open.Len()}
		f.sinks = append(f.sinks, s)
		p.sinks = append(p.sinks, s)
	}
	return f, nil
}

// run is one run of the workers over a number of morsels.
type run struct {
	query   *operators.Query
	morsels int
	carry   func(w *operators.Worker, m int) error // does the work on a morsel

	next atomic.Int64

	mu     sync.Mutex
	turn   *sync.Cond
	failed int // least morsel with an error, or morsels
	err    error
}

// segmentSteps is the least number of steps that is worth a ticket of its own.
const segmentSteps = 64

// run carries all morsels through the pipeline and finishes its sinks' inputs.
func (p *pipeline) run(ctx context.Context, d *driver) error {
	for _, s := range p.sinks {
		segments := 1
		if d.query.Workers > 1 && !s.rows {
			segments = max(1, min(2*d.query.Workers, s.steps/segmentSteps))
		}
		s.tickets = make([]int, segments)
	}
	r := newRun(d.query, p.src.Morsels())
	r.carry = func(w *operators.Worker, m int) error { return p.morsel(r, w, m) }
	d.work(r.morsels, r.work)
	if r.err != nil {
		return r.err
	}
	for _, s := range p.sinks {
		start := time.Now()
		if err := s.op.Finish(ctx, s.input); err != nil {
			if s.node == d.plan.cleanup {
				// By then the query has been evaluated: its annotations count.
				d.plan.annotate()
				return &operators.WarnedError{Err: err, Warnings: d.query.Annotations()}
			}
			return err
		}
		s.node.stats.add(time.Since(start), nil)
		s.node.finished[s.input] = true
	}
	return nil
}

func newRun(q *operators.Query, morsels int) *run {
	r := &run{query: q, morsels: morsels, failed: morsels}
	r.turn = sync.NewCond(&r.mu)
	return r
}

// work takes morsels until there are none, or none before the least that failed.
func (r *run) work(w *operators.Worker) {
	for {
		m := int(r.next.Add(1)) - 1
		if m >= r.morsels || r.isCancelled(m) {
			return
		}
		if err := r.guard(w, m); err != nil {
			r.fail(m, err)
		}
	}
}

func (r *run) guard(w *operators.Worker, m int) (err error) {
	defer operators.Recover(&err)
	if err := r.query.Err(); err != nil {
		return err
	}
	return r.carry(w, m)
}

// errCancelled ends the work on a morsel behind one that failed.
var errCancelled = errors.New("cancelled by an error in an earlier morsel")

func (r *run) isCancelled(m int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m > r.failed
}

// fail keeps the error of the least morsel, which is the same for any number of workers.
func (r *run) fail(m int, err error) {
	r.mu.Lock()
	if m < r.failed {
		r.failed, r.err = m, err
	}
	r.mu.Unlock()
	r.turn.Broadcast()
}

// morsel carries one morsel from the source to the sinks.
func (p *pipeline) morsel(r *run, w *operators.Worker, m int) error {
	start := time.Now()
	b, err := p.src.Read(w, m)
	if err != nil {
		return err
	}
	b.Morsel = m
	p.source.stats.add(time.Since(start), b)
	return r.pass(w, p.flow, b)
}

// pass hands a batch to all that take it. One that several take is shared: each sees it before
// the worker goes on to another morsel.
func (r *run) pass(w *operators.Worker, f *flow, b *operators.Batch) error {
	own := b
	if !b.Shared && len(f.stages)+len(f.sinks) > 1 {
		b.Shared = true
		defer func() {
			own.Shared = false
			w.Release(own)
		}()
	}
	for _, s := range f.stages {
		start := time.Now()
		out, err := s.op.Process(w, b)
		if err != nil {
			return err
		}
		s.node.stats.add(time.Since(start), out)
		out.Morsel = b.Morsel
		if out != b {
			w.Release(b)
		}
		if err := r.pass(w, s.next, out); err != nil {
			return err
		}
	}
	for _, s := range f.sinks {
		if err := r.fold(w, s, b); err != nil {
			return err
		}
	}
	if len(f.sinks) > 0 {
		w.Release(b)
	}
	return nil
}

// fold folds a batch into a sink, each step segment when its turn comes. Workers thus fold
// different segments at once, and every segment sees the morsels in order.
func (r *run) fold(w *operators.Worker, s *sink, b *operators.Batch) error {
	if p, ok := s.op.(operators.Preparer); ok {
		start := time.Now()
		if err := p.Prepare(w, s.input, b); err != nil {
			return err
		}
		s.node.stats.add(time.Since(start), nil)
	}
	for i := range s.tickets {
		if !r.await(s, i, b.Morsel) {
			return errCancelled
		}
		start := time.Now()
		seg := operators.StepRange{From: b.Steps * i / len(s.tickets), To: b.Steps * (i + 1) / len(s.tickets)}
		if err := s.op.Fold(w, s.input, b, seg); err != nil {
			return err
		}
		s.node.stats.add(time.Since(start), nil)
		r.mu.Lock()
		s.tickets[i]++
		r.mu.Unlock()
		r.turn.Broadcast()
	}
	return nil
}

func (r *run) await(s *sink, segment, m int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s.tickets[segment] != m && m <= r.failed {
		r.turn.Wait()
	}
	return m <= r.failed
}
