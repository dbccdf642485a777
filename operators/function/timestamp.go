package function

import "github.com/stride-promql/stride/operators"

// Timestamp is timestamp(v) of anything but a plain selector: the time of the step, in seconds, for
// each sample of either kind.
//
// Inputs: 0 the vector (Stream).
type Timestamp struct {
	node
	grid operators.Grid
}

// NewTimestamp is timestamp() over in, evaluated at the steps of grid.
func NewTimestamp(q *operators.Query, in *operators.Schema, grid operators.Grid) *Timestamp {
	return &Timestamp{node: node{operators.NamelessSchema(q, in)}, grid: grid}
}

// Describe names the function.
func (*Timestamp) Describe() string { return "timestamp" }

// Takes streams the vector.
func (*Timestamp) Takes(int) operators.Edge { return operators.Stream }

// Process puts the times in.
func (t *Timestamp) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	out := w.Own(b)
	if out.H != nil {
		for i, m := range out.HValid {
			out.Valid[i] |= m
		}
		out.RemoveHistograms()
	}
	for lo := 0; lo < len(out.F); lo += out.Steps {
		for i := range out.Steps {
			out.F[lo+i] = float64(t.grid.Time(out.From+i)) / 1000
		}
	}
	return out, nil
}

// StartTimestamp is start_timestamp(v) of anything but a plain selector, which knows no start timestamps and
// so has no samples.
//
// Inputs: 0 the vector (Stream).
type StartTimestamp struct{ node }

// NewStartTimestamp is start_timestamp() over in.
func NewStartTimestamp(q *operators.Query, in *operators.Schema) *StartTimestamp {
	return &StartTimestamp{node{operators.NamelessSchema(q, in)}}
}

// Describe names the function.
func (*StartTimestamp) Describe() string { return "start_timestamp" }

// Takes streams the vector.
func (*StartTimestamp) Takes(int) operators.Edge { return operators.Stream }

// Process removes all samples.
func (*StartTimestamp) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	if b.Shared {
		return w.Like(b), nil
	}
	b.RemoveHistograms()
	clear(b.Valid)
	return b, nil
}
