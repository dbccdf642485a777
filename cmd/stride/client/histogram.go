package client

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
)

// histogramJSON is a native histogram as the API writes it: not with its schema but with the bounds of its buckets.
type histogramJSON struct {
	Count   number       `json:"count"`
	Sum     number       `json:"sum"`
	Buckets []bucketJSON `json:"buckets"`
}

// bucketJSON is a bucket that is not empty.
type bucketJSON struct {
	bounds              int // which of the bounds belong to it
	lower, upper, count number
}

// What bounds says.
const (
	upperInclusive = 0
	lowerInclusive = 1
	bothInclusive  = 3
)

// UnmarshalJSON implements json.Unmarshaler.
func (b *bucketJSON) UnmarshalJSON(text []byte) error {
	return unmarshalTuple(text, &b.bounds, &b.lower, &b.upper, &b.count)
}

// rebuild makes a histogram that has these buckets. Where they are those of a schema it has that schema, else custom bounds.
func (h *histogramJSON) rebuild() (*histogram.FloatHistogram, error) {
	for schema := histogram.ExponentialSchemaMax; schema >= histogram.ExponentialSchemaMin; schema-- {
		if res := h.exponential(schema); res != nil {
			return res, nil
		}
	}
	return h.custom()
}

// exponential is h with the buckets of a schema, nil if they are not.
func (h *histogramJSON) exponential(schema int32) *histogram.FloatHistogram {
	res := &histogram.FloatHistogram{Schema: schema, Count: float64(h.Count), Sum: float64(h.Sum)}
	var positive, negative []indexed
	for _, b := range h.Buckets {
		lower, upper, count := float64(b.lower), float64(b.upper), float64(b.count)
		switch {
		case b.bounds == bothInclusive && lower == -upper:
			res.ZeroThreshold, res.ZeroCount = upper, count
		case b.bounds == upperInclusive:
			i, ok := bucketIndex(schema, lower, upper)
			if !ok {
				return nil
			}
			positive = append(positive, indexed{i, count})
		case b.bounds == lowerInclusive:
			i, ok := bucketIndex(schema, -upper, -lower)
			if !ok {
				return nil
			}
			negative = append(negative, indexed{i, count})
		default:
			return nil
		}
	}
	res.PositiveSpans, res.PositiveBuckets = spans(positive)
	res.NegativeSpans, res.NegativeBuckets = spans(negative)
	return res
}

// indexed is the count of a bucket.
type indexed struct {
	index int32
	count float64
}

// bucketIndex finds the bucket of a schema with these bounds, of which the lower is positive.
func bucketIndex(schema int32, lower, upper float64) (int32, bool) {
	if !(lower > 0) {
		return 0, false
	}
	exponent := math.Log2(lower)
	if lower == math.MaxFloat64 {
		exponent = 1024 // which it stands for
	}
	i := int32(math.Round(math.Ldexp(exponent, int(schema)))) + 1
	h := histogram.FloatHistogram{Schema: schema, PositiveSpans: []histogram.Span{{Offset: i, Length: 1}}, PositiveBuckets: []float64{1}}
	it := h.PositiveBucketIterator()
	it.Next()
	b := it.At()
	return i, b.Lower == lower && b.Upper == upper
}

// spans sorts buckets and packs them.
func spans(buckets []indexed) (spans []histogram.Span, counts []float64) {
	slices.SortFunc(buckets, func(a, b indexed) int { return int(a.index) - int(b.index) })
	next := int32(0)
	for _, b := range buckets {
		if len(spans) == 0 || b.index != next {
			spans = append(spans, histogram.Span{Offset: b.index - next})
		}
		spans[len(spans)-1].Length++
		counts = append(counts, b.count)
		next = b.index + 1
	}
	return spans, counts
}

// custom is h with custom bounds, those of its buckets.
func (h *histogramJSON) custom() (*histogram.FloatHistogram, error) {
	res := &histogram.FloatHistogram{Schema: histogram.CustomBucketsSchema, Count: float64(h.Count), Sum: float64(h.Sum)}
	last := math.Inf(-1)
	var buckets []indexed
	for _, b := range h.Buckets {
		lower, upper := float64(b.lower), float64(b.upper)
		first := b.bounds == bothInclusive && math.IsInf(lower, -1)
		if !first && b.bounds != upperInclusive || lower < last || !(lower < upper) {
			return nil, fmt.Errorf("histogram with a bucket from %v to %v (%d) behind %v is of no known form", lower, upper, b.bounds, last)
		}
		if lower > last {
			res.CustomValues = append(res.CustomValues, lower)
		}
		buckets = append(buckets, indexed{int32(len(res.CustomValues)), float64(b.count)})
		if !math.IsInf(upper, 1) {
			res.CustomValues = append(res.CustomValues, upper)
		}
		last = upper
	}
	res.PositiveSpans, res.PositiveBuckets = spans(buckets)
	return res, nil
}
