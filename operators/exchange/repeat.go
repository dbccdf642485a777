package exchange

import (
	"context"

	"github.com/stride-promql/stride/operators"
)

// Repeat stands between a step-invariant part of a query, which is evaluated at one step, and the
// rest: it gives each series its sample at every step. Histograms are shared by all steps. Inputs: 0
// the part, with a grid of one step (Stream).
type Repeat struct {
	schema *operators.Schema
	r      operators.StepRange
}

// NewRepeat repeats the samples of in.
func NewRepeat(in *operators.Schema) *Repeat {
	return &Repeat{schema: operators.DeriveSchema(in, nil, false)}
}

// Describe is the operator's name.
func (*Repeat) Describe() string { return "repeat" }

// Schema has the series of the input.
func (o *Repeat) Schema() *operators.Schema { return o.schema }

// Takes is Stream.
func (*Repeat) Takes(int) operators.Edge { return operators.Stream }

// Bind has nothing to resolve.
func (*Repeat) Bind(context.Context) error { return nil }

// Extend has no state by series.
func (*Repeat) Extend() error { return nil }

// Open starts a step range.
func (o *Repeat) Open(r operators.StepRange) error {
	o.r = r
	return nil
}

// InputRange is the only step of the input.
func (*Repeat) InputRange(int, operators.StepRange) operators.StepRange {
	return operators.StepRange{To: 1}
}

// Close has nothing to give back.
func (*Repeat) Close() {}

// Process makes a batch of all steps of the range from one of one step.
func (o *Repeat) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	n := o.r.Len()
	if b.Steps == 0 {
		return w.Batch(b.First, b.Rows, o.r.From, n), nil // a part that is evaluated at no time
	}
	if n == 1 && !b.Shared {
		b.From = o.r.From
		return b, nil
	}
	out := w.Batch(b.First, b.Rows, o.r.From, n)
	out.Morsel = b.Morsel
	adopt := false
	for row := range b.Rows {
		lo, hi := row*n, (row+1)*n
		switch {
		case b.Valid.Get(row):
			fill(out.F[lo:hi], b.F[row])
			out.Valid.SetRange(lo, hi)
		case b.HasHistogram(row):
			out.EnsureHistograms()
			fill(out.H[lo:hi], b.H[row])
			adopt = true
			out.HValid.SetRange(lo, hi)
		}
	}
	if adopt {
		out.Adopt(b)
	}
	return out, nil
}

func fill[T any](dst []T, v T) {
	for i := range dst {
		dst[i] = v
	}
}
