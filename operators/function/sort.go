package function

import (
	"context"
	"math"
	"slices"
	"sort"

	"github.com/facette/natsort"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/operators"
)

// SortConfig is a call of sort, sort_desc, sort_by_label or sort_by_label_desc.
type SortConfig struct {
	// Labels is set for the functions that sort by label; By are the label names.
	Labels bool
	By     []string
	Desc   bool
	// Pos is the place of the call, for the warning.
	Pos posrange.PositionRange
}

// NewSort sorts in at a single evaluation time: a *Sort. If ranged is set, that is if the evaluation's
// start and end differ (which they may on a grid of one step), order means nothing and it is
// an *Unsorted that passes samples on.
func NewSort(q *operators.Query, in *operators.Schema, c SortConfig, ranged bool) operators.Operator {
	if ranged {
		return &Unsorted{node: node{in}, q: q, config: c}
	}
	return &Sort{node: node{operators.NewSchema()}, q: q, in: in, config: c, table: operators.NewTable(q)}
}

func (c SortConfig) describe() string {
	name := "sort"
	if c.Labels {
		name = "sort_by_label"
	}
	if c.Desc {
		name += "_desc"
	}
	return name
}

// Unsorted is a sort function in a range query, where the result is sorted by labels in the end. What it
// does is to warn, and to drop histogram samples if it would sort by value.
//
// Inputs: 0 the vector (Stream).
type Unsorted struct {
	node
	q      *operators.Query
	config SortConfig
}

// Describe names the function.
func (u *Unsorted) Describe() string { return u.config.describe() + " (no order in a range query)" }

// Takes streams the vector.
func (*Unsorted) Takes(int) operators.Edge { return operators.Stream }

// Open warns.
func (u *Unsorted) Open(r operators.StepRange) error {
	if r.Len() > 0 {
		u.q.Annotate(annotations.NewSortInRangeQueryWarning(u.config.Pos))
	}
	return nil
}

// Process passes the samples on.
func (u *Unsorted) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	if u.config.Labels || b.H == nil {
		return b, nil
	}
	out := onlyFloats(w, b)
	if out != b {
		copy(out.F, b.F)
	}
	return out, nil
}

// Sort orders the series of an instant vector.
//
// Inputs: 0 the vector (FoldRows).
type Sort struct {
	node
	q      *operators.Query
	in     *operators.Schema
	config SortConfig
	r      operators.StepRange
	table  *operators.Table
	sorted []sortedSample
}

// sortedSample is a sample of the only step and what to compare it by.
type sortedSample struct {
	series int
	column operators.Column
	by     []string
	labels labels.Labels
}

// Describe names the function.
func (s *Sort) Describe() string { return s.config.describe() }

// Takes folds the vector.
func (*Sort) Takes(int) operators.Edge { return operators.FoldRows }

// Open forgets the samples of a range before.
func (s *Sort) Open(r operators.StepRange) error {
	s.Close()
	s.r = r
	return nil
}

// Close gives the samples back.
func (s *Sort) Close() {
	s.table.Reset()
	s.sorted = nil
}

// Fold keeps the samples.
func (s *Sort) Fold(_ *operators.Worker, _ int, b *operators.Batch, _ operators.StepRange) error {
	return s.table.Add(b)
}

// Finish sorts. It runs sort.Sort and slices.SortFunc over the same order and comparisons as Prometheus, so
// that samples that compare equal, or in a circle, end up in the same places.
func (s *Sort) Finish(context.Context, int) error {
	for _, b := range s.table.Batches() {
		for r := range b.Rows {
			c := b.Column(r)
			if c.Len() == 0 || !c.Has(0) || !s.config.Labels && !c.Float(0) {
				continue
			}
			s.sorted = append(s.sorted, sortedSample{series: b.First + r, column: c})
		}
	}
	if s.config.Labels {
		s.byLabel()
	} else {
		sort.Sort(sort.Reverse(&byValue{s.sorted, s.config.Desc}))
	}
	if s.schema.Len() > 0 {
		return nil // The only step was opened again: it has the same samples.
	}
	for _, x := range s.sorted {
		s.schema.Append(s.in.Labels(x.series), s.in.DropName(x.series))
	}
	s.schema.SetComplete()
	return nil
}

func (s *Sort) byLabel() {
	for i := range s.sorted {
		x := &s.sorted[i]
		x.labels = s.in.Labels(x.series)
		x.by = make([]string, len(s.config.By))
		for k, name := range s.config.By {
			x.by[k] = x.labels.Get(name)
		}
	}
	before := -1
	if s.config.Desc {
		before = 1
	}
	slices.SortFunc(s.sorted, func(a, b sortedSample) int {
		for k := range a.by {
			switch {
			case a.by[k] == b.by[k]:
			case natsort.Compare(a.by[k], b.by[k]):
				return before
			default:
				return -before
			}
		}
		return -before * labels.Compare(a.labels, b.labels)
	})
}

// byValue is for sort.Reverse: the reverse of the order asked for, with NaN first.
type byValue struct {
	samples []sortedSample
	desc    bool
}

func (v *byValue) Len() int      { return len(v.samples) }
func (v *byValue) Swap(i, j int) { v.samples[i], v.samples[j] = v.samples[j], v.samples[i] }
func (v *byValue) Less(i, j int) bool {
	a, b := v.samples[i].column.F[0], v.samples[j].column.F[0]
	switch {
	case math.IsNaN(a):
		return true
	case v.desc:
		return a < b
	default:
		return a > b
	}
}

// Morsels is the number of blocks of sorted series.
func (s *Sort) Morsels() int { return blocks(s.q, s.r, len(s.sorted)) }

// Read is a block of sorted series.
func (s *Sort) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	first, rows := block(s.q, s.r, len(s.sorted), m)
	b := w.Batch(first, rows, s.r.From, s.r.Len())
	b.Morsel = m
	for p := range rows {
		c := s.sorted[first+p].column
		if c.Histogram(0) {
			b.SetHistogram(p, c.H[0])
		} else {
			b.SetFloat(p, c.F[0])
		}
	}
	return b, nil
}
