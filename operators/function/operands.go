package function

import "github.com/stride-promql/stride/operators"

// operands are the scalar arguments of a function. Those that are not constant are inputs that
// are folded before the function runs.
type operands struct {
	q      *operators.Query
	all    []*operators.Scalar
	inputs []*operators.Scalar
	held   int64
}

func newOperands(q *operators.Query, all []*operators.Scalar) operands {
	o := operands{q: q, all: all}
	for _, s := range all {
		if _, constant := s.Constant(); !constant {
			o.inputs = append(o.inputs, s)
		}
	}
	return o
}

// open makes room for the values of the steps r.
func (o *operands) open(r operators.StepRange) error {
	o.close()
	for _, s := range o.inputs {
		s.Open(r)
	}
	o.held = int64(len(o.inputs) * r.Len())
	return o.q.Hold(o.held)
}

// close gives back what open took.
func (o *operands) close() {
	o.q.Free(o.held)
	o.held = 0
}

// constant tells whether no operand depends on the step.
func (o *operands) constant() bool { return len(o.inputs) == 0 }
