package exchange

import (
	"math/bits"
	"slices"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// Run is a run of steps [From, To) of the grid at which samples of the same inputs count: of each series the first one that
// has a sample.
type Run struct {
	From, To int
	Inputs   []int
}

// source is one input's column of a series.
type source struct {
	input  int
	column operators.Column
}

// deduplication makes one column of those that several inputs have of one series.
//
// Samples of inputs that a run does not name are dropped, also where nobody else has one: such an input lacks data that another
// one has, so that its sample may be wrong. A series that ended in what the other one holds would rise again.
type deduplication struct {
	dst *operators.Batch
	row int
	src []source
}

// run fills the column. Without runs the sources count in their order at every step.
func (d *deduplication) run(runs []Run) {
	steps := d.dst.Steps
	if runs == nil {
		for _, s := range d.src {
			d.take(s.column, 0, steps)
		}
		return
	}
	for _, r := range runs {
		lo, hi := max(0, r.From-d.dst.From), min(steps, r.To-d.dst.From)
		if lo >= hi {
			continue
		}
		for _, input := range r.Inputs {
			for _, s := range d.src {
				if s.input == input {
					d.take(s.column, lo, hi)
				}
			}
		}
	}
}

// first is the source of the first sample that counts, in the order of steps, -1 without one. from is the columns' first step.
func (d *deduplication) first(runs []Run, from int) int {
	for step := range d.src[0].column.Len() {
		if runs == nil {
			if i := slices.IndexFunc(d.src, func(s source) bool { return s.column.Has(step) }); i >= 0 {
				return i
			}
			continue
		}
		at := slices.IndexFunc(runs, func(r Run) bool { return r.From <= from+step && from+step < r.To })
		if at < 0 {
			continue
		}
		for _, input := range runs[at].Inputs {
			if i := slices.IndexFunc(d.src, func(s source) bool { return s.input == input && s.column.Has(step) }); i >= 0 {
				return i
			}
		}
	}
	return -1
}

// take copies the samples at [lo, hi) at which there is none yet.
func (d *deduplication) take(src operators.Column, lo, hi int) {
	dst := d.dst.Column(d.row) // anew: it may have got histograms
	for i := lo; i < hi; i += 64 {
		n := min(64, hi-i)
		missing := bitmap.Mask(n) &^ dst.Presence(i, n)
		floats := src.Floats(i, n) & missing
		if floats != 0 {
			copyFloats(dst.F[i:i+n], src.F[i:i+n], floats)
			dst.SetFloats(i, n, dst.Floats(i, n)|floats)
		}
		for w := src.Histograms(i, n) & missing; w != 0; w &= w - 1 {
			step := i + bits.TrailingZeros64(w)
			dst.SetHistogram(step, src.H[step])
		}
	}
}
