package operatortest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
)

// feed is an input as a run hands it out.
type feed struct {
	series []Series
	steps  int
	late   bool
	scalar bool
	schema *operators.Schema
}

func newFeed(rnd *rand.Rand, in Input, s shape, steps int) *feed {
	f := &feed{series: in.Series, steps: in.Steps, late: s.Late && !in.Scalar, scalar: in.Scalar, schema: operators.NewSchema()}
	if f.steps == 0 {
		f.steps = steps
	}
	if s.Holes && !in.Scalar {
		f.series = withHoles(rnd, in.Series, f.steps)
	}
	if !f.late {
		f.grow(len(f.series))
		f.schema.SetComplete()
	}
	return f
}

// withHoles puts series without samples among the others: with labels of their own or those of another.
func withHoles(rnd *rand.Rand, series []Series, steps int) []Series {
	series = slices.Clone(series)
	for range rnd.IntN(len(series) + 2) {
		hole := NewSeries(labels.FromStrings("__name__", "hole", "le", "x", "job", "none"), steps)
		if len(series) > 0 && rnd.IntN(2) == 0 {
			other := series[rnd.IntN(len(series))]
			hole.Labels, hole.DropName = other.Labels, other.DropName
		}
		series = slices.Insert(series, rnd.IntN(len(series)+1), hole)
	}
	return series
}

// grow brings the first n series into the schema.
func (f *feed) grow(n int) {
	for i := f.schema.Len(); i < n; i++ {
		f.schema.Append(f.series[i].Labels, f.series[i].DropName)
	}
}

// known is how many series a range has that ends before step end: at least those with samples
// until then.
func (f *feed) known(rnd *rand.Rand, end int) int {
	if !f.late || end >= f.steps {
		return len(f.series)
	}
	least := f.schema.Len()
	for i, s := range f.series {
		if s.first() < end {
			least = max(least, i+1)
		}
	}
	return least + rnd.IntN(len(f.series)-least+1)
}

// morsel is a batch that is still to be made.
type morsel struct {
	first, rows int
	shared      bool
}

// morsels cuts n series.
func (f *feed) morsels(rnd *rand.Rand, s shape, n int) []morsel {
	var out []morsel
	for first := 0; first < n; {
		rows := n - first
		if s.Rows > 0 {
			rows = min(rows, 1+rnd.IntN(s.Rows))
		}
		if s.Holes && !f.scalar && rnd.IntN(6) == 0 {
			rows = 0
		}
		out = append(out, morsel{first: first, rows: rows, shared: s.Shared && rnd.IntN(2) == 0})
		first += rows
	}
	return out
}

// fill puts the samples of the steps from b.From on into a batch. Where there is none it leaves
// what nobody may look at.
func (f *feed) fill(b *operators.Batch) {
	for i := range b.F {
		b.F[i] = 1e77
	}
	for row := range b.Rows {
		for k, x := range f.series[b.First+row].Samples[b.From : b.From+b.Steps] {
			switch {
			case !x.Present:
			case x.H != nil:
				h := x.H
				if k%2 == 1 {
					h = b.Arena().Copy(h) // ends with the batch
				}
				b.SetHistogram(b.Pos(row, k), h)
			default:
				b.SetFloat(b.Pos(row, k), x.F)
			}
		}
	}
}

// poison overwrites what a batch holds, so that whoever looks at it afterwards shows it.
func poison(b *operators.Batch) {
	for i := range b.F {
		b.F[i] = math.Float64frombits(0x7ff8dead0badc0de)
	}
	for i := range b.Valid {
		b.Valid[i] = 0xaaaaaaaaaaaaaaaa
	}
	for i := range b.H {
		b.H[i] = &histogram.FloatHistogram{Schema: -53, Count: 6.6e66, CustomValues: []float64{6.6e66}}
	}
	for i := range b.HValid {
		b.HValid[i] = 0x5555555555555555
	}
	b.Rows, b.Steps = -1, -1
}

// snapshot is a copy of a batch that shares nothing with it.
func snapshot(b *operators.Batch) *operators.Batch {
	s := operators.NewBatch(b.First, b.Rows, b.From, b.Steps)
	copy(s.F, b.F)
	copy(s.Valid, b.Valid)
	if b.H != nil {
		s.EnsureHistograms()
		copy(s.HValid, b.HValid)
		for p := b.HValid.Next(0, len(b.H)); p < len(b.H); p = b.HValid.Next(p+1, len(b.H)) {
			s.H[p] = clone(b.H[p])
		}
	}
	return s
}

// sameBatch says what has changed in a batch since a snapshot was made.
func sameBatch(want, got *operators.Batch) error {
	if got.First != want.First || got.Rows != want.Rows || got.From != want.From || got.Steps != want.Steps {
		return fmt.Errorf("it is rows %d+%d, steps %d+%d, was rows %d+%d, steps %d+%d",
			got.First, got.Rows, got.From, got.Steps, want.First, want.Rows, want.From, want.Steps)
	}
	for p := range want.F {
		if want.Valid.Get(p) != got.Valid.Get(p) || want.HasHistogram(p) != got.HasHistogram(p) {
			return fmt.Errorf("position %d has got or lost its sample", p)
		}
		if want.Valid.Get(p) && !sameFloat(want.F[p], got.F[p]) {
			return fmt.Errorf("position %d is %v, was %v", p, got.F[p], want.F[p])
		}
		if want.HasHistogram(p) && !sameHistogram(want.H[p], got.H[p]) {
			return fmt.Errorf("position %d is %s, was %s", p, histogramText(got.H[p]), histogramText(want.H[p]))
		}
	}
	return nil
}
