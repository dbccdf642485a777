package binary

import (
	"context"
	"math/bits"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/operators"
)

// Or is `or`: all samples of the left side, and those of the right side whose match group has no
// sample on the left side at the same step. Series keep their labels; those of the left side come
// first. Series of the two sides may have equal labels.
//
// Inputs: 0 the left side, 1 the right side (both FoldRows).
type Or struct {
	q        *operators.Query
	matching *parser.VectorMatching
	grid     operators.Grid
	sides    [2]orSide
	sigs     *signatures
	schema   *operators.Schema
	rows     []orRow
	r        operators.StepRange
	present  presence // of the left side
	bytes    int64
}

// orSide is one input.
type orSide struct {
	schema   *operators.Schema
	groups   []int32 // match group of a series
	table    *operators.Table
	columns  []operators.Column // by series, in the open range; the zero Column where there is no sample
	row      []int32            // series -> row of the output, -1 for none
	finished bool
}

// orRow is where a row of the output comes from.
type orRow struct{ side, series int32 }

// NewOr is lhs or rhs.
func NewOr(q *operators.Query, lhs, rhs *operators.Schema, matching *parser.VectorMatching, grid operators.Grid) *Or {
	return &Or{
		q:        q,
		matching: matching,
		grid:     grid,
		sides: [2]orSide{
			{schema: lhs, table: operators.NewTable(q)},
			{schema: rhs, table: operators.NewTable(q)},
		},
		sigs:   newSignatures(matching),
		schema: operators.NewSchema(),
	}
}

// Describe implements operators.Operator.
func (o *Or) Describe() string { return describe(parser.LOR, false, o.matching) }

// Schema implements operators.Operator.
func (o *Or) Schema() *operators.Schema { return o.schema }

// Takes implements operators.Operator.
func (*Or) Takes(int) operators.Edge { return operators.FoldRows }

// Bind implements operators.Operator.
func (*Or) Bind(context.Context) error { return nil }

// Extend implements operators.Operator.
func (o *Or) Extend() error {
	for i := range o.sides {
		s := &o.sides[i]
		s.groups = o.sigs.extend(s.groups, s.schema)
		for len(s.row) < len(s.groups) {
			s.row = append(s.row, -1)
		}
	}
	return nil
}

// Open implements operators.Operator.
func (o *Or) Open(r operators.StepRange) error {
	o.Close()
	o.r = r
	return nil
}

// Close implements operators.Operator.
func (o *Or) Close() {
	for i := range o.sides {
		s := &o.sides[i]
		s.table.Reset()
		s.columns, s.finished = nil, false
	}
	o.present.reset()
	_ = o.q.Grow(-o.bytes)
	o.bytes = 0
}

// Fold implements operators.Sink.
func (o *Or) Fold(_ *operators.Worker, input int, b *operators.Batch, _ operators.StepRange) error {
	return o.sides[input].table.Add(b)
}

// Finish implements operators.Sink.
func (o *Or) Finish(_ context.Context, input int) error {
	o.sides[input].finished = true
	if !o.sides[0].finished || !o.sides[1].finished {
		return nil
	}
	o.present.resize(o.sigs.len(), o.r.Len())
	o.bytes = o.present.bytes()
	if err := o.q.Grow(o.bytes); err != nil {
		return err
	}
	all := operators.StepRange{To: o.r.Len()}
	for side := range o.sides {
		s := &o.sides[side]
		s.columns = make([]operators.Column, len(s.groups))
		for _, b := range s.table.Batches() {
			for row := range b.Rows {
				series := b.First + row
				if side == 0 {
					o.present.add(s.groups[series], b, row, all)
				}
				c := b.Column(row)
				if !o.any(side, series, c) {
					continue
				}
				s.columns[series] = c
				o.admit(side, series)
			}
		}
	}
	if o.r.To == o.grid.Steps {
		o.schema.SetComplete()
	}
	return nil
}

// admit gives a series that is in the result a row.
func (o *Or) admit(side, series int) {
	s := &o.sides[side]
	drop := s.schema.DropName(series)
	if s.row[series] < 0 {
		s.row[series] = int32(o.schema.Append(s.schema.Labels(series), drop))
		o.rows = append(o.rows, orRow{int32(side), int32(series)})
		return
	}
	o.schema.SetDropName(int(s.row[series]), drop)
}

// masked are the n bits from step i on at which a series is out of the result.
func (o *Or) masked(side, series, i, n int) uint64 {
	if side == 0 {
		return 0
	}
	return o.present.load(o.sides[1].groups[series], i, n)
}

// any tells whether something of a series is in the result.
func (o *Or) any(side, series int, c operators.Column) bool {
	for i := 0; i < c.Len(); i += block {
		n := min(block, c.Len()-i)
		if c.Presence(i, n)&^o.masked(side, series, i, n) != 0 {
			return true
		}
	}
	return false
}

// Morsels implements operators.Source.
func (o *Or) Morsels() int {
	return morsels(len(o.rows), o.q.MorselSize(o.r.Len()))
}

// morsels is the number of blocks of at most size rows.
func morsels(rows, size int) int { return (rows + size - 1) / size }

// Read implements operators.Source.
func (o *Or) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	size := o.q.MorselSize(o.r.Len())
	first := m * size
	b := w.Batch(first, min(size, len(o.rows)-first), o.r.From, o.r.Len())
	b.Morsel = m
	for row := range b.Rows {
		src := o.rows[first+row]
		o.copyRow(b.Column(row), src)
	}
	return b, nil
}

func (o *Or) copyRow(out operators.Column, src orRow) {
	s := &o.sides[src.side]
	c := s.columns[src.series]
	copy(out.F, c.F)
	for i := 0; i < c.Len(); i += block {
		n := min(block, c.Len()-i)
		gone := o.masked(int(src.side), int(src.series), i, n)
		out.SetFloats(i, n, c.Floats(i, n)&^gone)
		for w := c.Histograms(i, n) &^ gone; w != 0; w &= w - 1 {
			k := i + bits.TrailingZeros64(w)
			out.SetHistogram(k, c.H[k])
		}
	}
}
