package operatortest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
)

// Sample is what a series has at a step: nothing, a float or a histogram.
type Sample struct {
	Present bool
	F       float64
	H       *histogram.FloatHistogram // nil for a float
}

// Float is a float sample.
func Float(v float64) Sample { return Sample{Present: true, F: v} }

// Histogram is a histogram sample.
func Histogram(h *histogram.FloatHistogram) Sample { return Sample{Present: true, H: h} }

func (s Sample) String() string {
	switch {
	case !s.Present:
		return "_"
	case s.H != nil:
		return histogramText(s.H)
	default:
		return fmt.Sprint(s.F)
	}
}

// equal tells whether two samples are the same bit by bit, all NaN being one.
func (s Sample) equal(o Sample) bool {
	switch {
	case s.Present != o.Present || (s.H == nil) != (o.H == nil):
		return false
	case !s.Present:
		return true
	case s.H != nil:
		return s.H == o.H || sameHistogram(s.H, o.H)
	default:
		return sameFloat(s.F, o.F)
	}
}

// means tells whether two samples are equal but for the layout of empty buckets.
func (s Sample) means(o Sample) bool {
	return s.equal(o) || s.H != nil && o.H != nil && histogramText(s.H) == histogramText(o.H)
}

// compare orders samples in some way that tells apart all that are not equal.
func (s Sample) compare(o Sample) int {
	switch {
	case s.Present != o.Present:
		return cmp.Compare(s.number(), o.number())
	case s.equal(o):
		return 0
	case s.H != nil && o.H != nil:
		return strings.Compare(histogramText(s.H), histogramText(o.H))
	case math.Signbit(s.F) != math.Signbit(o.F) && s.F == o.F:
		return cmp.Compare(math.Float64bits(s.F), math.Float64bits(o.F))
	default:
		return cmp.Or(cmp.Compare(s.number(), o.number()), cmp.Compare(s.F, o.F))
	}
}

// number is that of a kind of sample.
func (s Sample) number() int {
	switch {
	case !s.Present:
		return 0
	case s.H == nil:
		return 1
	default:
		return 2
	}
}

func sameFloat(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

func sameFloats(a, b []float64) bool { return slices.EqualFunc(a, b, sameFloat) }

// sameHistogram is stricter than Equals in what belongs to a histogram, and takes all NaN for one.
func sameHistogram(a, b *histogram.FloatHistogram) bool {
	return a.CounterResetHint == b.CounterResetHint && a.Schema == b.Schema &&
		sameFloat(a.ZeroThreshold, b.ZeroThreshold) && sameFloat(a.ZeroCount, b.ZeroCount) &&
		sameFloat(a.Count, b.Count) && sameFloat(a.Sum, b.Sum) &&
		slices.Equal(a.PositiveSpans, b.PositiveSpans) && slices.Equal(a.NegativeSpans, b.NegativeSpans) &&
		sameFloats(a.PositiveBuckets, b.PositiveBuckets) && sameFloats(a.NegativeBuckets, b.NegativeBuckets) &&
		sameFloats(a.CustomValues, b.CustomValues)
}

// clone is a copy bit by bit. (Copy leaves out what a kind of histogram has no use for.)
func clone(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	c := *h
	c.PositiveSpans, c.NegativeSpans = slices.Clone(h.PositiveSpans), slices.Clone(h.NegativeSpans)
	c.PositiveBuckets, c.NegativeBuckets = slices.Clone(h.PositiveBuckets), slices.Clone(h.NegativeBuckets)
	c.CustomValues = slices.Clone(h.CustomValues)
	return &c
}

// histogramText is h as text; String does not take the zero buckets that arithmetic leaves in histograms with
// custom buckets.
func histogramText(h *histogram.FloatHistogram) string {
	return fmt.Sprintf("%s hint %d", h.Copy(), h.CounterResetHint)
}

// Series is a row of a relation.
type Series struct {
	Labels   labels.Labels
	DropName bool
	Samples  []Sample // by step
}

// NewSeries is a series without samples.
func NewSeries(l labels.Labels, steps int) Series {
	return Series{Labels: l, Samples: make([]Sample, steps)}
}

// Empty tells whether the series has no sample.
func (s Series) Empty() bool { return s.first() == len(s.Samples) }

// first is the first step with a sample, or the number of steps.
func (s Series) first() int {
	for i, x := range s.Samples {
		if x.Present {
			return i
		}
	}
	return len(s.Samples)
}

func (s Series) String() string {
	var b strings.Builder
	b.WriteString(s.Labels.String())
	if s.DropName {
		b.WriteString(" (name drops)")
	}
	for _, x := range s.Samples {
		b.WriteString(" " + x.String())
	}
	return b.String()
}

// Input is an input of an operator under test.
type Input struct {
	Series []Series
	// Scalar is set for a scalar operand: one series without labels that has a float at every step.
	Scalar bool
	// Steps is the number of steps of the input's own grid, where that is not the operator's.
	Steps int
}

// Scalar is a scalar operand with the given value at each step.
func Scalar(values ...float64) Input {
	s := NewSeries(labels.EmptyLabels(), len(values))
	for i, v := range values {
		s.Samples[i] = Float(v)
	}
	return Input{Series: []Series{s}, Scalar: true}
}
