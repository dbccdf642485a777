package exchange

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
)

// Coalesce is the union of inputs that may hold samples computed from the same data: one series for all with equal labels, in
// the order of labels, and of samples that meet the one of the input that counts (dedup.go). Series with equal labels of one input
// stay apart, for whoever finds out at the end of the query that a result has them.
//
//	input 0   {a="1"} x x x x . .        ranking of a="1": steps 0..2 [0 1], steps 3..5 [1 0]
//	          {a="2"} y y y y y y
//	input 1   {a="1"} . . z z z z
//	output    {a="1"} x x x z z z
//	          {a="2"} y y y y y y
//
// Inputs: any number (FoldRows).
type Coalesce struct {
	q         *operators.Query
	title     string
	grid      operators.Grid
	partition []string
	rank      Ranking
	inputs    []coalesceInput
	schema    *operators.Schema
	index     map[string]int32 // labels -> series of the schema
	r         operators.StepRange
	left      int // inputs that have not finished
	rows      []coalesceRow
}

type coalesceInput struct {
	schema *operators.Schema
	table  *operators.Table
}

// coalesceRow is a series of the output in the open range.
type coalesceRow struct {
	members []coalesceMember // by input
	runs    []Run
}

type coalesceMember struct {
	input  int
	series int32
}

// Ranking gives the runs of a partition label set; nil if each input may count at each step.
type Ranking func(set labels.Labels) []Run

// NewCoalesce unites inputs. partition are the sorted names of the labels that rank is asked with.
func NewCoalesce(q *operators.Query, inputs []*operators.Schema, partition []string, rank Ranking, grid operators.Grid) *Coalesce {
	c := &Coalesce{
		q: q, grid: grid, partition: partition, rank: rank,
		title:  fmt.Sprintf("dedup coalesce of %d", len(inputs)),
		schema: operators.NewSchema(), index: map[string]int32{},
	}
	for _, s := range inputs {
		c.inputs = append(c.inputs, coalesceInput{s, operators.NewTable(q)})
	}
	if len(inputs) == 0 {
		c.schema.SetComplete()
	}
	return c
}

// Describe implements operators.Operator.
func (c *Coalesce) Describe() string { return c.title }

// Schema implements operators.Operator: the series with samples, in the order of labels in each step range.
func (c *Coalesce) Schema() *operators.Schema { return c.schema }

// Takes implements operators.Operator.
func (*Coalesce) Takes(int) operators.Edge { return operators.FoldRows }

// Bind implements operators.Operator.
func (*Coalesce) Bind(context.Context) error { return nil }

// Extend implements operators.Operator.
func (*Coalesce) Extend() error { return nil }

// Open implements operators.Operator.
func (c *Coalesce) Open(r operators.StepRange) error {
	c.Close()
	c.r, c.left = r, len(c.inputs)
	return nil
}

// Close implements operators.Operator.
func (c *Coalesce) Close() {
	for _, in := range c.inputs {
		in.table.Reset()
	}
	c.rows = nil
}

// Fold implements operators.Sink.
func (c *Coalesce) Fold(_ *operators.Worker, input int, b *operators.Batch, _ operators.StepRange) error {
	return c.inputs[input].table.Add(b)
}

// Finish finds the series once all inputs are there.
func (c *Coalesce) Finish(ctx context.Context, _ int) error {
	if c.left--; c.left > 0 {
		return nil
	}
	fresh, err := c.find(ctx)
	if err != nil {
		return err
	}
	for i := range c.rows {
		c.rows[i].runs = c.runs(c.schema.Labels(i))
	}
	slices.SortFunc(fresh, func(a, b freshSeries) int { return labels.Compare(a.labels, b.labels) })
	for _, f := range fresh {
		f.row.runs = c.runs(f.labels)
		c.index[f.key] = int32(c.schema.Append(f.labels, c.dropName(f.row)))
		c.rows = append(c.rows, f.row)
	}
	if c.r.To == c.grid.Steps {
		c.schema.SetComplete()
	}
	return nil
}

// freshSeries is a series that the schema has not yet.
type freshSeries struct {
	key    string
	labels labels.Labels
	row    coalesceRow
}

// find notes the members of all series, and gives those that are new.
func (c *Coalesce) find(ctx context.Context) ([]freshSeries, error) {
	c.rows = make([]coalesceRow, c.schema.Len())
	var fresh []freshSeries
	at := map[string]int{} // in fresh
	var buf []byte
	for i, in := range c.inputs {
		again := map[string]uint32{} // how often labels came before, where they did
		for _, b := range in.table.Batches() {
			if err := operators.ContextError(ctx, operators.EnvEvaluation); err != nil {
				return nil, err
			}
			for row := range b.Rows {
				if b.Empty(row) {
					continue
				}
				series := b.First + row
				l := in.schema.Labels(series)
				buf = l.Bytes(buf[:0])
				if n, ok := again[string(buf)]; ok {
					again[string(buf)] = n + 1
					buf = binary.LittleEndian.AppendUint32(buf, n)
				} else {
					again[string(buf)] = 1
				}
				m := coalesceMember{i, int32(series)}
				if known, ok := c.index[string(buf)]; ok {
					r := &c.rows[known]
					r.members = append(r.members, m)
					continue
				}
				k, ok := at[string(buf)]
				if !ok {
					k = len(fresh)
					key := string(buf)
					at[key] = k
					fresh = append(fresh, freshSeries{key: key, labels: l})
				}
				fresh[k].row.members = append(fresh[k].row.members, m)
			}
		}
	}
	return fresh, nil
}

// dropName is DropName of a new series: that of its first sample in the order of steps.
func (c *Coalesce) dropName(row coalesceRow) bool {
	drop := func(m coalesceMember) bool { return c.inputs[m.input].schema.DropName(int(m.series)) }
	if !slices.ContainsFunc(row.members, func(m coalesceMember) bool { return drop(m) != drop(row.members[0]) }) {
		return drop(row.members[0])
	}
	d := deduplication{src: c.sources(row)}
	return drop(row.members[max(0, d.first(row.runs, c.r.From))])
}

// runs are those of a series.
func (c *Coalesce) runs(series labels.Labels) []Run {
	if c.rank == nil {
		return nil
	}
	b := labels.NewBuilder(series)
	b.Keep(c.partition...)
	return c.rank(b.Labels())
}

// Morsels implements operators.Source.
func (c *Coalesce) Morsels() int {
	size := c.q.MorselSize(c.r.Len())
	return (len(c.rows) + size - 1) / size
}

// Read implements operators.Source.
func (c *Coalesce) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	size := c.q.MorselSize(c.r.Len())
	first := m * size
	rows := c.rows[first:min(first+size, len(c.rows))]
	b := w.Batch(first, len(rows), c.r.From, c.r.Len())
	b.Morsel = m
	for i, row := range rows {
		d := deduplication{dst: b, row: i, src: c.sources(row)}
		d.run(row.runs)
	}
	return b, nil
}

// sources are the columns of a series' members.
func (c *Coalesce) sources(row coalesceRow) []source {
	out := make([]source, len(row.members))
	for i, m := range row.members {
		out[i] = source{m.input, c.inputs[m.input].table.Column(int(m.series))}
	}
	return out
}
