package result

import (
	"context"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/remote"
)

// Emitter is the sink of a plan that is a part of a query: it hands on batches as columns, as they come. Rows without samples are
// left out. Columns share no memory with batches. Input: 0 the root (FoldRows).
type Emitter struct {
	in   *operators.Schema
	emit func(*remote.Columns) error
}

// NewEmitter hands the samples of in to emit, one call at a time.
func NewEmitter(in *operators.Schema, emit func(*remote.Columns) error) *Emitter {
	return &Emitter{in, emit}
}

// Describe implements operators.Operator.
func (*Emitter) Describe() string { return "send" }

// Schema implements operators.Operator.
func (e *Emitter) Schema() *operators.Schema { return e.in }

// Takes implements operators.Operator.
func (*Emitter) Takes(int) operators.Edge { return operators.FoldRows }

// Bind implements operators.Operator.
func (*Emitter) Bind(context.Context) error { return nil }

// Extend implements operators.Operator.
func (*Emitter) Extend() error { return nil }

// Open implements operators.Operator.
func (*Emitter) Open(operators.StepRange) error { return nil }

// Close implements operators.Operator.
func (*Emitter) Close() {}

// Fold implements operators.Sink.
func (e *Emitter) Fold(_ *operators.Worker, _ int, b *operators.Batch, _ operators.StepRange) error {
	var (
		series []remote.Series
		rows   []int
	)
	for row := range b.Rows {
		if b.Empty(row) {
			continue
		}
		i := b.First + row
		rows = append(rows, row)
		series = append(series, remote.Series{Labels: e.in.Labels(i), DropName: e.in.DropName(i)})
	}
	if len(rows) == 0 {
		return nil
	}
	c := remote.NewColumns(series, b.From, b.Steps)
	var arena operators.HistogramArena // of the columns
	for to, row := range rows {
		at, p := to*b.Steps, b.Pos(row, 0)
		copy(c.F[at:at+b.Steps], b.F[p:p+b.Steps])
		c.Valid.Copy(at, b.Valid, p, b.Steps)
		if b.H == nil {
			continue
		}
		for q := b.HValid.Next(p, p+b.Steps); q < p+b.Steps; q = b.HValid.Next(q+1, p+b.Steps) {
			c.SetHistogram(at+q-p, arena.Copy(b.H[q]))
		}
	}
	return e.emit(c)
}

// Finish implements operators.Sink.
func (*Emitter) Finish(context.Context, int) error { return nil }

var _ operators.Sink = (*Emitter)(nil)
