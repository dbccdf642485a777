// Package remoteexec holds the operator for parts of a query that other engines evaluate.
package remoteexec

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/remote"
)

// Config is what an Exec evaluates, and how.
type Config struct {
	// Title is one line for Explain.
	Title string
	// Start sends the part to the other engine.
	Start func(ctx context.Context) (remote.ColumnStream, error)
	// Slots limits how many parts of a query are on their way at once; one that is over gives its place to the next. nil is no limit.
	Slots chan struct{}
	// Missing makes an error of the other engine a warning that says what may be missing; nil: the error is the query's.
	Missing func(err error) error
	// Check, if not nil, looks at the annotations of the other engine; an error is the query's.
	Check func(annotations.Annotations) error
	// Scope counts the samples that the other engine read.
	Scope *operators.Scope
}

// Exec is a part of the query that another engine evaluates. It is a Source without inputs.
//
// The part is sent while the plan is bound, and all that comes back is taken at once, on a goroutine of its own, into memory
// that is accounted for: whoever reads one input of a join must never keep the other engine from sending the next. Read
// waits for nothing; Extend, before the first Read, waits for the end.
//
// With all steps at once Read hands out what was received, without a copy; with step ranges, or where there may be some, it copies
// the steps asked for.
type Exec struct {
	q      *operators.Query
	c      Config
	grid   operators.Grid
	schema *operators.Schema

	cancel context.CancelFunc
	done   chan struct{} // closed once all is received; nil before Bind
	once   sync.Once     // settles what was received

	rows    rows
	trailer remote.Trailer
	err     error

	r operators.StepRange
}

// New evaluates c over the steps of grid.
func New(q *operators.Query, c Config, grid operators.Grid) *Exec {
	return &Exec{q: q, c: c, grid: grid, schema: operators.NewSchema(), rows: rows{q: q, steps: grid.Steps}}
}

// Describe implements operators.Operator.
func (e *Exec) Describe() string { return e.c.Title }

// Schema implements operators.Operator: the series in the order in which they came.
func (e *Exec) Schema() *operators.Schema { return e.schema }

// Takes implements operators.Operator; there are no inputs.
func (*Exec) Takes(int) operators.Edge { return operators.Fold }

// Bind sends the part.
func (e *Exec) Bind(ctx context.Context) error {
	ctx, e.cancel = context.WithCancel(ctx)
	e.done = make(chan struct{})
	go func() {
		defer close(e.done)
		defer operators.Recover(&e.err)
		e.err = e.receive(ctx)
	}()
	return nil
}

// receive takes in all that the other engine sends.
func (e *Exec) receive(ctx context.Context) error {
	if e.c.Slots != nil {
		select {
		case e.c.Slots <- struct{}{}:
			defer func() { <-e.c.Slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s, err := e.c.Start(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		c, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			e.trailer = s.Trailer()
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.rows.add(c); err != nil {
			return err
		}
	}
}

// Extend waits for the other engine and makes the series known.
func (e *Exec) Extend() error {
	if e.done == nil {
		return nil
	}
	<-e.done
	var err error
	e.once.Do(func() { err = e.settle() })
	return err
}

func (e *Exec) settle() error {
	if e.err != nil {
		if ended := e.q.Err(); ended != nil {
			return ended
		}
		var own *operators.BudgetError
		if e.c.Missing == nil || errors.As(e.err, &own) || errors.Is(e.err, operators.ErrShortOfMemory) {
			return e.err
		}
		// What came before the error is no answer.
		e.rows.drop()
		e.q.Annotate(e.c.Missing(e.err))
		e.trailer = remote.Trailer{}
	}
	if e.c.Check != nil {
		if err := e.c.Check(e.trailer.Annotations); err != nil {
			return err
		}
	}
	e.q.AnnotateAll(e.trailer.Annotations)
	if s := e.c.Scope; s != nil {
		counts := s.Counts(&operators.Worker{}) // nobody counts meanwhile
		for step, n := range e.trailer.Stats.Total {
			counts.Add(step, n, 0)
		}
		for step, n := range e.trailer.Stats.Read {
			counts.Add(step, 0, n)
		}
		s.AddSeries(int(e.trailer.Stats.Series))
	}
	for _, s := range e.rows.series {
		e.schema.Append(s.Labels, s.DropName)
	}
	e.schema.SetComplete()
	return nil
}

// Open implements operators.Operator.
func (e *Exec) Open(r operators.StepRange) error {
	e.r = r
	return nil
}

// Close ends the part if it still runs.
func (e *Exec) Close() {
	if e.cancel != nil {
		e.cancel()
		<-e.done
	}
	e.rows.drop()
}

// Morsels implements operators.Source.
func (e *Exec) Morsels() int { return len(e.rows.batches) }

// Read implements operators.Source.
func (e *Exec) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	if e.r == e.grid.All() && !e.q.MemoryLimited() {
		return e.rows.give(m), nil // for good: no range will be run again
	}
	return e.rows.batches[m].Section(w, e.r), nil
}

// Analysis is the other engine's account of what it did; "" before the end.
func (e *Exec) Analysis() string { return e.trailer.Analysis }
