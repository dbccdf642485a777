package exchange

import (
	"context"
	"math/bits"
	"slices"

	"github.com/stride-promql/stride/operators"
)

// Merge makes one series of all input series with equal labels. If two of them have a sample at the
// same step, it fails as Prometheus does. Inputs: 0 the vector.
//
// Merge is two operators in one. After Extend, Takes tells which it is:
//
//   - If the input's schema is complete and all its labels differ, it is a Stage that hands batches on
//     as they are (Takes is Stream). Its schema is then that of the input, series by series.
//   - Else it is a Sink (Takes is FoldRows) and then a Source. Its schema grows in Finish by the
//     merged series that have samples, in the order of their first input series that has any.
//
// Before the first Extend it is a Sink. It becomes a Stage at most once, before the first batch, and
// stays one: a complete schema gets no new series. With dropReserved, DropName of a complete schema
// has to be settled.
type Merge struct {
	q       *operators.Query
	classes *classes
	grid    operators.Grid
	schema  *operators.Schema
	unique  bool // a Stage: the schema is complete and all labels differ
	sink    bool // a Sink: it has taken batches, and stays what it is

	r     operators.StepRange
	table *operators.Table
	index []int32   // class -> output series, -1 if not in the schema
	rows  [][]int32 // output series -> input series that have samples in the range
}

// NewMerge merges the series of in. dropReserved compares and outputs labels without the metadata
// labels of series with DropName: the end of delayed name removal.
func NewMerge(q *operators.Query, in *operators.Schema, dropReserved bool, grid operators.Grid) *Merge {
	return &Merge{
		q: q, grid: grid,
		classes: newClasses(in, dropReserved),
		schema:  operators.NewSchema(),
		table:   operators.NewTable(q),
	}
}

// Describe is the operator and what it does with names.
func (o *Merge) Describe() string {
	if o.classes.dropReserved {
		return "merge, dropping names"
	}
	return "merge"
}

// Schema lists the merged series.
func (o *Merge) Schema() *operators.Schema { return o.schema }

// Takes is FoldRows where there may be something to merge, else Stream. See Merge.
func (o *Merge) Takes(int) operators.Edge {
	if o.unique {
		return operators.Stream
	}
	return operators.FoldRows
}

// Bind has nothing to resolve.
func (o *Merge) Bind(context.Context) error { return nil }

// Open starts a step range.
func (o *Merge) Open(r operators.StepRange) error {
	o.Close()
	o.r = r
	return nil
}

// Extend compares the labels of new series.
func (o *Merge) Extend() error {
	c := o.classes
	c.extend()
	for len(o.index) < len(c.first) {
		o.index = append(o.index, -1)
	}
	if o.unique || !o.sink && c.in.Complete() && c.max <= 1 {
		o.unique = true
		for i := o.schema.Len(); i < c.in.Len(); i++ {
			o.schema.Append(c.labels(int32(i)), c.dropName(int32(i)))
		}
		o.schema.SetComplete()
	}
	return nil
}

// Close gives back all state.
func (o *Merge) Close() {
	o.table.Reset()
	for i := range o.rows {
		o.rows[i] = nil
	}
}

// Process hands a batch on.
func (o *Merge) Process(_ *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	return b, nil
}

// Fold keeps a batch.
func (o *Merge) Fold(_ *operators.Worker, _ int, b *operators.Batch, _ operators.StepRange) error {
	o.sink = true
	return o.table.Add(b)
}

// Finish finds the merged series and fails where two samples meet.
func (o *Merge) Finish(ctx context.Context, _ int) error {
	o.sink = true
	known := len(o.rows)
	for _, b := range o.table.Batches() {
		if err := operators.ContextError(ctx, operators.EnvEvaluation); err != nil {
			return err
		}
		for row := range b.Rows {
			if !b.Empty(row) {
				o.add(int32(b.First + row))
			}
		}
	}
	for i, rows := range o.rows {
		if len(rows) <= 1 {
			continue
		}
		if o.meet(rows) {
			return operators.ErrSameLabelset
		}
		if i >= known {
			o.schema.SetDropName(i, o.classes.dropName(o.earliest(rows)))
		}
	}
	if o.r.To == o.grid.Steps {
		o.schema.SetComplete()
	}
	return nil
}

// add notes that a series has samples.
func (o *Merge) add(series int32) {
	c := o.classes
	class := c.of[series]
	if o.index[class] < 0 {
		o.index[class] = int32(o.schema.Append(c.labels(series), c.dropName(series)))
		o.rows = append(o.rows, nil)
	}
	row := &o.rows[o.index[class]]
	*row = append(*row, series)
}

// meet tells whether two of the rows have a sample at the same step.
func (o *Merge) meet(rows []int32) bool {
	for i := 0; i < o.r.Len(); i += 64 {
		n := min(64, o.r.Len()-i)
		var seen uint64
		for _, series := range rows {
			w := o.table.Column(int(series)).Presence(i, n)
			if seen&w != 0 {
				return true
			}
			seen |= w
		}
	}
	return false
}

// earliest is the one of the rows with the first sample in step order.
func (o *Merge) earliest(rows []int32) int32 {
	return slices.MinFunc(rows, func(a, b int32) int {
		return o.table.Column(int(a)).First() - o.table.Column(int(b)).First()
	})
}

// Morsels is the number of batches of merged series.
func (o *Merge) Morsels() int {
	size := o.q.MorselSize(o.r.Len())
	return (len(o.rows) + size - 1) / size
}

// Read makes a batch of merged series.
func (o *Merge) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	size := o.q.MorselSize(o.r.Len())
	first := m * size
	rows := o.rows[first:min(first+size, len(o.rows))]
	b := w.Batch(first, len(rows), o.r.From, o.r.Len())
	b.Morsel = m
	for row, members := range rows {
		if len(members) == 0 {
			continue
		}
		dst := b.Column(row)
		for _, series := range members {
			src := o.table.Column(int(series))
			for i := 0; i < src.Len(); i += 64 {
				n := min(64, src.Len()-i)
				copyFloats(dst.F[i:i+n], src.F[i:i+n], src.Floats(i, n))
				dst.SetFloats(i, n, dst.Floats(i, n)|src.Floats(i, n))
				for word := src.Histograms(i, n); word != 0; word &= word - 1 {
					step := i + bits.TrailingZeros64(word)
					dst.SetHistogram(step, src.H[step])
				}
			}
		}
	}
	return b, nil
}

// copyFloats copies the values that mask has bits set for.
func copyFloats(dst, src []float64, mask uint64) {
	if bits.OnesCount64(mask) == len(src) {
		copy(dst, src)
		return
	}
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		dst[i] = src[i]
	}
}
