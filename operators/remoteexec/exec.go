// Package remoteexec holds the operator for parts of a query that other engines evaluate.
package remoteexec

import (
	"context"
	"errors"
	"fmt"
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
	// Start sends the part to the other engine. It is called again for a part whose answer found no memory.
	Start func(ctx context.Context) (remote.ColumnStream, error)
	// Slots limits how many parts of a query are on their way at once; one that is over gives its place to the next. nil is no limit.
	Slots chan struct{}
	// Failed says what an error of the other engine is to the query: a warning, with which the part has no series, or else an
	// error. nil: the error as it is.
	Failed func(err error) (warning, failure error)
	// Failures are those of all parts of the query. nil: no part hears of others.
	Failures *Failures
	// Check, if not nil, looks at the annotations of the other engine; an error is the query's.
	Check func(annotations.Annotations) error
	// Scope counts the samples that the other engine read.
	Scope *operators.Scope
	// Ranges says that the plan may be run in several step ranges, of which each reads what it needs.
	Ranges bool
}

// Failures tell all parts of a query that one has failed, so that none is waited for in vain.
type Failures struct {
	once   sync.Once
	failed chan struct{}
	err    error // the first; set once failed is closed
}

// NewFailures has none.
func NewFailures() *Failures { return &Failures{failed: make(chan struct{})} }

func (f *Failures) add(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.failed)
	})
}

// Exec is a part of the query that another engine evaluates. It is a Source without inputs.
//
// The part is sent while the plan is bound, and all that comes back is taken at once, on a goroutine of its own, into memory
// that is accounted for: whoever reads one input of a join must never keep the other engine from sending the next. Read
// waits for nothing; Extend, before the first Read, waits for the end.
//
// With all steps at once Read hands out what was received, without a copy; with step ranges, or where there may be some, it copies
// the steps asked for. What the other engine says of its work becomes the query's when a first range is through: what is said in
// a range that is run again is dropped.
type Exec struct {
	q      *operators.Query
	c      Config
	grid   operators.Grid
	schema *operators.Schema

	ctx    context.Context // of Bind
	cancel context.CancelFunc
	done   chan struct{} // closed once all is received; nil before Bind
	sent   int           // times

	// Of what was received, once done.
	rows         rows
	trailer      remote.Trailer
	warning, err error

	short    bool // the last Extend found that there was too little memory
	settled  bool // the schema has all series
	told     bool // annotations and statistics are the query's
	consumed bool // and so is what its limits count

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
	e.ctx = ctx
	e.send()
	return nil
}

func (e *Exec) send() {
	ctx, cancel := context.WithCancel(e.ctx)
	e.cancel, e.done = cancel, make(chan struct{})
	e.sent++
	go func() {
		defer close(e.done)
		own, err := e.receive(ctx)
		if err == nil {
			return
		}
		// What came before the error is no answer.
		e.rows.drop()
		e.trailer = remote.Trailer{}
		if e.err = err; own || ctx.Err() != nil {
			return
		}
		if e.c.Failed != nil {
			e.warning, e.err = e.c.Failed(err)
		}
		if e.err != nil && e.c.Failures != nil {
			e.c.Failures.add(e.err)
		}
	}()
}

// receive takes in all that the other engine sends. own says of an error that it is not that engine's, but of what its answer is put into.
func (e *Exec) receive(ctx context.Context) (own bool, err error) {
	defer operators.Recover(&err)
	if e.c.Slots != nil {
		select {
		case e.c.Slots <- struct{}{}:
			defer func() { <-e.c.Slots }()
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	s, err := e.c.Start(ctx)
	if err != nil {
		return false, err
	}
	defer s.Close()
	for {
		c, err := s.Next(ctx)
		switch err { // errors that wrap one of these are errors
		case nil:
		case io.EOF:
			e.trailer = s.Trailer()
			return false, e.checkStats()
		case remote.ErrRestart:
			e.rows.drop()
			continue
		default:
			return false, err
		}
		if err := e.rows.check(c); err != nil {
			return false, err
		}
		if err := e.rows.add(c); err != nil {
			return true, err
		}
	}
}

// checkStats refuses statistics of more steps than there are.
func (e *Exec) checkStats() error {
	if n := max(len(e.trailer.Stats.Total), len(e.trailer.Stats.Read)); n > max(1, e.grid.Steps) {
		return fmt.Errorf("statistics of %d steps make no sense for %d", n, e.grid.Steps)
	}
	return nil
}

// maxSent is how often a part is sent at most whose answer finds no memory.
const maxSent = 3

// Extend waits for the other engine, or for the failure of another part, and makes the series known. A part that found no memory is
// sent again when Extend is called again: by then others have given some back, or the plan goes on with fewer steps at once.
func (e *Exec) Extend() error {
	if e.done == nil || e.settled {
		return nil
	}
	if e.short && e.sent < maxSent {
		e.cancel()
		e.err = nil
		e.send()
	}
	if err := e.wait(); err != nil {
		if ended := e.q.Err(); ended != nil {
			return ended
		}
		e.short = errors.Is(err, operators.ErrShortOfMemory)
		return err
	}
	if e.c.Check != nil {
		if err := e.c.Check(e.trailer.Annotations); err != nil {
			return err
		}
	}
	for _, s := range e.rows.series {
		e.schema.Append(s.Labels, s.DropName)
	}
	e.schema.SetComplete()
	e.settled = true
	return nil
}

func (e *Exec) wait() error {
	var failed chan struct{}
	if e.c.Failures != nil {
		failed = e.c.Failures.failed
	}
	select {
	case <-e.done:
		return e.err
	case <-failed:
		return e.c.Failures.err
	}
}

// Annotate implements operators.Annotator: it adds what the other engine said, once.
func (e *Exec) Annotate() {
	if !e.settled || e.told {
		return
	}
	e.told = true
	if e.warning != nil {
		e.q.Annotate(e.warning)
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
}

// Consume accounts, once, for what the other engine read: it counts for the query's limits as what is read here does.
func (e *Exec) Consume() error {
	if !e.settled || e.consumed {
		return nil
	}
	e.consumed = true
	if err := e.q.ConsumeSeries(e.trailer.Stats.Series); err != nil {
		return err
	}
	read := int64(0)
	for _, n := range e.trailer.Stats.Read {
		read += n
	}
	return e.q.ConsumeSamples(read)
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
	if e.r == e.grid.All() && !e.c.Ranges && !e.q.MemoryLimited() {
		return e.rows.give(m), nil // for good: no range follows, or will be run again
	}
	return e.rows.batches[m].Section(w, e.r), nil
}

// Analysis is the other engine's account of what it did; "" before the end.
func (e *Exec) Analysis() string { return e.trailer.Analysis }
