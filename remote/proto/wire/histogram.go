package wire

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/remote/proto/stridepb"
)

// EncodeHistogram gives a message that shares memory with h.
func EncodeHistogram(h *histogram.FloatHistogram) *stridepb.Histogram {
	return &stridepb.Histogram{
		Schema:           h.Schema,
		ZeroThreshold:    h.ZeroThreshold,
		ZeroCount:        h.ZeroCount,
		Count:            h.Count,
		Sum:              h.Sum,
		PositiveSpans:    encodeSpans(h.PositiveSpans),
		NegativeSpans:    encodeSpans(h.NegativeSpans),
		PositiveBuckets:  h.PositiveBuckets,
		NegativeBuckets:  h.NegativeBuckets,
		CustomValues:     h.CustomValues,
		CounterResetHint: uint32(h.CounterResetHint),
	}
}

func encodeSpans(spans []histogram.Span) []int64 {
	if len(spans) == 0 {
		return nil
	}
	out := make([]int64, 0, 2*len(spans))
	for _, s := range spans {
		out = append(out, int64(s.Offset), int64(s.Length))
	}
	return out
}

// DecodeHistogram gives a histogram that takes over the memory of m. Empty slices are nil.
func DecodeHistogram(m *stridepb.Histogram) (*histogram.FloatHistogram, error) {
	positive, err := decodeSpans(m.PositiveSpans)
	if err != nil {
		return nil, err
	}
	negative, err := decodeSpans(m.NegativeSpans)
	if err != nil {
		return nil, err
	}
	if m.CounterResetHint > uint32(histogram.GaugeType) {
		return nil, fmt.Errorf("a histogram has the unknown counter reset hint %d", m.CounterResetHint)
	}
	h := &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(m.CounterResetHint),
		Schema:           m.Schema,
		ZeroThreshold:    m.ZeroThreshold,
		ZeroCount:        m.ZeroCount,
		Count:            m.Count,
		Sum:              m.Sum,
		PositiveSpans:    positive,
		NegativeSpans:    negative,
		PositiveBuckets:  m.PositiveBuckets,
		NegativeBuckets:  m.NegativeBuckets,
		CustomValues:     m.CustomValues,
	}
	return h, checkHistogram(h)
}

var errSpans = errors.New("the spans of a histogram make no sense")

func decodeSpans(in []int64) ([]histogram.Span, error) {
	if len(in) == 0 {
		return nil, nil
	}
	if len(in)%2 != 0 {
		return nil, errSpans
	}
	out := make([]histogram.Span, len(in)/2)
	for i := range out {
		offset, length := in[2*i], in[2*i+1]
		out[i] = histogram.Span{Offset: int32(offset), Length: uint32(length)}
		if int64(out[i].Offset) != offset || int64(out[i].Length) != length {
			return nil, errSpans
		}
	}
	return out, nil
}

// checkHistogram checks the layout of a histogram, so that nobody who looks at its buckets looks beside them. Counts may be anything:
// a result need not be what a target can have exposed.
func checkHistogram(h *histogram.FloatHistogram) error {
	if h.UsesCustomBuckets() && h.ZeroCount > 0 { // it may be 0 times infinity
		return histogram.ErrHistogramCustomBucketsZeroCount
	}
	zeros := make([]float64, max(len(h.PositiveBuckets), len(h.NegativeBuckets)))
	layout := histogram.FloatHistogram{
		Schema:          h.Schema,
		ZeroThreshold:   h.ZeroThreshold,
		PositiveSpans:   h.PositiveSpans,
		NegativeSpans:   h.NegativeSpans,
		PositiveBuckets: zeros[:len(h.PositiveBuckets)],
		NegativeBuckets: zeros[:len(h.NegativeBuckets)],
	}
	if len(h.CustomValues) > 0 {
		layout.CustomValues = h.CustomValues
	}
	return layout.Validate()
}
