package binary

import (
	"context"
	"math/bits"
	"sync"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stride-promql/stride/operators"
)

// VectorVector is an elementwise operation between two instant vectors. Samples are matched by
// match group; one side, the "one" side, has at most one sample of a group at a step, the other, the "many"
// side, may have several with group_left and group_right.
//
// The operator keeps both sides, but for series that cannot match (partners.go). When it has them, it finds out which pairs of series meet at any
// step (join.go) and at which steps the matching might be ambiguous; such steps are replayed as
// Prometheus would evaluate them (replay.go), which gives its error if there is one. Otherwise no pair
// stands in the way of another, and the samples are computed pair by pair, a column at a time, as
// the rows of the result are read.
//
// Inputs: 0 the left side, 1 the right side (both FoldRows).
type VectorVector struct {
	elem     elementwise
	q        *operators.Query
	matching *parser.VectorMatching
	grid     operators.Grid
	// unmerged: results with equal labels stand side by side. Prometheus looks for them at the end
	// of the query only.
	unmerged bool
	pos      posrange.PositionRange
	swapped  bool // the right side is the "many" side
	many     side
	one      side
	sigs     *signatures
	partners partners
	labels   resultLabels
	schema   *operators.Schema
	rows     *rowIndex
	known    map[pair]int32 // rows of pairs of former ranges; nil while there is only one range
	r        operators.StepRange
	join     join
	bytes    int64
	workers  []vectorVectorScratch
	log      troubleLog

	replayed  sync.Once
	replayErr error
}

// side is one input.
type side struct {
	schema   *operators.Schema
	groups   []int32  // match group of a series
	fill     *float64 // value for a sample that is missing on this side
	constant [block]float64
	table    *operators.Table
	finished bool

	// The series that have a sample in the open range, in order. The rest of the join numbers
	// series by their place here.
	series  []int32
	columns []operators.Column
}

// vectorVectorScratch belongs to one worker.
type vectorVectorScratch struct {
	values [block]float64
	last   lastTrouble
}

// NewVectorVector is lhs op rhs for arithmetic, comparison and trim operators. ranged tells a
// range evaluation, whose grid may have one step all the same, from one at a single time. pos is
// the position of the operation in the query.
func NewVectorVector(q *operators.Query, op parser.ItemType, lhs, rhs *operators.Schema, matching *parser.VectorMatching, returnBool bool, grid operators.Grid, ranged bool, pos posrange.PositionRange) *VectorVector {
	v := &VectorVector{
		elem:     newElementwise(op, returnBool),
		q:        q,
		matching: matching,
		grid:     grid,
		unmerged: !ranged && q.DelayedNameRemoval,
		pos:      pos,
		swapped:  matching.Card == parser.CardOneToMany,
		many:     side{schema: lhs, fill: matching.FillValues.LHS},
		one:      side{schema: rhs, fill: matching.FillValues.RHS},
		sigs:     newSignatures(matching),
		schema:   operators.NewSchema(),
		workers:  make([]vectorVectorScratch, max(1, q.Workers)),
	}
	if v.swapped {
		v.many, v.one = v.one, v.many
	}
	for _, s := range []*side{&v.many, &v.one} {
		s.table = operators.NewTable(q)
		if s.fill != nil {
			for i := range s.constant {
				s.constant[i] = *s.fill
			}
		}
	}
	v.labels = resultLabels{
		matching:     matching,
		dropMetadata: v.elem.changesSchema() || returnBool && !q.DelayedNameRemoval,
	}
	return v
}

// Describe implements operators.Operator.
func (v *VectorVector) Describe() string {
	return describe(v.elem.op, v.elem.returnBool, v.matching)
}

// Schema implements operators.Operator.
func (v *VectorVector) Schema() *operators.Schema { return v.schema }

// Takes implements operators.Operator.
func (*VectorVector) Takes(int) operators.Edge { return operators.FoldRows }

// Bind implements operators.Operator.
func (*VectorVector) Bind(context.Context) error { return nil }

// Extend implements operators.Operator.
func (v *VectorVector) Extend() error {
	v.many.groups = v.sigs.extend(v.many.groups, v.many.schema)
	v.one.groups = v.sigs.extend(v.one.groups, v.one.schema)
	return nil
}

// Open implements operators.Operator.
func (v *VectorVector) Open(r operators.StepRange) error {
	v.Close()
	v.r = r
	if r != v.grid.All() && v.known == nil {
		v.known = map[pair]int32{}
	}
	return nil
}

// Close implements operators.Operator.
func (v *VectorVector) Close() {
	for _, s := range []*side{&v.many, &v.one} {
		s.table.Reset()
		s.finished, s.series, s.columns = false, nil, nil
	}
	v.join = join{}
	_ = v.q.Grow(-v.bytes)
	v.bytes = 0
	clear(v.workers)
	v.log.reset()
	v.replayed, v.replayErr = sync.Once{}, nil
}

// input is the side of an input.
func (v *VectorVector) input(i int) *side {
	if (i == 1) == v.swapped {
		return &v.many
	}
	return &v.one
}

