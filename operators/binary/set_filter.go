package binary

import (
	"context"
	"sync/atomic"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// SetFilter is `and` and `unless`: the samples of the left side whose match group has a sample, or
// none, on the right side at the same step. Series keep their labels.
//
// Inputs: 0 the left side (Stream), 1 the right side (Fold).
type SetFilter struct {
	q        *operators.Query
	op       parser.ItemType
	matching *parser.VectorMatching
	lhs, rhs *operators.Schema
	sigs     *signatures
	left     []int32 // match group of a series
	right    []int32
	r        operators.StepRange
	open     bool
	present  presence // of the right side
	held     atomic.Int64
	bytes    int64
}

// NewSetFilter is lhs op rhs for the operators LAND and LUNLESS.
func NewSetFilter(q *operators.Query, op parser.ItemType, lhs, rhs *operators.Schema, matching *parser.VectorMatching) *SetFilter {
	return &SetFilter{q: q, op: op, matching: matching, lhs: lhs, rhs: rhs, sigs: newSignatures(matching)}
}

// Describe implements operators.Operator.
func (s *SetFilter) Describe() string { return describe(s.op, false, s.matching) }

// Schema implements operators.Operator.
func (s *SetFilter) Schema() *operators.Schema { return s.lhs }

// Takes implements operators.Operator.
func (*SetFilter) Takes(input int) operators.Edge {
	if input == 0 {
		return operators.Stream
	}
	return operators.Fold
}

// Bind implements operators.Operator.
func (*SetFilter) Bind(context.Context) error { return nil }

// Extend implements operators.Operator.
func (s *SetFilter) Extend() error {
	s.left = s.sigs.extend(s.left, s.lhs)
	s.right = s.sigs.extend(s.right, s.rhs)
	if !s.open {
		return nil
	}
	return s.resize()
}

// Open implements operators.Operator.
func (s *SetFilter) Open(r operators.StepRange) error {
	s.Close()
	s.r, s.open = r, true
	return s.resize()
}

func (s *SetFilter) resize() error {
	s.present.resize(s.sigs.len(), s.r.Len())
	grown := s.present.bytes() - s.bytes
	s.bytes += grown
	return s.q.Grow(grown)
}

// Close implements operators.Operator.
func (s *SetFilter) Close() {
	s.q.Free(s.held.Swap(0))
	_ = s.q.Grow(-s.bytes)
	s.bytes, s.open = 0, false
	s.present.reset()
}

// Fold implements operators.Sink.
func (s *SetFilter) Fold(_ *operators.Worker, _ int, b *operators.Batch, seg operators.StepRange) error {
	var added int64
	for row := range b.Rows {
		added += s.present.add(s.right[b.First+row], b, row, seg)
	}
	if added == 0 {
		return nil
	}
	s.held.Add(added)
	return s.q.Hold(added)
}

// Finish implements operators.Sink.
func (*SetFilter) Finish(context.Context, int) error { return nil }

// Process implements operators.Stage.
func (s *SetFilter) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	b = w.Own(b)
	var flip uint64 // unless keeps where the right side has nothing
	if s.op == parser.LUNLESS {
		flip = ^uint64(0)
	}
	for row := range b.Rows {
		group, lo := s.left[b.First+row], row*b.Steps
		for i := 0; i < b.Steps; i += block {
			n := min(block, b.Steps-i)
			keep := s.present.load(group, i, n) ^ flip
			if keep&bitmap.Mask(n) == bitmap.Mask(n) {
				continue
			}
			b.Valid.Store(lo+i, n, b.Valid.Load(lo+i, n)&keep)
			if b.H != nil {
				b.HValid.Store(lo+i, n, b.HValid.Load(lo+i, n)&keep)
			}
		}
	}
	return b, nil
}
