package aggregate

import (
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/internal/quantile"
	"github.com/stride-promql/stride/operators"
)

// Inputs of the operators that have a parameter.
const (
	inputVector = iota
	inputParam
)

// Quantile is quantile(q, vector): it keeps its input whole and selects from the values of each group and
// step. Inputs: 0 the vector (FoldRows), 1 the folded q, unless it is constant, in any order.
//
// Its schema holds the groups with a float, in the order of their first input series with a sample.
// Warnings of a q out of range name the extreme values of the step range, not of the query.
type Quantile struct {
	groups   *groups
	q        *operators.Query
	param    *operators.Scalar
	grid     operators.Grid
	title    string
	exprPos  posrange.PositionRange
	paramPos posrange.PositionRange

	table   *operators.Table
	ignored bool // a histogram was

	rows  []int32 // series with floats, group by group
	start []int32 // group -> its first in rows; one more at the end

	scratch []quantileScratch // by worker
	bounds  paramBounds       // of the parameter over the ranges so far
}

// quantileScratch holds the values of one group at some steps: n[i] values from values[i*series] on.
type quantileScratch struct {
	values []float64
	n      [quantileTile]int
}

// quantileTile is the most steps whose values are gathered at once: each row is read a cache line
// or more at a time.
const quantileTile = 64

// NewQuantile aggregates in by the sorted labels grouping (or by all but these). The positions are
// those of the aggregated expression and of the parameter.
func NewQuantile(q *operators.Query, in *operators.Schema, param *operators.Scalar, grouping []string, without bool, grid operators.Grid, exprPos, paramPos posrange.PositionRange) *Quantile {
	return &Quantile{
		groups: newGroups(q, in, grouping, without),
		q:      q, param: param, grid: grid, exprPos: exprPos, paramPos: paramPos,
		title:   "quantile" + describeParam(param) + describe(grouping, without),
		table:   operators.NewTable(q),
		scratch: make([]quantileScratch, max(1, q.Workers)),
	}
}

// describeParam is a constant parameter in brackets.
func describeParam(param *operators.Scalar) string {
	if v, ok := param.Constant(); ok {
		return "(" + strconv.FormatFloat(v, 'g', -1, 64) + ")"
	}
	return ""
}

// Describe is the aggregation, a constant parameter and the grouping.
func (o *Quantile) Describe() string { return o.title }

// Schema lists the groups that have results.
func (o *Quantile) Schema() *operators.Schema { return o.groups.out }

// Takes is FoldRows for the vector, Fold for the parameter.
func (o *Quantile) Takes(input int) operators.Edge {
	if input == inputParam {
		return operators.Fold
	}
	return operators.FoldRows
}

// Bind has nothing to resolve.
func (o *Quantile) Bind(context.Context) error { return nil }

// Open starts a step range.
func (o *Quantile) Open(r operators.StepRange) error {
	o.Close()
	o.groups.open(r)
	o.param.Open(r)
	o.ignored = false
	return nil
}

// Extend resolves the groups of new series.
func (o *Quantile) Extend() error { return o.groups.extend(0) }

// StateBytes implements operators.Sized: a column for each input series.
func (o *Quantile) StateBytes(steps int) int64 {
	return int64(o.groups.in.Len())*int64(8*steps+8*bitmap.Words(steps)) + int64(o.OutputSeries())*groupBytes(0, bitmap.Words(steps))
}

// OutputSeries implements operators.Sized.
func (o *Quantile) OutputSeries() int {
	o.groups.grouping.extend()
	return o.groups.grouping.len()
}

// Close gives back all state.
func (o *Quantile) Close() {
	o.groups.release()
	o.table.Reset()
	o.rows, o.start = nil, nil
	clear(o.scratch)
}

// Fold keeps a batch.
func (o *Quantile) Fold(_ *operators.Worker, input int, b *operators.Batch, seg operators.StepRange) error {
	if input == inputParam {
		o.param.Fold(b, seg)
		return nil
	}
	g := o.groups
	for row := range b.Rows {
		if b.Empty(row) {
			continue
		}
		series := b.First + row
		group := g.of[series]
		g.see(group, int32(series))
		drop := g.mode == dropSome && g.in.DropName(series)
		c := b.Column(row)
		for i := 0; i < b.Steps; i += 64 {
			n, step := min(64, b.Steps-i), b.From+i-g.r.From
			floats, histograms := c.Floats(i, n), c.Histograms(i, n)
			g.mark(group, step, floats)
			o.ignored = o.ignored || histograms != 0
			if drop {
				// An ignored histogram counts for DropName if a float came before it.
				g.markDrop(group, step, floats|histograms&g.has(group, step, n))
			}
		}
	}
	return o.table.Add(b)
}

