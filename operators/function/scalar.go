package function

import (
	"context"
	"math"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
)

// Scalar is scalar(v): at each step the value of the only float sample, NaN if there is none or more than
// one. Histogram samples do not count. The result is one row without labels.
//
// Inputs: 0 the vector (Fold).
type Scalar struct {
	node
	q      *operators.Query
	r      operators.StepRange
	values []float64
	// found counts the float samples of a step, up to two. Segments of steps are folded
	// concurrently, so that no two steps may share a word of memory.
	found []uint8
}

// NewScalar is scalar() of a vector.
func NewScalar(q *operators.Query) *Scalar {
	return &Scalar{node: node{operators.ConstantSchema(labels.EmptyLabels())}, q: q}
}

// Describe names the function.
func (*Scalar) Describe() string { return "scalar" }

// Takes folds the vector.
func (*Scalar) Takes(int) operators.Edge { return operators.Fold }

// Open makes room for a value at each step.
func (s *Scalar) Open(r operators.StepRange) error {
	s.Close()
	s.r = r
	s.values = make([]float64, r.Len())
	s.found = make([]uint8, r.Len())
	return s.q.Hold(int64(r.Len()))
}

// Close gives the values back.
func (s *Scalar) Close() {
	s.q.Free(int64(len(s.values)))
	s.values, s.found = nil, nil
}

// Fold looks for float samples.
func (s *Scalar) Fold(_ *operators.Worker, _ int, b *operators.Batch, seg operators.StepRange) error {
	for row := range b.Rows {
		lo := b.Pos(row, 0)
		for p := b.Valid.Next(lo+seg.From, lo+seg.To); p < lo+seg.To; p = b.Valid.Next(p+1, lo+seg.To) {
			s.values[p-lo] = b.F[p]
			s.found[p-lo] = min(2, s.found[p-lo]+1)
		}
	}
	return nil
}

// Finish has nothing to do.
func (*Scalar) Finish(context.Context, int) error { return nil }

// Morsels is one.
func (*Scalar) Morsels() int { return 1 }

// Read is the row.
func (s *Scalar) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	return oneRow(w, m, s.r, func(step int) (float64, bool) {
		if i := step - s.r.From; s.found[i] == 1 {
			return s.values[i], true
		}
		return math.NaN(), true
	}), nil
}
