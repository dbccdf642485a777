// Package operators is the contract between the operators of a physical plan and the driver that
// runs them, and the data that flows between them.
//
// A query runs as pipelines: one source, stages that turn a batch into a batch, and one or more
// sinks. A blocking operator is a Sink for its inputs and, once it has finished, the Source of
// the next pipeline. Workers take morsels (blocks of series) of a source, carry each through all
// stages on their own, and fold it into the sinks in morsel order.
//
//	scan ── window ── abs ──┬── sum ║ source ── clamp ──┐
//	                        └────────────── join build ─╢ join ║ source ── result
//
// Order of calls on one operator, by the driver:
//
//	Bind                          once, inputs first
//	for every step range:
//	  Open                        inputs first
//	  for every pipeline:
//	    Extend                    source to sinks, before the first morsel; again when an input's schema grew
//	    Read, Process             any worker, concurrently, different morsels
//	    Prepare                   of a sink that is a Preparer: any worker, before the batch's first Fold
//	    Fold                      one call at a time for an input and step segment, morsels in order
//	    Finish                    once an input's pipelines are through
//	  Annotate                    of an Annotator: once all pipelines are through without an error
//	Close                         once or more, on every path
//
// Two inputs of one sink that come from one source are folded in one pipeline, possibly at the same time
// and at the same steps: they may not write to the same state without a lock.
package operators

import (
	"context"
	"errors"
)

// ErrSameLabelset is the error of two samples of one step with equal labels. The text is Prometheus'.
var ErrSameLabelset = errors.New("vector cannot contain metrics with the same labelset")

// Edge is how an operator takes an input.
type Edge int

const (
	// Stream: batches of the input go through Stage.Process.
	Stream Edge = iota
	// Fold: batches are folded by Sink.Fold, a step segment at a time; different segments
	// may be folded concurrently.
	Fold
	// FoldRows: as Fold, but always all steps of a batch in one call.
	FoldRows
)

// Operator is a node of a physical plan. Each is a Source, a Stage or a Sink, or several of them.
type Operator interface {
	// Describe is one line for Explain: the operator and what configures it.
	Describe() string
	// Schema lists the series of the output; the same pointer for the operator's life.
	Schema() *Schema
	// Takes says how input i (in Prometheus' evaluation order) is taken.
	Takes(input int) Edge
	// Bind resolves what needs storage. It is the only place where series are selected, but for
	// operators whose selection depends on data.
	Bind(ctx context.Context) error
	// Extend brings state kept by series up to the length of the inputs' schemas. No other
	// method runs meanwhile.
	Extend() error
	// Open starts a step range of the operator's own grid; state of a range before it is dropped.
	Open(r StepRange) error
	// Close gives back all resources. It may be called more than once and in any state.
	Close()
}

// Source produces batches.
type Source interface {
	Operator
	// Morsels is the number of batches in the open range. It is asked after Extend and, for
	// a blocking operator, after the Finish of its last input.
	Morsels() int
	// Read produces batch m. The batch comes from w.Batch or is one that the operator keeps and
	// marks Shared; rows of consecutive morsels are consecutive in the schema.
	Read(w *Worker, m int) (*Batch, error)
}

// Stage turns a batch into a batch: in place when it is not Shared, else into one of w.Batch's.
// Row r of the output belongs to series First+r of its schema; the output covers the same series.
type Stage interface {
	Operator
	Process(w *Worker, b *Batch) (*Batch, error)
}

// Sink takes batches in.
type Sink interface {
	Operator
	// Fold takes the steps seg (counted from the batch's first) of a batch of input i. A sink that
	// wants to keep a batch that is not Shared sets Kept, on the last segment only
	// or, with FoldRows, at once; of a Shared one it keeps a Clone.
	Fold(w *Worker, input int, b *Batch, seg StepRange) error
	// Finish says that all batches of the input have been folded for this range.
	Finish(ctx context.Context, input int) error
}

// Preparer is implemented by a sink that has work to do on a batch before its turn to fold comes:
// any worker calls it, concurrently for different batches.
type Preparer interface {
	Prepare(w *Worker, input int, b *Batch) error
}

// Regridder is implemented by an operator that has an input on another grid.
type Regridder interface {
	// InputRange is the range of input's grid that the operator's own steps r need.
	InputRange(input int, r StepRange) StepRange
}

// Sparse is a Regridder whose input is evaluated at no other steps than it asks for. (Prometheus evaluates, counts and annotates
// also those steps of a subquery that no window looks at.)
type Sparse interface {
	Regridder
	Sparse()
}

// Sized is implemented by an operator that can say, once its inputs are bound, what it is going to hold. What an operator
// holds of inputs that are folded by rows is known without.
type Sized interface {
	// StateBytes is about what the operator holds for a range of so many steps of its grid.
	StateBytes(steps int) int64
	// OutputSeries is about how many series it puts out.
	OutputSeries() int
}

// Sequenced is implemented by a sink that can fold an input only when others have finished.
type Sequenced interface {
	// After are the inputs that must have finished before the first batch of input.
	After(input int) []int
}

// Annotator is implemented by an operator that knows its annotations only when all morsels
// are through.
type Annotator interface {
	// Annotate adds them to the query's. It is called once per range, after all pipelines.
	Annotate()
}