// Finish settles the groups, and the warnings of the parameter.
func (o *Quantile) Finish(_ context.Context, input int) error {
	_, constant := o.param.Constant()
	if input == inputParam || constant {
		o.bounds = o.bounds.over(boundsOf(o.param, o.groups.r), o.groups.r)
		if r := o.groups.r; r.Len() > 0 && r.To == o.grid.Steps {
			o.warn(o.bounds)
		}
	}
	if input == inputParam {
		return nil
	}
	if o.ignored {
		o.q.Annotate(annotations.NewHistogramIgnoredInAggregationInfo("quantile", o.exprPos))
	}
	o.sortRows()
	o.groups.finish(o.groups.r.To == o.grid.Steps)
	return nil
}

func (o *Quantile) warn(b paramBounds) {
	if b.nan {
		o.q.Annotate(annotations.NewInvalidQuantileWarning(math.NaN(), o.paramPos))
	}
	if b.max > 1 {
		o.q.Annotate(annotations.NewInvalidQuantileWarning(b.max, o.paramPos))
	}
	if b.min < 0 {
		o.q.Annotate(annotations.NewInvalidQuantileWarning(b.min, o.paramPos))
	}
}

// sortRows lists the series with floats group by group.
func (o *Quantile) sortRows() {
	g := o.groups
	o.start = make([]int32, g.len()+1)
	each := func(f func(series int)) {
		for _, b := range o.table.Batches() {
			for row := range b.Rows {
				if b.Valid.Any(b.Pos(row, 0), b.Pos(row+1, 0)) {
					f(b.First + row)
				}
			}
		}
	}
	each(func(series int) { o.start[g.of[series]+1]++ })
	for i := range g.len() {
		o.start[i+1] += o.start[i]
	}
	o.rows = make([]int32, o.start[g.len()])
	next := slices.Clone(o.start)
	each(func(series int) {
		group := g.of[series]
		o.rows[next[group]] = int32(series)
		next[group]++
	})
}

// batchRows is the number of groups in a batch: a group costs as much as it has series.
func (o *Quantile) batchRows() int {
	perGroup := len(o.rows) / max(1, len(o.groups.members))
	return o.q.MorselSize(o.groups.steps * max(1, perGroup))
}

// Morsels is the number of batches of groups.
func (o *Quantile) Morsels() int { return morsels(len(o.groups.members), o.batchRows()) }

// Read makes a batch of groups' quantiles.
func (o *Quantile) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	g := o.groups
	size := o.batchRows()
	first := m * size
	members := g.members[first:min(first+size, len(g.members))]
	b := w.Batch(first, len(members), g.r.From, g.steps)
	b.Morsel = m
	for row, group := range members {
		p := b.Pos(row, 0)
		b.Valid.Copy(p, g.row(group), 0, g.steps)
		o.quantiles(&o.scratch[w.ID], group, b.F[p:p+g.steps])
	}
	return b, nil
}

// quantiles puts a group's quantile of each step into dst, some steps at a time.
func (o *Quantile) quantiles(s *quantileScratch, group int32, dst []float64) {
	rows := o.rows[o.start[group]:o.start[group+1]]
	tile := max(8, min(quantileTile, (32<<10)/max(1, len(rows))))
	if need := min(tile, len(dst)) * len(rows); cap(s.values) < need {
		s.values = make([]float64, need)
	}
	for from := 0; from < len(dst); from += tile {
		n := min(tile, len(dst)-from)
		clear(s.n[:n])
		for _, series := range rows {
			c := o.table.Column(int(series))
			for word := c.Floats(from, n); word != 0; word &= word - 1 {
				i := trailingZeros(word)
				s.values[:cap(s.values)][i*len(rows)+s.n[i]] = c.F[from+i]
				s.n[i]++
			}
		}
		for i := range n {
			lo := i * len(rows)
			dst[from+i] = quantile.Of(o.param.At(o.groups.r.From+from+i), s.values[:cap(s.values)][lo:lo+s.n[i]])
		}
	}
}
