package aggregate

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// Bounds of k in Prometheus, the greatest float64 below 2^63 and the least int64.
const (
	maxK = 9223372036854774784
	minK = -9223372036854775808
)

// Pick is topk, bottomk, limitk or limit_ratio: some samples of each group and step, with the labels
// of their series. Inputs: 0 the vector (Fold), 1 the folded parameter, unless it is constant, which
// must have finished before the vector's first batch is folded. (Prometheus evaluates it first, too.)
//
// Which of equal samples are picked, and in which order they are printed, is what container/heap and
// sort.Sort make of the samples in series order. Pick keeps one such heap for each group and step
// and hands it the samples as they come, so it holds no more than it picks.
//
// With a grid of one step its schema has the series in the order in which Prometheus prints them,
// else in input order. Equal-labelled input series stay apart: where they may occur, Merge has to
// follow. Errors and warnings of the parameter, and the rule that nothing is picked (and NaN is no
// error) where k is nowhere 1 or more, go by the steps of the range, not of the query.
type Pick struct {
	grouping *grouping
	q        *operators.Query
	op       parser.ItemType
	param    *operators.Scalar
	grid     operators.Grid
	title    string
	pos      posrange.PositionRange
	paramPos posrange.PositionRange
	out      *operators.Schema

	r       operators.StepRange
	steps   int
	k       []int64   // by step; not for limit_ratio
	ratio   []float64 // by step, within [-1, 1]; limit_ratio only
	nothing bool      // nothing is picked
	err     error     // of the parameter

	heaps   [][]candidate // group x step
	bar     []float64     // group x step: the value to beat, NaN while there is none or everything has to be looked at
	seen    []int32       // group -> first series with a sample, a groups' field otherwise
	offsets []float64     // series -> sampling offset; limit_ratio only
	scratch []greatestFirst
	ignored atomic.Bool // a histogram was
	held    atomic.Int64
	bytes   atomic.Int64

	index  []int32 // series -> output series, -1 if not in the schema
	start  []int32 // output series -> its first in picked; one more at the end
	picked []pickedSample
	bounds paramBounds // of the parameter over the ranges so far
}

// pickedSample is a sample of an output series.
type pickedSample struct {
	candidate
	step int32
}

const (
	firstCandidates = 16 // room in a heap to begin with, if k is not less
	candidateBytes  = 24
	cellBytes       = 32 // of a group at a step, without the candidates
	pickedBytes     = 32
)

// NewPick picks from in by the sorted labels grouping (or by all but these). The positions are those
// of the whole aggregation and of its parameter.
func NewPick(q *operators.Query, op parser.ItemType, in *operators.Schema, param *operators.Scalar, grouping []string, without bool, grid operators.Grid, pos, paramPos posrange.PositionRange) *Pick {
	return &Pick{
		grouping: newGrouping(in, grouping, without),
		q:        q, op: op, param: param, grid: grid, pos: pos, paramPos: paramPos,
		title:   op.String() + describeParam(param) + describe(grouping, without),
		out:     operators.NewSchema(),
		scratch: make([]greatestFirst, max(1, q.Workers)),
	}
}

// Describe is the aggregation, a constant parameter and the grouping.
func (o *Pick) Describe() string { return o.title }

// Schema lists the series that were picked at some step.
func (o *Pick) Schema() *operators.Schema { return o.out }

// Takes is Fold: segments may be folded concurrently.
func (o *Pick) Takes(int) operators.Edge { return operators.Fold }

// Bind has nothing to resolve.
func (o *Pick) Bind(context.Context) error { return nil }

// Open starts a step range.
func (o *Pick) Open(r operators.StepRange) error {
	o.Close()
	o.r, o.steps = r, r.Len()
	o.param.Open(r)
	o.ignored.Store(false)
	if _, constant := o.param.Constant(); constant {
		o.settle()
	}
	return nil
}

// settle takes the parameter in.
func (o *Pick) settle() {
	b := boundsOf(o.param, o.r)
	o.bounds = o.bounds.over(b, o.r)
	o.nothing, o.err, o.k, o.ratio = false, nil, nil, nil
	if o.r.Len() == 0 {
		o.nothing = true // nothing is evaluated, so that nothing is wrong with the parameter either
		return
	}
	if o.op == parser.LIMIT_RATIO {
		o.settleRatio(b)
		return
	}
	switch {
	case b.max < 1:
		o.nothing = true
	case b.nan:
		o.err = errors.New("Parameter value is NaN")
	case b.min <= minK:
		o.err = fmt.Errorf("Scalar value %v underflows int64", b.min)
	case b.max >= maxK:
		o.err = fmt.Errorf("Scalar value %v overflows int64", b.max)
	}
	o.k = make([]int64, o.steps)
	for i := range o.k {
		o.k[i] = int64(o.param.At(o.r.From + i))
	}
}

