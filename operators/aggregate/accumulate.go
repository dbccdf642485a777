package aggregate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// histogramRule is what an aggregation makes of histogram samples.
type histogramRule int

const (
	ignoreHistograms histogramRule = iota // and say so
	countHistograms                       // a sample like any other
	addHistograms
)

// Accumulate is sum, avg, count, min, max, group, stddev or stdvar: one output series a group,
// folded sample by sample in series order. Inputs: 0 the vector (Fold).
//
// Its schema holds the groups with a result, in the order of their first input series with a sample.
type Accumulate struct {
	groups *groups
	q      *operators.Query
	op     parser.ItemType
	title  string
	grid   operators.Grid
	pos    posrange.PositionRange

	rule       histogramRule
	acc        accumulator
	mu         sync.Mutex         // guards making rows of histograms
	histograms []*histogramColumn // group -> histograms, nil without any
	bytes      atomic.Int64       // of histograms
	ignored    atomic.Bool        // a histogram was
}

// NewAccumulate aggregates in by the sorted labels grouping (or by all but these). exprPos is the
// position of the aggregated expression.
func NewAccumulate(q *operators.Query, op parser.ItemType, in *operators.Schema, grouping []string, without bool, grid operators.Grid, exprPos posrange.PositionRange) *Accumulate {
	a := &Accumulate{
		groups: newGroups(q, in, grouping, without),
		q:      q, op: op, grid: grid, pos: exprPos,
		title: op.String() + describe(grouping, without),
		acc:   newAccumulator(op),
	}
	switch op {
	case parser.SUM, parser.AVG:
		a.rule = addHistograms
	case parser.COUNT, parser.GROUP:
		a.rule = countHistograms
	}
	return a
}

// Describe is the aggregation and its grouping in PromQL.
func (a *Accumulate) Describe() string { return a.title }

// Schema lists the groups that have results.
func (a *Accumulate) Schema() *operators.Schema { return a.groups.out }

// Takes is Fold: segments may be folded concurrently.
func (a *Accumulate) Takes(int) operators.Edge { return operators.Fold }

// Bind has nothing to resolve.
func (a *Accumulate) Bind(context.Context) error { return nil }

// Open starts a step range.
func (a *Accumulate) Open(r operators.StepRange) error {
	a.groups.open(r)
	a.release()
	a.ignored.Store(false)
	return nil
}

// Extend resolves the groups of new series and makes room for them.
func (a *Accumulate) Extend() error {
	g := a.groups
	had := len(g.seen)
	if err := g.extend(a.acc.width() * g.steps); err != nil {
		return err
	}
	a.acc.grow((len(g.seen) - had) * g.steps)
	if a.histograms != nil {
		a.histograms = grown(a.histograms, len(g.seen)-had, nil)
	}
	return nil
}

// StateBytes implements operators.Sized.
func (a *Accumulate) StateBytes(steps int) int64 {
	a.groups.grouping.extend()
	return int64(a.groups.grouping.len()) * groupBytes(a.acc.width()*steps, bitmap.Words(steps))
}

// OutputSeries implements operators.Sized.
func (a *Accumulate) OutputSeries() int {
	a.groups.grouping.extend()
	return a.groups.grouping.len()
}

// Close gives back all state.
func (a *Accumulate) Close() {
	a.groups.release()
	a.release()
}

// release gives back the state that is not the groups'.
func (a *Accumulate) release() {
	a.acc.reset()
	a.histograms = nil
	_ = a.q.Grow(-a.bytes.Swap(0))
}

// Fold takes in the rows of a batch one after the other.
func (a *Accumulate) Fold(_ *operators.Worker, _ int, b *operators.Batch, seg operators.StepRange) error {
	g := a.groups
	if b.H == nil && b.Steps == 1 && g.steps == 1 && g.mode != dropSome {
		return g.hold(a.foldInstant(b))
	}
	var held int64
	step := b.From + seg.From - g.r.From
	for row := range b.Rows {
		series := b.First + row
		lo, hi := b.Pos(row, seg.From), b.Pos(row, seg.To)
		floats := b.Valid.Any(lo, hi)
		if floats {
			held += a.foldFloats(series, step, b, lo, hi)
		}
		histograms := b.H != nil && b.HValid.Any(lo, hi)
		if histograms {
			n, err := a.foldHistograms(series, step, b, lo, hi)
			if err != nil {
				return err
			}
			held += n
		}
		if floats || histograms {
			g.see(g.of[series], int32(series))
		}
	}
	return g.hold(held)
}

