package function

import (
	"context"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
)

// Values is a source of one row without labels that has a float sample at every step: a scalar, or
// a vector made of one.
//
// Inputs: the scalars it is computed from that are not constant (Fold).
type Values struct {
	node
	name   string
	value  func(params []*operators.Scalar, step int) float64
	params operands
	r      operators.StepRange
}

func newValues(q *operators.Query, name string, value func([]*operators.Scalar, int) float64, params ...*operators.Scalar) *Values {
	return &Values{node: node{operators.ConstantSchema(labels.EmptyLabels())}, name: name, value: value, params: newOperands(q, params)}
}

// NewNumber is the scalar v at every step.
func NewNumber(q *operators.Query, v float64) *Values {
	return newValues(q, strconv.FormatFloat(v, 'g', -1, 64), func([]*operators.Scalar, int) float64 { return v })
}

// NewPi is pi().
func NewPi(q *operators.Query) *Values {
	return newValues(q, "pi", func([]*operators.Scalar, int) float64 { return math.Pi })
}

// NewTime is time(): the time of each step of grid in seconds.
func NewTime(q *operators.Query, grid operators.Grid) *Values {
	return newValues(q, "time", func(_ []*operators.Scalar, step int) float64 {
		return float64(grid.Time(step)) / 1000
	})
}

// NewMaxOf is max_of(a, b).
func NewMaxOf(q *operators.Query, a, b *operators.Scalar) *Values {
	return newValues(q, "max_of", func(p []*operators.Scalar, step int) float64 {
		return math.Max(p[0].At(step), p[1].At(step))
	}, a, b)
}

// NewMinOf is min_of(a, b).
func NewMinOf(q *operators.Query, a, b *operators.Scalar) *Values {
	return newValues(q, "min_of", func(p []*operators.Scalar, step int) float64 {
		return math.Min(p[0].At(step), p[1].At(step))
	}, a, b)
}

// NewVector is vector(s).
func NewVector(q *operators.Query, s *operators.Scalar) *Values {
	return newValues(q, "vector", func(p []*operators.Scalar, step int) float64 { return p[0].At(step) }, s)
}

// Describe names the function or number.
func (v *Values) Describe() string { return v.name }

// Takes folds scalars.
func (*Values) Takes(int) operators.Edge { return operators.Fold }

// Open makes room for the scalars.
func (v *Values) Open(r operators.StepRange) error {
	v.r = r
	return v.params.open(r)
}

// Close gives the scalars back.
func (v *Values) Close() { v.params.close() }

// Fold takes a segment of a scalar.
func (v *Values) Fold(_ *operators.Worker, input int, b *operators.Batch, seg operators.StepRange) error {
	v.params.inputs[input].Fold(b, seg)
	return nil
}

// Finish has nothing to do.
func (*Values) Finish(context.Context, int) error { return nil }

// Morsels is one.
func (*Values) Morsels() int { return 1 }

// Read computes the row.
func (v *Values) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	return oneRow(w, m, v.r, func(step int) (float64, bool) { return v.value(v.params.all, step), true }), nil
}

// oneRow is the batch of a source with one row. value gives the sample of a step of the grid, if there is one.
func oneRow(w *operators.Worker, m int, r operators.StepRange, value func(step int) (float64, bool)) *operators.Batch {
	b := w.Batch(0, 1, r.From, r.Len())
	b.Morsel = m
	for i := range b.Steps {
		if v, ok := value(r.From + i); ok {
			b.SetFloat(i, v)
		}
	}
	return b
}
