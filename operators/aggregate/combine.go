package aggregate

import (
	"context"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/kahansum"

	"github.com/stride-promql/stride/operators"
)

// Combine is avg, stddev or stdvar of all samples, made of averages, numbers of samples and variances of parts of them, which are
// series that a label tells apart. Means are put together by weight, variances by the formula of Chan, Golub and LeVeque ("Updating
// formulae and a pairwise algorithm for computing sample variances", 1979), so that results differ from those of all samples at
// once in the last digits. A part with a number of samples and no average counts for nothing.
//
// Inputs: 0 the parts (FoldRows). Its schema holds the groups in the order of their first part with a sample.
type Combine struct {
	q        *operators.Query
	op       parser.ItemType
	title    string
	label    string
	in       *operators.Schema
	grouping *grouping // of the result
	parts    *grouping // of what belongs together
	grid     operators.Grid
	pos      posrange.PositionRange
	out      *operators.Schema
	index    map[int32]int // group -> series of out
	table    *operators.Table
	r        operators.StepRange
	members  [][]part // by series of out
}

// part is one part of a group: its columns, of which only avg and count are there for avg.
type part struct{ avg, count, stdvar *operators.Column }

// NewCombine combines parts of in, which label tells apart: its values are the names of the aggregations. The result is grouped
// by the sorted labels grouping (or by all but these and label). exprPos is the position of the aggregated expression.
func NewCombine(q *operators.Query, op parser.ItemType, in *operators.Schema, label string, names []string, without bool, grid operators.Grid, exprPos posrange.PositionRange) *Combine {
	of := names
	if without {
		of = append(slices.Clone(names), label)
		slices.Sort(of)
	}
	return &Combine{
		q: q, op: op, label: label, in: in, grid: grid, pos: exprPos,
		title:    "combine " + op.String() + describe(names, without),
		grouping: newGrouping(in, of, without),
		parts:    &grouping{in: in, names: []string{label}, without: true, ids: map[string]int32{}},
		out:      operators.NewSchema(),
		index:    map[int32]int{},
		table:    operators.NewTable(q),
	}
}

// Describe is the aggregation and its grouping in PromQL.
func (c *Combine) Describe() string { return c.title }

// Schema lists the groups that have parts with samples.
func (c *Combine) Schema() *operators.Schema { return c.out }

// Takes is FoldRows.
func (*Combine) Takes(int) operators.Edge { return operators.FoldRows }

// Bind has nothing to resolve.
func (*Combine) Bind(context.Context) error { return nil }

// Extend resolves the groups of new series.
func (c *Combine) Extend() error {
	c.grouping.extend()
	c.parts.extend()
	return nil
}

// Open starts a step range.
func (c *Combine) Open(r operators.StepRange) error {
	c.Close()
	c.r = r
	return nil
}

// Close gives back all state.
func (c *Combine) Close() {
	c.table.Reset()
	c.members = nil
}

// Fold keeps a batch.
func (c *Combine) Fold(_ *operators.Worker, _ int, b *operators.Batch, _ operators.StepRange) error {
	return c.table.Add(b)
}

// Finish finds what belongs together.
func (c *Combine) Finish(context.Context, int) error {
	c.members = make([][]part, c.out.Len())
	type place struct{ series, part int }
	at := map[int32]place{} // by part group
	for _, b := range c.table.Batches() {
		for row := range b.Rows {
			column := b.Column(row)
			if column.Empty() {
				continue
			}
			series := b.First + row
			group := c.grouping.of[series]
			p, ok := at[c.parts.of[series]]
			if !ok {
				i, known := c.index[group]
				if !known {
					i = c.out.Append(c.grouping.labels(group), c.in.DropName(series))
					c.index[group] = i
					c.members = append(c.members, nil)
				}
				p = place{i, len(c.members[i])}
				c.members[i] = append(c.members[i], part{})
				at[c.parts.of[series]] = p
			}
			m := &c.members[p.series][p.part]
			switch c.in.Labels(series).Get(c.label) {
			case parser.ItemTypeStr[parser.AVG]:
				m.avg = &column
			case parser.ItemTypeStr[parser.COUNT]:
				m.count = &column
			case parser.ItemTypeStr[parser.STDVAR]:
				m.stdvar = &column
			}
		}
	}
	if c.r.To == c.grid.Steps {
		c.out.SetComplete()
	}
	return nil
}

// Morsels is the number of batches of groups.
func (c *Combine) Morsels() int { return morsels(len(c.members), c.q.MorselSize(c.r.Len())) }