// foldInstant takes in a column of floats of one step, at which positions are groups. It returns
// the number of groups that had no sample before.
func (a *Accumulate) foldInstant(b *operators.Batch) int64 {
	g := a.groups
	var held int64
	for lo, hi := nextRun(b.Valid, 0, b.Rows); lo < hi; lo, hi = nextRun(b.Valid, hi, b.Rows) {
		of := g.of[b.First+lo : b.First+hi]
		for i, group := range of {
			if g.present[group] == 0 {
				g.present[group] = 1
				g.see(group, int32(b.First+lo+i))
				held++
			}
		}
		a.acc.addRows(of, b.F[lo:hi])
	}
	return held
}

// foldFloats takes in the floats among the positions [lo, hi) of a series, the first being at step
// of the range. It returns the number of steps at which the group had no sample before.
func (a *Accumulate) foldFloats(series, step int, b *operators.Batch, lo, hi int) int64 {
	g := a.groups
	group := g.of[series]
	held := a.mark(series, step, b.Valid, lo, hi)
	at := int(group)*g.steps + step - lo
	for i, j := nextRun(b.Valid, lo, hi); i < j; i, j = nextRun(b.Valid, j, hi) {
		a.acc.add(at+i, b.F[i:j])
	}
	return held
}

// mark notes the samples of a series.
func (a *Accumulate) mark(series, step int, valid bitmap.Bitmap, lo, hi int) int64 {
	g := a.groups
	group := g.of[series]
	drop := g.mode == dropSome && g.in.DropName(series)
	var held int64
	for i := lo; i < hi; i += 64 {
		word := valid.Load(i, min(64, hi-i))
		if word == 0 {
			continue
		}
		held += g.mark(group, step+i-lo, word)
		if drop {
			g.markDrop(group, step+i-lo, word)
		}
	}
	return held
}

// foldHistograms takes in the histograms among the positions [lo, hi) of a series, and returns what
// foldFloats does.
func (a *Accumulate) foldHistograms(series, step int, b *operators.Batch, lo, hi int) (int64, error) {
	g := a.groups
	group := g.of[series]
	switch a.rule {
	case countHistograms:
		held := a.mark(series, step, b.HValid, lo, hi)
		at := int(group)*g.steps + step - lo
		for i, j := nextRun(b.HValid, lo, hi); i < j; i, j = nextRun(b.HValid, j, hi) {
			a.acc.add(at+i, b.F[i:j])
		}
		return held, nil
	case addHistograms:
		return a.addHistograms(series, step, b, lo, hi)
	}
	a.ignored.Store(true)
	if g.mode == dropSome && g.in.DropName(series) {
		// An ignored histogram counts for DropName if a float came before it.
		for i := lo; i < hi; i += 64 {
			n := min(64, hi-i)
			at := step + i - lo
			g.markDrop(group, at, b.HValid.Load(i, n)&g.has(group, at, n))
		}
	}
	return 0, nil
}

// addHistograms adds histograms to the group's. A group's presence stands for floats here until
// Finish joins the two.
func (a *Accumulate) addHistograms(series, step int, b *operators.Batch, lo, hi int) (int64, error) {
	g := a.groups
	group := g.of[series]
	column := a.histogramColumn(group)
	drop := g.mode == dropSome && g.in.DropName(series)
	var held int64
	for i := b.HValid.Next(lo, hi); i < hi; i = b.HValid.Next(i+1, hi) {
		at := step + i - lo
		if drop {
			g.markDrop(group, at, 1)
		}
		n, err := a.addHistogram(column, series, at, b.H[i], g.has(group, at, 1) != 0)
		if err != nil {
			return held, err
		}
		held += n
	}
	return held, nil
}

