package function

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/schema"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// Absent is absent(v), and absent_over_time(v) over the windows that hold a sample: one row
// with a 1 at each step at which the input has no sample at all.
//
// Inputs: 0 the vector (Fold).
type Absent struct {
	node
	name string
	r    operators.StepRange
	// found says which steps have a sample. Segments of steps are folded concurrently, so that no
	// two steps may share a word of memory.
	found []bool
}

// NewAbsent is absent() (or absent_over_time(), for Describe) of a vector. The result's labels are
// AbsentLabels of the argument if it is a selector, else none; dropName is true for absent_over_time.
func NewAbsent(name string, l labels.Labels, dropName bool) *Absent {
	s := operators.NewSchema()
	s.Append(l, dropName)
	s.SetComplete()
	return &Absent{node: node{s}, name: name}
}

// AbsentLabels are the labels that absent() gives to a selector's absence: those that it asks
// for by equality, metadata labels and labels that are asked for more than once excepted.
func AbsentLabels(matchers []*labels.Matcher) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	set := make(map[string]bool, len(matchers))
	for _, m := range matchers {
		switch {
		case schema.IsMetadataLabel(m.Name):
		case m.Type == labels.MatchEqual && !set[m.Name]:
			b.Set(m.Name, m.Value)
			set[m.Name] = true
		default:
			b.Del(m.Name)
		}
	}
	return b.Labels()
}

// Describe names the function.
func (a *Absent) Describe() string { return a.name }

// Takes folds the vector.
func (*Absent) Takes(int) operators.Edge { return operators.Fold }

// Open forgets what was found.
func (a *Absent) Open(r operators.StepRange) error {
	a.r, a.found = r, make([]bool, r.Len())
	return nil
}

// Close gives the steps back.
func (a *Absent) Close() { a.found = nil }

// Fold looks for samples of any row.
func (a *Absent) Fold(_ *operators.Worker, _ int, b *operators.Batch, seg operators.StepRange) error {
	for k := seg.From; k < seg.To; k += 64 {
		n := min(64, seg.To-k)
		var any uint64
		for row := 0; row < b.Rows && any != bitmap.Mask(n); row++ {
			p := b.Pos(row, k)
			any |= b.Valid.Load(p, n)
			if b.H != nil {
				any |= b.HValid.Load(p, n)
			}
		}
		for i := range n {
			if any>>i&1 != 0 {
				a.found[k+i] = true
			}
		}
	}
	return nil
}

// Finish has nothing to do.
func (*Absent) Finish(context.Context, int) error { return nil }

// Morsels is one.
func (*Absent) Morsels() int { return 1 }

// Read is the row.
func (a *Absent) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	return oneRow(w, m, a.r, func(step int) (float64, bool) { return 1, !a.found[step-a.r.From] }), nil
}
