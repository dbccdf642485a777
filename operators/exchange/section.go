package exchange

import (
	"context"

	"github.com/stride-promql/stride/operators"
)

// Section lets its input be evaluated at some steps of the grid only; at all others there is no sample. Inputs: 0 the vector
// (Stream), on the same grid.
type Section struct {
	schema *operators.Schema
	steps  operators.StepRange
	r      operators.StepRange
}

// NewSection is in at the given steps.
func NewSection(in *operators.Schema, steps operators.StepRange) *Section {
	return &Section{schema: operators.DeriveSchema(in, nil, false), steps: steps}
}

// Describe is the operator's name.
func (*Section) Describe() string { return "section" }

// Schema has the series of the input.
func (o *Section) Schema() *operators.Schema { return o.schema }

// Takes is Stream.
func (*Section) Takes(int) operators.Edge { return operators.Stream }

// Bind has nothing to resolve.
func (*Section) Bind(context.Context) error { return nil }

// Extend has no state by series.
func (*Section) Extend() error { return nil }

// Open starts a step range.
func (o *Section) Open(r operators.StepRange) error {
	o.r = r
	return nil
}

// Close has nothing to give back.
func (*Section) Close() {}

// InputRange is what the range has of the steps.
func (o *Section) InputRange(_ int, r operators.StepRange) operators.StepRange {
	lo, hi := max(r.From, o.steps.From), min(r.To, o.steps.To)
	return operators.StepRange{From: min(lo, hi), To: hi}
}

// Sparse says that other steps are not evaluated.
func (*Section) Sparse() {}

// Process makes a batch of the open range.
func (o *Section) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	if b.From == o.r.From && b.Steps == o.r.Len() {
		return b, nil
	}
	out := w.Batch(b.First, b.Rows, o.r.From, o.r.Len())
	out.Morsel = b.Morsel
	if b.Steps == 0 {
		return out, nil
	}
	for row := range b.Rows {
		to, from := out.Pos(row, b.From-o.r.From), b.Pos(row, 0)
		copy(out.F[to:to+b.Steps], b.F[from:from+b.Steps])
		out.Valid.Copy(to, b.Valid, from, b.Steps)
		if b.H == nil {
			continue
		}
		for p := b.HValid.Next(from, from+b.Steps); p < from+b.Steps; p = b.HValid.Next(p+1, from+b.Steps) {
			out.SetHistogram(to+p-from, b.H[p])
		}
	}
	if b.H != nil {
		out.Adopt(b)
	}
	return out, nil
}

var _ operators.Sparse = (*Section)(nil)
