package aggregate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
)

// CountValues is count_values(label, vector): one output series for each group and value. Inputs: 0
// the vector (FoldRows, since the values become known as they come).
//
// Its schema holds the values in the order of their first appearance, series by series. Prometheus'
// order is random.
type CountValues struct {
	grouping *grouping // without the value label
	q        *operators.Query
	label    string
	keep     bool // whether the output has the value label
	grid     operators.Grid
	title    string
	out      *operators.Schema

	r      operators.StepRange
	steps  int
	floats map[floatValue]*valueCount
	others map[textValue]*valueCount
	counts []*valueCount // those with samples in the range
	rows   []*valueCount // by output series

	held, bytes int64
}

type floatValue struct {
	group int32
	bits  uint64
}

type textValue struct {
	group int32
	text  string
}

// valueCount counts a value of a group: by the steps of its samples, as long as these are few, then
// in a column.
type valueCount struct {
	group int32
	text  string
	index int // of the output series, -1 if not in the schema
	open  bool

	steps  []int32
	counts []uint32
}

// NewCountValues counts the values of in by the sorted labels grouping (or by all but these). label
// gets the value.
func NewCountValues(q *operators.Query, in *operators.Schema, label string, grouping []string, without bool, grid operators.Grid) *CountValues {
	names := slices.Clone(grouping)
	keep := true
	if without {
		keep = !slices.Contains(grouping, label) && label != model.MetricNameLabel && label != model.MetricTypeLabel && label != model.MetricUnitLabel
		names = append(names, label)
	} else {
		names = slices.DeleteFunc(names, func(n string) bool { return n == label })
	}
	return &CountValues{
		grouping: newGrouping(in, names, without),
		q:        q, label: label, keep: keep, grid: grid,
		title:  "count_values(" + strconv.Quote(label) + ")" + describe(grouping, without),
		out:    operators.NewSchema(),
		floats: map[floatValue]*valueCount{},
		others: map[textValue]*valueCount{},
	}
}

// Describe is the aggregation, its label and the grouping.
func (o *CountValues) Describe() string { return o.title }

// Schema lists the groups' values.
func (o *CountValues) Schema() *operators.Schema { return o.out }

// Takes is FoldRows.
func (o *CountValues) Takes(int) operators.Edge { return operators.FoldRows }

// Bind fails if the label cannot be one.
func (o *CountValues) Bind(context.Context) error {
	if !model.UTF8Validation.IsValidLabelName(o.label) {
		return fmt.Errorf("invalid label name %s", strconv.Quote(o.label))
	}
	return nil
}

// Open starts a step range.
func (o *CountValues) Open(r operators.StepRange) error {
	o.Close()
	o.r, o.steps = r, r.Len()
	return nil
}

// Extend resolves the groups of new series.
func (o *CountValues) Extend() error {
	o.grouping.extend()
	return nil
}

// Close gives back all state.
func (o *CountValues) Close() {
	o.q.Free(o.held)
	_ = o.q.Grow(-o.bytes)
	o.held, o.bytes = 0, 0
	for _, c := range o.counts {
		c.open, c.steps, c.counts = false, nil, nil
	}
	o.counts = nil
}