// Read makes a batch of groups' results.
func (c *Combine) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	size := c.q.MorselSize(c.r.Len())
	first := m * size
	members := c.members[first:min(first+size, len(c.members))]
	b := w.Batch(first, len(members), c.r.From, c.r.Len())
	b.Morsel = m
	for row, parts := range members {
		out := b.Column(row)
		for step := range c.r.Len() {
			if err := c.combine(out, parts, step); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// combine puts the sample of a step together.
func (c *Combine) combine(out operators.Column, parts []part, step int) error {
	floats, histograms := false, false
	for _, p := range parts {
		if p.avg == nil || p.count == nil || !p.count.Float(step) {
			continue
		}
		floats = floats || p.avg.Float(step)
		histograms = histograms || p.avg.Histogram(step)
	}
	switch {
	case floats && histograms:
		c.q.Annotate(annotations.NewMixedFloatsHistogramsAggWarning(c.pos))
	case histograms && c.op == parser.AVG:
		return c.averageHistogram(out, parts, step)
	case floats && c.op == parser.AVG:
		out.SetFloat(step, average(parts, step))
	case floats:
		v := variance(parts, step)
		if c.op == parser.STDDEV {
			v = math.Sqrt(v)
		}
		out.SetFloat(step, v)
	}
	return nil
}

// has tells whether the part has an average, of n samples, at a step.
func (p part) has(step int) (avg, n float64, ok bool) {
	if p.avg == nil || p.count == nil || !p.avg.Float(step) || !p.count.Float(step) {
		return 0, 0, false
	}
	return p.avg.F[step], p.count.F[step], true
}

// average is the mean of all samples. Where their sum would overflow, it is updated part by part, each mean with its share.
func average(parts []part, step int) float64 {
	var sum, comp, total, mean float64
	for _, p := range parts {
		avg, n, ok := p.has(step)
		if !ok {
			continue
		}
		sum, comp = kahansum.Inc(avg*n, sum, comp)
		before := total
		total += n
		mean = float64(mean*(before/total)) + float64(avg*(n/total))
	}
	if math.IsInf(sum, 0) || math.IsNaN(sum) {
		return mean
	}
	return sum/total + comp/total
}

// variance is the population variance of all samples.
func variance(parts []part, step int) float64 {
	var total, mean, m2 float64
	for _, p := range parts {
		avg, n, ok := p.has(step)
		if !ok || p.stdvar == nil || !p.stdvar.Float(step) {
			continue
		}
		delta := avg - mean
		before := total
		total += n
		mean += float64(delta * (n / total))
		m2 += float64(p.stdvar.F[step] * n)
		switch {
		case before == 0:
		case math.IsInf(delta, 0) && n > 1:
			m2 = math.NaN() // as sample by sample: the mean becomes infinite, and then none
		case math.IsInf(delta, 0):
			m2 += float64(delta * (avg - mean))
		default:
			m2 += float64(delta*delta) * (before / total) * n
		}
	}
	return m2 / total
}

// averageHistogram is the mean of all histograms.
func (c *Combine) averageHistogram(out operators.Column, parts []part, step int) error {
	total := 0.0
	for _, p := range parts {
		if _, n, ok := p.histogram(step); ok {
			total += n
		}
	}
	// The sum divided by the number of samples or, where that overflows, a sum of shares.
	sum, err := c.sumHistograms(parts, step, 1)
	switch {
	case err != nil:
		c.q.Annotate(annotations.NewMixedExponentialCustomHistogramsWarning("", c.pos))
		return nil
	case !sum.HasOverflow():
		sum.Div(total)
	default:
		if sum, err = c.sumHistograms(parts, step, total); err != nil {
			return err
		}
	}
	out.SetHistogram(step, sum.Compact(0))
	return nil
}

// histogram is the average of n histograms that the part has at a step.
func (p part) histogram(step int) (avg *histogram.FloatHistogram, n float64, ok bool) {
	if p.avg == nil || p.count == nil || !p.avg.Histogram(step) || !p.count.Float(step) {
		return nil, 0, false
	}
	return p.avg.H[step], p.count.F[step], true
}

// sumHistograms adds up the parts' averages times their numbers of samples, over total.
func (c *Combine) sumHistograms(parts []part, step int, total float64) (*histogram.FloatHistogram, error) {
	var sum, comp *histogram.FloatHistogram
	for _, p := range parts {
		avg, n, ok := p.histogram(step)
		if !ok {
			continue
		}
		h := avg.Copy().Mul(n / total)
		if sum == nil {
			sum = h
			continue
		}
		var (
			collision, reconciled bool
			err                   error
		)
		if comp, collision, reconciled, err = sum.KahanAdd(h, comp); err != nil {
			return nil, err
		}
		if collision {
			c.q.Annotate(annotations.NewHistogramCounterResetCollisionWarning(c.pos, annotations.HistogramAgg))
		}
		if reconciled {
			c.q.Annotate(annotations.NewMismatchedCustomBucketsHistogramsInfo(c.pos, annotations.HistogramAgg))
		}
	}
	if comp != nil {
		sum, _, _, _ = sum.Add(comp) // their buckets are the same
	}
	return sum, nil
}