func (o *Pick) settleRatio(b paramBounds) {
	switch {
	case b.max == 0 && b.min == 0:
		o.nothing = true
	case b.nan:
		o.err = errors.New("Ratio value is NaN")
	}
	o.ratio = make([]float64, o.steps)
	for i := range o.ratio {
		o.ratio[i] = min(1, max(-1, o.param.At(o.r.From+i)))
	}
}

// Extend resolves the groups of new series and makes room for them.
func (o *Pick) Extend() error {
	o.grouping.extend()
	for i := len(o.index); i < o.grouping.in.Len(); i++ {
		o.index = append(o.index, -1)
		if o.op == parser.LIMIT_RATIO {
			l := o.grouping.in.Labels(i)
			o.offsets = append(o.offsets, promql.NewHashRatioSampler().SampleOffset(&l))
		}
	}
	more := o.grouping.len() - len(o.seen)
	if more <= 0 {
		return nil
	}
	o.seen = grown(o.seen, more, math.MaxInt32)
	o.heaps = grown(o.heaps, more*o.steps, nil)
	o.bar = grown(o.bar, more*o.steps, math.NaN())
	return o.grow(int64(more) * int64(o.steps) * cellBytes)
}

// StateBytes implements operators.Sized. The heaps are not known yet: k may vary.
func (o *Pick) StateBytes(steps int) int64 {
	o.grouping.extend()
	return int64(o.grouping.len()) * int64(steps) * (cellBytes + candidateBytes)
}

// OutputSeries implements operators.Sized: often few series are picked at any step.
func (o *Pick) OutputSeries() int {
	o.grouping.extend()
	return o.grouping.len()
}

func (o *Pick) grow(bytes int64) error {
	o.bytes.Add(bytes)
	return o.q.Grow(bytes)
}

// Close gives back all state.
func (o *Pick) Close() {
	o.q.Free(o.held.Swap(0))
	_ = o.q.Grow(-o.bytes.Swap(0))
	o.heaps, o.picked, o.start = nil, nil, nil
	o.bar, o.seen = o.bar[:0], o.seen[:0]
	clear(o.scratch)
}

// Fold offers the samples of a batch, series by series.
func (o *Pick) Fold(w *operators.Worker, input int, b *operators.Batch, seg operators.StepRange) error {
	if input == inputParam {
		o.param.Fold(b, seg)
		return nil
	}
	if o.nothing || o.err != nil {
		return nil
	}
	f := pickFold{Pick: o, heap: &o.scratch[w.ID], from: seg.From + b.From - o.r.From}
	if b.H == nil && b.Steps == 1 && o.steps == 1 && o.ranks() {
		f.instant(b)
	} else {
		for row := range b.Rows {
			f.row(b, row, seg)
		}
	}
	o.held.Add(f.held)
	// Both count even if one of them fails, as Close takes both back.
	memory := o.grow(f.bytes)
	if err := o.q.Hold(f.held); err != nil {
		return err
	}
	return memory
}

// pickFold is the work of one call of Fold.
type pickFold struct {
	*Pick
	heap *greatestFirst
	from int // step of the range at which the segment begins

	held, bytes int64
}

// ranks tells whether samples are picked by value.
func (o *Pick) ranks() bool { return o.op == parser.TOPK || o.op == parser.BOTTOMK }

// instant takes a column of floats of one step, at which positions are groups.
func (o *pickFold) instant(b *operators.Batch) {
	for i, j := nextRun(b.Valid, 0, b.Rows); i < j; i, j = nextRun(b.Valid, j, b.Rows) {
		for k, v := range b.F[i:j] {
			series := int32(b.First + i + k)
			group := o.grouping.of[series]
			o.seen[group] = min(o.seen[group], series)
			if bar := o.bar[group]; o.op == parser.TOPK && v <= bar || o.op == parser.BOTTOMK && v >= bar {
				continue
			}
			o.offer(int(group), 0, candidate{f: v, series: series})
		}
	}
}