// Fold implements operators.Sink.
func (v *VectorVector) Fold(_ *operators.Worker, input int, b *operators.Batch, _ operators.StepRange) error {
	return v.keep(input, b)
}

// Finish implements operators.Sink.
func (v *VectorVector) Finish(ctx context.Context, input int) error {
	v.input(input).finished = true
	if !v.many.finished || !v.one.finished {
		return nil
	}
	v.many.collect()
	v.one.collect()
	if err := v.build(ctx); err != nil {
		return err
	}
	if v.r.To == v.grid.Steps {
		v.schema.SetComplete()
	}
	v.bytes = v.join.bytes()
	return v.q.Grow(v.bytes)
}

// collect finds the series that have samples.
func (s *side) collect() {
	s.series = make([]int32, 0, s.table.Len())
	s.columns = make([]operators.Column, 0, s.table.Len())
	for _, b := range s.table.Batches() {
		for row := range b.Rows {
			if c := b.Column(row); !c.Empty() {
				s.series = append(s.series, int32(b.First+row))
				s.columns = append(s.columns, c)
			}
		}
	}
}

// group is the match group of a series with samples.
func (s *side) group(i int32) int32 { return s.groups[s.series[i]] }

// Annotate implements operators.Annotator.
func (v *VectorVector) Annotate() { v.log.annotate(v.q, &v.elem, v.pos) }

// Morsels implements operators.Source.
func (v *VectorVector) Morsels() int {
	return morsels(v.schema.Len(), v.q.MorselSize(v.r.Len()))
}

// Read implements operators.Source.
func (v *VectorVector) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	size := v.q.MorselSize(v.r.Len())
	first := m * size
	b := w.Batch(first, min(size, v.schema.Len()-first), v.r.From, v.r.Len())
	b.Morsel = m
	s := &v.workers[w.ID]
	failed := false
	for row := range b.Rows {
		out := b.Column(row)
		for k, i := range v.join.rowPairs(first + row) {
			p := v.join.pairs[i]
			if !v.compute(s, p, out, k == 0) {
				failed = true
			}
		}
	}
	v.log.add(&s.last)
	if failed {
		// A later sample of the step may hide the failure, and the first step that fails counts.
		v.replayed.Do(func() { v.replayErr = v.replayAll() })
		if v.replayErr != nil {
			w.Release(b)
			return nil, v.replayErr
		}
	}
	return b, nil
}

// compute puts the samples of a pair into a row of the result. fresh says that the row is empty.
// It returns false when a histogram had an invalid layout.
func (v *VectorVector) compute(s *vectorVectorScratch, p pair, out operators.Column, fresh bool) bool {
	ok := true
	steps := v.r.Len()
	for i := 0; i < steps; i += block {
		n := min(block, steps-i)
		mask := v.mask(p, i, n)
		if mask == 0 {
			continue
		}
		many, manyBits := v.many.floats(p.many, i, n)
		one, oneBits := v.one.floats(p.one, i, n)
		floats := mask & manyBits & oneBits
		if v.elem.trim {
			floats = 0
		}
		if floats != 0 {
			left, right := many, one
			if v.swapped {
				left, right = one, many
			}
			if fresh {
				out.SetFloats(i, n, v.elem.floats(out.F[i:i+n], left, right, floats))
			} else {
				v.mergeFloats(s, out, i, left, right, floats)
			}
		}
		for w := mask &^ floats; w != 0; w &= w - 1 {
			if !v.single(s, p, out, i+bits.TrailingZeros64(w)) {
				ok = false
			}
		}
	}
	return ok
}

// mergeFloats computes a block of floats into a row that has samples of other pairs.
func (v *VectorVector) mergeFloats(s *vectorVectorScratch, out operators.Column, i int, left, right []float64, mask uint64) {
	n := len(left)
	values := s.values[:n]
	valid := v.elem.floats(values, left, right, mask)
	out.SetFloats(i, n, out.Floats(i, n)|valid)
	for k, f := range values {
		if valid>>uint(k)&1 != 0 {
			out.F[i+k] = f
		}
	}
}

// single computes one sample of a pair that the kernels cannot: one with a histogram, or of a trim operator.
func (v *VectorVector) single(s *vectorVectorScratch, p pair, out operators.Column, step int) bool {
	h, keep, t, _ := v.pairHistograms(out.Arena(), p, step)
	if t != noTrouble {
		s.last.record(v.r.Len(), step, v.order(p), t)
	}
	switch {
	case t.drops():
	case v.elem.returnBool:
		out.SetFloat(step, boolToFloat(keep))
	case keep:
		out.SetHistogram(step, h)
	}
	return t != invalidLayout
}

// order is the place of a pair's sample among all results of a step: those of the "many" side in
// its order, then what is filled in for it.
func (v *VectorVector) order(p pair) int {
	if p.many >= 0 {
		return int(p.many)
	}
	return len(v.many.series) + int(p.one)
}
