package difftest

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
)

// histogramWalk is a native histogram that takes random observations.
type histogramWalk struct {
	r             *rand.Rand
	schema        int32
	zeroThreshold float64
	// spread is how far bucket indexes lie apart, negative whether values
	// below zero are observed.
	spread   int
	negative bool
	// bounds are the upper bounds of custom buckets, nil for exponential ones.
	bounds []float64

	zero     uint64
	nan      uint64
	pos, neg map[int32]uint64
	sum      float64
}

func newHistogramWalk(r *rand.Rand, schema int32) *histogramWalk {
	h := &histogramWalk{r: r, schema: schema, zeroThreshold: 1e-4, spread: 8}
	h.reset()
	return h
}

func newCustomWalk(r *rand.Rand, bounds ...float64) *histogramWalk {
	h := &histogramWalk{r: r, schema: histogram.CustomBucketsSchema, bounds: bounds}
	h.reset()
	return h
}

func (h *histogramWalk) reset() {
	h.zero, h.nan, h.sum = 0, 0, 0
	h.pos, h.neg = map[int32]uint64{}, map[int32]uint64{}
}

// observe adds n observations.
func (h *histogramWalk) observe(n int) {
	for range n {
		if h.bounds != nil {
			i := h.r.IntN(len(h.bounds) + 1)
			h.pos[int32(i)]++
			v := h.bounds[min(i, len(h.bounds)-1)]
			h.sum += v * 0.9
			continue
		}
		i := int32(h.r.IntN(h.spread)+h.r.IntN(h.spread)) - int32(h.spread)/2
		v := math.Exp2(float64(i) * math.Exp2(-float64(h.schema)))
		switch {
		case h.r.IntN(10) == 0:
			h.zero++
		case h.negative && h.r.IntN(3) == 0:
			h.neg[i]++
			h.sum -= v
		default:
			h.pos[i]++
			h.sum += v
		}
	}
}

// spans returns the layout of buckets and their counts in index order.
func spans(buckets map[int32]uint64) ([]histogram.Span, []uint64) {
	idx := make([]int32, 0, len(buckets))
	for i := range buckets {
		idx = append(idx, i)
	}
	slices.Sort(idx)
	var sp []histogram.Span
	counts := make([]uint64, 0, len(idx))
	for n, i := range idx {
		switch {
		case n == 0:
			sp = append(sp, histogram.Span{Offset: i, Length: 1})
		case i == idx[n-1]+1:
			sp[len(sp)-1].Length++
		default:
			sp = append(sp, histogram.Span{Offset: i - idx[n-1] - 1, Length: 1})
		}
		counts = append(counts, buckets[i])
	}
	return sp, counts
}

// integer returns the present state as an integer histogram.
func (h *histogramWalk) integer() *histogram.Histogram {
	deltas := func(counts []uint64) []int64 {
		out := make([]int64, len(counts))
		var prev int64
		for i, c := range counts {
			out[i], prev = int64(c)-prev, int64(c)
		}
		return out
	}
	total := h.zero + h.nan
	for _, m := range []map[int32]uint64{h.pos, h.neg} {
		for _, c := range m {
			total += c
		}
	}
	out := &histogram.Histogram{
		Schema: h.schema, ZeroThreshold: h.zeroThreshold, ZeroCount: h.zero,
		Count: total, Sum: h.sum, CustomValues: h.bounds,
	}
	if h.nan > 0 {
		out.Sum = math.NaN()
	}
	var counts []uint64
	out.PositiveSpans, counts = spans(h.pos)
	out.PositiveBuckets = deltas(counts)
	if len(h.neg) > 0 {
		out.NegativeSpans, counts = spans(h.neg)
		out.NegativeBuckets = deltas(counts)
	}
	return out
}

// float returns the present state as a float histogram.
func (h *histogramWalk) float() *histogram.FloatHistogram { return h.integer().ToFloat(nil) }
