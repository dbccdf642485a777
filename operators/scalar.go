package operators

// Scalar is a scalar operand of an operator: a constant, or the single row of an input that is
// folded before the operator runs. Scalars have a value at every step.
type Scalar struct {
	constant float64
	values   []float64
	from     int
	folded   bool
}

// ConstantScalar is an operand that has the same value at every step.
func ConstantScalar(v float64) *Scalar { return &Scalar{constant: v} }

// FoldedScalar is an operand whose values come from an input by Fold.
func FoldedScalar() *Scalar { return &Scalar{folded: true} }

// Constant is the operand's only value, if it is a constant.
func (s *Scalar) Constant() (float64, bool) { return s.constant, !s.folded }

// Open makes room for the steps of a range.
func (s *Scalar) Open(r StepRange) {
	if s.folded {
		s.from = r.From
		s.values = make([]float64, r.Len())
	}
}

// Fold takes a segment of the input's only row.
func (s *Scalar) Fold(b *Batch, seg StepRange) {
	copy(s.values[seg.From:seg.To], b.F[seg.From:seg.To])
}

// At is the value at a step of the grid, which must lie in the open range.
func (s *Scalar) At(step int) float64 {
	if !s.folded {
		return s.constant
	}
	return s.values[step-s.from]
}
