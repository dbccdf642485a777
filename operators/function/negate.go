package function

import "github.com/stride-promql/stride/operators"

// Negate is unary minus, of a vector or a scalar.
//
// Inputs: 0 the operand (Stream).
type Negate struct{ node }

// NewNegate is unary minus over in.
func NewNegate(q *operators.Query, in *operators.Schema) *Negate {
	return &Negate{node{operators.NamelessSchema(q, in)}}
}

// Describe is the operator's sign.
func (*Negate) Describe() string { return "-" }

// Takes streams the operand.
func (*Negate) Takes(int) operators.Edge { return operators.Stream }

// Process negates all samples.
func (*Negate) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	out := w.Own(b)
	negate(out.F, out.F)
	if out.H != nil {
		n := len(out.F)
		for p := out.HValid.Next(0, n); p < n; p = out.HValid.Next(p+1, n) {
			out.H[p] = out.Arena().Duplicate(out.H[p]).Mul(-1)
		}
	}
	return out, nil
}