func (o *pickFold) row(b *operators.Batch, row int, seg operators.StepRange) {
	lo, hi := b.Pos(row, seg.From), b.Pos(row, seg.To)
	histograms := b.H != nil && b.HValid.Any(lo, hi)
	if !histograms && !b.Valid.Any(lo, hi) {
		return
	}
	series := int32(b.First + row)
	group := o.grouping.of[series]
	for p := &o.seen[group]; ; {
		old := atomic.LoadInt32(p)
		if old <= series || atomic.CompareAndSwapInt32(p, old, series) {
			break
		}
	}
	step := o.from - lo
	at := int(group)*o.steps + step
	for i, j := nextRun(b.Valid, lo, hi); i < j; i, j = nextRun(b.Valid, j, hi) {
		switch o.op {
		case parser.TOPK:
			bar := o.bar[at+i : at+j]
			for k, v := range b.F[i:j] {
				if !(v <= bar[k]) {
					o.offer(at+i+k, step+i+k, candidate{f: v, series: series})
				}
			}
		case parser.BOTTOMK:
			bar := o.bar[at+i : at+j]
			for k, v := range b.F[i:j] {
				if !(v >= bar[k]) {
					o.offer(at+i+k, step+i+k, candidate{f: v, series: series})
				}
			}
		default:
			for k, v := range b.F[i:j] {
				o.take(at+i+k, step+i+k, candidate{f: v, series: series})
			}
		}
	}
	if histograms {
		o.histograms(b, lo, hi, at, step, series)
	}
}

// histograms takes a series' histograms, which have no rank.
func (o *pickFold) histograms(b *operators.Batch, lo, hi, at, step int, series int32) {
	for i := b.HValid.Next(lo, hi); i < hi; i = b.HValid.Next(i+1, hi) {
		switch o.op {
		case parser.TOPK, parser.BOTTOMK:
			if o.k[step+i] >= 1 {
				o.ignored.Store(true)
			}
		default:
			o.take(at+i, step+i, candidate{h: b.H[i], series: series})
			b.KeepHistograms()
			o.bytes += 16 * operators.HistogramSamples(b.H[i]) // may be more than what is picked
		}
	}
}

// offer hands a sample to the heap of position p, which is at a step of the range, as topk or bottomk.
func (o *pickFold) offer(p, step int, c candidate) {
	k := o.k[step]
	if k < 1 {
		return
	}
	h := o.heaps[p]
	switch {
	case int64(len(h)) < k:
		h = o.push(p, step, c)
		o.heap.c = h
		if o.op == parser.TOPK {
			heap.Fix(&o.heap.leastFirst, len(h)-1)
		} else {
			heap.Fix(o.heap, len(h)-1)
		}
		if int64(len(h)) < k {
			return
		}
	case o.op == parser.TOPK && h[0].f < c.f, o.op == parser.BOTTOMK && h[0].f > c.f, math.IsNaN(h[0].f) && !math.IsNaN(c.f):
		h[0] = c
		if k > 1 {
			o.heap.c = h
			if o.op == parser.TOPK {
				heap.Fix(&o.heap.leastFirst, 0)
			} else {
				heap.Fix(o.heap, 0)
			}
		}
	default:
		return
	}
	o.bar[p] = h[0].f
}

// take picks a sample for position p, as limitk or limit_ratio: whatever comes, in a heap only
// because its order is that of the output.
func (o *pickFold) take(p, step int, c candidate) {
	if o.op == parser.LIMITK {
		if int64(len(o.heaps[p])) >= o.k[step] {
			return
		}
	} else {
		r := o.ratio[step]
		if r == 0 || !promql.NewHashRatioSampler().AddRatioSampleWithOffset(r, o.offsets[c.series]) {
			return
		}
	}
	h := o.push(p, step, c)
	if o.grid.Steps == 1 {
		o.heap.c = h
		heap.Fix(&o.heap.leastFirst, len(h)-1)
	}
}

// push puts a sample at the end of a heap.
func (o *pickFold) push(p, step int, c candidate) []candidate {
	h := o.heaps[p]
	had := cap(h)
	if had == 0 && o.ranks() {
		h = make([]candidate, 0, min(o.k[step], firstCandidates))
	}
	h = append(h, c)
	o.heaps[p] = h
	o.bytes += int64(cap(h)-had) * candidateBytes
	if c.h != nil {
		o.held += operators.HistogramSamples(c.h)
	} else {
		o.held++
	}
	return h
}

