package binary

import (
	"context"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/schema"

	"github.com/stride-promql/stride/operators"
)

// VectorScalar is a binary operation between an instant vector and a scalar.
//
// Inputs: 0 the vector (Stream), on whichever side of the operator it stands; 1 the scalar (Fold),
// unless it is a constant.
type VectorScalar struct {
	elem         elementwise
	q            *operators.Query
	scalar       *operators.Scalar
	scalarOnLeft bool
	pos          posrange.PositionRange
	schema       *operators.Schema
	r            operators.StepRange
	workers      []vectorScalarScratch
	log          troubleLog
}

// vectorScalarScratch belongs to one worker.
type vectorScalarScratch struct {
	// tile is the scalar's values at the steps of a batch, repeated so that a block of positions
	// that starts at any step finds its operands in one piece.
	tile        []float64
	from, steps int
	last        lastTrouble
}

// NewVectorScalar is vector op scalar, or scalar op vector. pos is the position of the operation in
// the query.
func NewVectorScalar(q *operators.Query, op parser.ItemType, in *operators.Schema, scalar *operators.Scalar, scalarOnLeft, returnBool bool, pos posrange.PositionRange) *VectorScalar {
	v := &VectorScalar{
		elem:         newElementwise(op, returnBool),
		q:            q,
		scalar:       scalar,
		scalarOnLeft: scalarOnLeft,
		pos:          pos,
		schema:       in,
		workers:      make([]vectorScalarScratch, max(1, q.Workers)),
	}
	switch {
	case !v.elem.changesSchema() && !returnBool:
	case q.DelayedNameRemoval:
		v.schema = operators.DeriveSchema(in, nil, true)
	default:
		v.schema = operators.DeriveSchema(in, dropMetadata, false)
	}
	return v
}

func dropMetadata(l labels.Labels) labels.Labels { return l.DropReserved(schema.IsMetadataLabel) }

// Describe implements operators.Operator.
func (v *VectorScalar) Describe() string {
	if v.scalarOnLeft {
		return "scalar " + v.elem.String() + " vector"
	}
	return "vector " + v.elem.String() + " scalar"
}

// Schema implements operators.Operator.
func (v *VectorScalar) Schema() *operators.Schema { return v.schema }

// Takes implements operators.Operator.
func (*VectorScalar) Takes(input int) operators.Edge {
	if input == 0 {
		return operators.Stream
	}
	return operators.Fold
}

// Bind implements operators.Operator.
func (*VectorScalar) Bind(context.Context) error { return nil }

// Extend implements operators.Operator.
func (*VectorScalar) Extend() error { return nil }

// Open implements operators.Operator.
func (v *VectorScalar) Open(r operators.StepRange) error {
	v.r = r
	v.scalar.Open(r)
	clear(v.workers)
	v.log.reset()
	return nil
}

// Close implements operators.Operator.
func (v *VectorScalar) Close() { clear(v.workers) }

// Fold implements operators.Sink.
func (v *VectorScalar) Fold(_ *operators.Worker, _ int, b *operators.Batch, seg operators.StepRange) error {
	v.scalar.Fold(b, seg)
	return nil
}

// Finish implements operators.Sink.
func (*VectorScalar) Finish(context.Context, int) error { return nil }

// Process implements operators.Stage.
func (v *VectorScalar) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	if b.Rows == 0 || b.Steps == 0 {
		return b, nil
	}
	b = w.Own(b)
	s := &v.workers[w.ID]
	period := v.fillTile(s, b)
	if v.elem.trim {
		v.refuseFloats(s, b)
	} else {
		v.floats(s, b, period)
	}
	if b.H != nil {
		v.histograms(s, b)
	}
	v.log.add(&s.last)
	return b, nil
}

// fillTile brings the tile to the steps of b; positions p and p+period have the same operand.
func (v *VectorScalar) fillTile(s *vectorScalarScratch, b *operators.Batch) (period int) {
	c, constant := v.scalar.Constant()
	if constant {
		if s.tile == nil {
			s.tile = make([]float64, 1+block)
			for i := range s.tile {
				s.tile[i] = c
			}
		}
		return 1
	}
	if s.tile == nil || s.from != b.From || s.steps != b.Steps {
		s.from, s.steps = b.From, b.Steps
		s.tile = make([]float64, b.Steps+block)
		for i := range s.tile {
			s.tile[i] = v.scalar.At(b.From + i%b.Steps)
		}
	}
	return b.Steps
}

// floats passes over the batch as one flat array: rows do not matter.
func (v *VectorScalar) floats(s *vectorScalarScratch, b *operators.Batch, period int) {
	for p := 0; p < len(b.F); p += block {
		mask := b.Valid[p/block]
		if mask == 0 {
			continue
		}
		x := b.F[p:min(p+block, len(b.F))]
		c := s.tile[p%period:][:len(x)]
		left, right := x, c
		if v.scalarOnLeft {
			left, right = c, x
		}
		switch {
		case v.elem.arith != nil:
			v.elem.arith(x, left, right, mask)
		case v.elem.returnBool:
			expand(x, v.elem.cmp(left, right))
		default:
			// The vector's value stays, on whichever side it stands.
			b.Valid[p/block] = mask & v.elem.cmp(left, right)
		}
	}
}

// refuseFloats drops all floats.
func (v *VectorScalar) refuseFloats(s *vectorScalarScratch, b *operators.Batch) {
	n := len(b.F)
	for p := b.Valid.Next(0, n); p < n; p = b.Valid.Next(p+1, n) {
		v.record(s, b, p, floatFloat)
	}
	clear(b.Valid)
}

func (v *VectorScalar) histograms(s *vectorScalarScratch, b *operators.Batch) {
	n := len(b.F)
	left := 0
	for p := b.HValid.Next(0, n); p < n; p = b.HValid.Next(p+1, n) {
		c := v.scalar.At(b.From + p%b.Steps)
		var (
			h *histogram.FloatHistogram
			t trouble
		)
		// With a float on one side there is neither a comparison nor an invalid layout.
		if v.scalarOnLeft {
			h, _, t, _ = v.elem.histograms(b.Arena(), c, 0, nil, b.H[p])
		} else {
			h, _, t, _ = v.elem.histograms(b.Arena(), 0, c, b.H[p], nil)
		}
		if t != noTrouble {
			v.record(s, b, p, t)
			b.Remove(p)
			continue
		}
		b.H[p] = h
		left++
	}
	if left == 0 {
		b.RemoveHistograms()
	}
}

func (v *VectorScalar) record(s *vectorScalarScratch, b *operators.Batch, p int, t trouble) {
	row, step := p/b.Steps, p%b.Steps
	s.last.record(v.r.Len(), b.From-v.r.From+step, b.First+row, t)
}

// Annotate implements operators.Annotator.
func (v *VectorScalar) Annotate() { v.log.annotate(v.q, &v.elem, v.pos) }