// Fold counts the samples of a batch, series by series.
func (o *CountValues) Fold(_ *operators.Worker, _ int, b *operators.Batch, _ operators.StepRange) error {
	var held, most, bytes int64
	for row := range b.Rows {
		group := o.grouping.of[b.First+row]
		lo, hi := b.Pos(row, 0), b.Pos(row+1, 0)
		at := b.From - o.r.From - lo
		var last *valueCount
		var lastBits uint64
		for i := b.Valid.Next(lo, hi); i < hi; i = b.Valid.Next(i+1, hi) {
			// A series often keeps its value, which spares the look-up.
			bits := math.Float64bits(b.F[i])
			if last == nil || bits != lastBits {
				last, lastBits = o.float(group, b.F[i]), bits
			}
			n, size := last.add(at+i, o.steps)
			held, bytes = held+n, bytes+size
			most = max(most, held)
		}
		if b.H == nil {
			continue
		}
		for i := b.HValid.Next(lo, hi); i < hi; i = b.HValid.Next(i+1, hi) {
			n, size := o.text(group, b.H[i].String).add(at+i, o.steps)
			held, bytes = held+n, bytes+size
			most = max(most, held)
		}
	}
	o.held += held
	o.bytes += bytes
	// Both count even if one of them fails, as Close takes both back.
	memory := o.q.Grow(bytes)
	// A value that becomes a column frees samples. What was held before must not depend on where the
	// batch ends.
	err := o.q.Hold(most)
	o.q.Free(most - held)
	if err != nil {
		return err
	}
	return memory
}

// float is the count of a float of a group.
func (o *CountValues) float(group int32, v float64) *valueCount {
	key := floatValue{group: group, bits: math.Float64bits(v)}
	c := o.floats[key]
	if c == nil {
		// NaNs of different bits have one text.
		c = o.text(group, func() string { return strconv.FormatFloat(v, 'f', -1, 64) })
		o.floats[key] = c
	}
	return o.opened(c)
}

// text is the count of a value of a group; all are one where the output does not tell them apart.
func (o *CountValues) text(group int32, text func() string) *valueCount {
	key := textValue{group: group}
	if o.keep {
		key.text = text()
	}
	c := o.others[key]
	if c == nil {
		c = &valueCount{group: group, text: key.text, index: -1}
		o.others[key] = c
	}
	return o.opened(c)
}

func (o *CountValues) opened(c *valueCount) *valueCount {
	if !c.open {
		c.open = true
		o.counts = append(o.counts, c)
	}
	return c
}

// add counts a sample at a step of the range. It returns by how much that changes the samples held
// and the bytes taken.
func (c *valueCount) add(step, steps int) (held, bytes int64) {
	if c.counts != nil {
		c.counts[step]++
		if c.counts[step] == 1 {
			return 1, 0
		}
		return 0, 0
	}
	c.steps = append(c.steps, int32(step))
	if len(c.steps) < steps {
		return 1, 4
	}
	c.counts = make([]uint32, steps)
	held = 1 - int64(len(c.steps))
	for _, s := range c.steps {
		if c.counts[s] == 0 {
			held++
		}
		c.counts[s]++
	}
	c.steps = nil
	return held, 4
}

// Finish adds new values to the schema.
func (o *CountValues) Finish(context.Context, int) error {
	for _, c := range o.counts {
		if c.index < 0 {
			c.index = o.out.Append(o.labels(c), false)
			o.rows = append(o.rows, c)
		}
	}
	if o.r.To == o.grid.Steps {
		o.out.SetComplete()
	}
	return nil
}

func (o *CountValues) labels(c *valueCount) labels.Labels {
	l := o.grouping.labels(c.group)
	if !o.keep {
		return l
	}
	return labels.NewBuilder(l).Set(o.label, c.text).Labels()
}

// Morsels is the number of batches of values.
func (o *CountValues) Morsels() int { return morsels(len(o.rows), o.q.MorselSize(o.steps)) }

// Read makes a batch of values' counts.
func (o *CountValues) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	size := o.q.MorselSize(o.steps)
	first := m * size
	rows := o.rows[first:min(first+size, len(o.rows))]
	b := w.Batch(first, len(rows), o.r.From, o.steps)
	b.Morsel = m
	for row, c := range rows {
		lo := b.Pos(row, 0)
		for _, step := range c.steps {
			p := lo + int(step)
			if !b.Valid.Get(p) {
				b.SetFloat(p, 0)
			}
			b.F[p]++
		}
		for step, n := range c.counts {
			if n > 0 {
				b.SetFloat(lo+step, float64(n))
			}
		}
	}
	return b, nil
}