// Finish settles the parameter, or the series picked.
func (o *Pick) Finish(_ context.Context, input int) error {
	if input == inputParam {
		o.settle()
		return nil
	}
	if o.err != nil {
		return o.err
	}
	if o.ignored.Load() {
		o.q.Annotate(annotations.NewHistogramIgnoredInAggregationInfo(o.op.String(), o.pos))
	}
	if o.op == parser.LIMIT_RATIO && o.r.Len() > 0 && o.r.To == o.grid.Steps {
		b := o.bounds
		if b.max > 1 {
			o.q.Annotate(annotations.NewInvalidRatioWarning(b.max, 1, o.paramPos))
		}
		if b.min < -1 {
			o.q.Annotate(annotations.NewInvalidRatioWarning(b.min, -1, o.paramPos))
		}
	}
	if o.grid.Steps == 1 {
		o.addInPrintedOrder()
	} else {
		o.addInSeriesOrder()
	}
	if o.r.To == o.grid.Steps {
		o.out.SetComplete()
	}
	return o.transpose()
}

// addInPrintedOrder adds the series picked at the only step to the schema, best first for each group.
func (o *Pick) addInPrintedOrder() {
	order := make([]int, 0, len(o.heaps))
	for group, h := range o.heaps {
		if len(h) > 0 {
			order = append(order, group)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(o.seen[a], o.seen[b]) })
	for _, group := range order {
		h := &greatestFirst{leastFirst{o.heaps[group]}}
		switch o.op {
		case parser.TOPK:
			sort.Sort(sort.Reverse(&h.leastFirst))
		case parser.BOTTOMK:
			sort.Sort(sort.Reverse(h))
		}
		for _, c := range h.c {
			o.add(int(c.series))
		}
	}
}

// addInSeriesOrder adds the series picked at any step to the schema.
func (o *Pick) addInSeriesOrder() {
	n := o.grouping.in.Len()
	won := make(bitmap.Bitmap, bitmap.Words(n))
	for _, h := range o.heaps {
		for _, c := range h {
			won.Set(int(c.series))
		}
	}
	for i := won.Next(0, n); i < n; i = won.Next(i+1, n) {
		o.add(i)
	}
}

func (o *Pick) add(series int) {
	if o.index[series] < 0 {
		in := o.grouping.in
		o.index[series] = int32(o.out.Append(in.Labels(series), in.DropName(series)))
	}
}

// transpose lists the picked samples by output series and lets the heaps go.
func (o *Pick) transpose() error {
	o.start = make([]int32, o.out.Len()+1)
	for _, h := range o.heaps {
		for _, c := range h {
			o.start[o.index[c.series]+1]++
		}
	}
	for i := range o.out.Len() {
		o.start[i+1] += o.start[i]
	}
	o.picked = make([]pickedSample, o.start[o.out.Len()])
	next := slices.Clone(o.start)
	for p, h := range o.heaps {
		for _, c := range h {
			row := o.index[c.series]
			o.picked[next[row]] = pickedSample{candidate: c, step: int32(p % o.steps)}
			next[row]++
		}
	}
	o.heaps = nil
	_ = o.q.Grow(-o.bytes.Swap(0))
	return o.grow(int64(len(o.picked)) * pickedBytes)
}

// Morsels is the number of batches of picked series.
func (o *Pick) Morsels() int { return morsels(o.out.Len(), o.q.MorselSize(o.steps)) }

// Read makes a batch of picked series.
func (o *Pick) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	size := o.q.MorselSize(o.steps)
	first := m * size
	b := w.Batch(first, min(size, o.out.Len()-first), o.r.From, o.steps)
	b.Morsel = m
	for row := range b.Rows {
		for _, s := range o.picked[o.start[first+row]:o.start[first+row+1]] {
			p := b.Pos(row, int(s.step))
			if s.h != nil {
				b.SetHistogram(p, s.h)
			} else {
				b.SetFloat(p, s.f)
			}
		}
	}
	return b, nil
}

// After implements operators.Sequenced: how many to pick has to be known first.
func (p *Pick) After(input int) []int {
	if _, constant := p.param.Constant(); input == 0 && !constant {
		return []int{1}
	}
	return nil
}