// addHistogram adds one histogram to a column and says what annotations that makes.
func (a *Accumulate) addHistogram(column *histogramColumn, series, at int, h *histogram.FloatHistogram, floats bool) (int64, error) {
	s := column.at[at]
	if s == nil {
		s = &histogramSum{}
		column.at[at] = s
		s.start(h, floats)
		if s.value == nil {
			return 0, nil
		}
		n := operators.HistogramSamples(s.value)
		bytes := 2 * 16 * n // with the compensation
		a.bytes.Add(bytes)
		return n, a.q.Grow(bytes)
	}
	reconciled, err := s.add(h, floats, a.op == parser.AVG)
	if err != nil {
		if !errors.Is(err, histogram.ErrHistogramsIncompatibleSchema) {
			return 0, err
		}
		name := a.groups.in.Labels(series).Get(model.MetricNameLabel)
		a.q.Annotate(annotations.NewMixedExponentialCustomHistogramsWarning(name, a.pos))
	}
	if reconciled {
		a.q.Annotate(annotations.NewMismatchedCustomBucketsHistogramsInfo(a.pos, annotations.HistogramAgg))
	}
	return 0, nil
}

// histogramColumn is the group's histograms, made at the first of them.
func (a *Accumulate) histogramColumn(group int32) *histogramColumn {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.histograms == nil {
		a.histograms = make([]*histogramColumn, a.groups.len())
	}
	if a.histograms[group] == nil {
		a.histograms[group] = &histogramColumn{at: make([]*histogramSum, a.groups.steps)}
	}
	return a.histograms[group]
}

// Finish settles which groups have results at which steps.
func (a *Accumulate) Finish(ctx context.Context, _ int) error {
	if a.ignored.Load() {
		a.q.Annotate(annotations.NewHistogramIgnoredInAggregationInfo(a.op.String(), a.pos))
	}
	g := a.groups
	for group, column := range a.histograms {
		if column == nil {
			continue
		}
		if err := operators.ContextError(ctx, operators.EnvEvaluation); err != nil {
			return err
		}
		a.finishHistograms(int32(group), column)
	}
	g.finish(g.r.To == a.grid.Steps)
	return nil
}

// finishHistograms makes the results of a group's histograms. A step with floats as well has no result.
func (a *Accumulate) finishHistograms(group int32, column *histogramColumn) {
	g := a.groups
	present := g.row(group)
	column.result = make([]*histogram.FloatHistogram, g.steps)
	for step, s := range column.at {
		if s == nil {
			continue
		}
		floats := present.Get(step)
		if s.incompatible {
			floats = s.floats
		}
		present.Clear(step)
		switch {
		case floats:
			a.q.Annotate(annotations.NewMixedFloatsHistogramsAggWarning(a.pos))
		case s.incompatible:
		default:
			present.Set(step)
			column.result[step] = s.result(a.op == parser.AVG)
			if s.reset && s.noReset {
				a.q.Annotate(annotations.NewHistogramCounterResetCollisionWarning(a.pos, annotations.HistogramAgg))
			}
		}
	}
	column.at = nil
}

// Morsels is the number of batches of groups.
func (a *Accumulate) Morsels() int {
	return morsels(len(a.groups.members), a.q.MorselSize(a.groups.steps))
}

// Read makes a batch of groups' results.
func (a *Accumulate) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	g := a.groups
	size := a.q.MorselSize(g.steps)
	first := m * size
	members := g.members[first:min(first+size, len(g.members))]
	b := w.Batch(first, len(members), g.r.From, g.steps)
	b.Morsel = m
	for row, group := range members {
		p := b.Pos(row, 0)
		a.acc.results(int(group)*g.steps, b.F[p:p+g.steps])
		b.Valid.Copy(p, g.row(group), 0, g.steps)
		if a.histograms != nil && a.histograms[group] != nil {
			for step, h := range a.histograms[group].result {
				if h != nil {
					b.Valid.Clear(p + step)
					b.SetHistogram(p+step, h)
				}
			}
		}
	}
	return b, nil
}
