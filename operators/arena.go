package operators

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/internal/slab"
)

// HistogramArena makes histograms with few allocations: structs and buckets are cut from blocks. One goroutine at a time may
// use it. The zero value is ready for use.
type HistogramArena struct {
	structs slab.Slab[histogram.FloatHistogram]
	values  slab.Slab[float64]
	spans   slab.Slab[histogram.Span]
}

// New is a histogram with the fields of like, and with spans and buckets of its own, the latter of any values. Custom
// values, which nobody ever writes to, are like's.
func (a *HistogramArena) New(like *histogram.FloatHistogram) *histogram.FloatHistogram {
	h := &a.structs.Take(1)[0]
	*h = *like
	h.PositiveSpans = copied(&a.spans, like.PositiveSpans)
	h.NegativeSpans = copied(&a.spans, like.NegativeSpans)
	h.PositiveBuckets = a.values.Take(len(like.PositiveBuckets))
	h.NegativeBuckets = a.values.Take(len(like.NegativeBuckets))
	return h
}

// Copy is New with like's buckets.
func (a *HistogramArena) Copy(like *histogram.FloatHistogram) *histogram.FloatHistogram {
	h := a.New(like)
	copy(h.PositiveBuckets, like.PositiveBuckets)
	copy(h.NegativeBuckets, like.NegativeBuckets)
	return h
}

// Duplicate is what FloatHistogram.Copy gives: as Copy, but without what a histogram with custom buckets cannot have, a zero
// bucket and negative ones.
func (a *HistogramArena) Duplicate(like *histogram.FloatHistogram) *histogram.FloatHistogram {
	h := a.Copy(like)
	if h.UsesCustomBuckets() {
		h.ZeroThreshold, h.ZeroCount = 0, 0
		h.NegativeSpans, h.NegativeBuckets = nil, nil
	} else {
		h.CustomValues = nil
	}
	return h
}

func copied[T any](s *slab.Slab[T], v []T) []T {
	c := s.Take(len(v))
	copy(c, v)
	return c
}

// reset makes the memory of all histograms available again.
func (a *HistogramArena) reset() {
	a.structs.Reset()
	a.values.Reset()
	a.spans.Reset()
}

// poison overwrites all histograms.
func (a *HistogramArena) poison() {
	bad := math.Float64frombits(0x7ff8dead0badc0de)
	a.values.Each(func(v []float64) {
		for i := range v {
			v[i] = bad
		}
	})
	a.structs.Each(func(h []histogram.FloatHistogram) {
		for i := range h {
			h[i] = histogram.FloatHistogram{Count: bad, Sum: bad, ZeroCount: bad}
		}
	})
	a.spans.Each(func(s []histogram.Span) { clear(s) })
}
