package remoteread

import (
	"fmt"
	"io"
	"slices"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/source/chunkseries"
)

// readSamples reads an answer of samples, which is one message. Its series are in no order.
func readSamples(body io.Reader, own labels.Labels, sorted bool) (answer, error) {
	packed, err := io.ReadAll(body)
	if err != nil {
		return nil, cutOff(err)
	}
	if size, err := snappy.DecodedLen(packed); err != nil || size > maxSamples {
		return nil, fmt.Errorf("the answer is not packed as it should be, or has %d bytes", size)
	}
	message, err := snappy.Decode(nil, packed)
	if err != nil {
		return nil, fmt.Errorf("the answer is damaged: %w", err)
	}
	var m prompb.ReadResponse
	if err := m.Unmarshal(message); err != nil {
		return nil, fmt.Errorf("the answer makes no sense: %w", err)
	}
	if len(m.Results) != 1 {
		return nil, fmt.Errorf("the answer has %d results, and one query was asked", len(m.Results))
	}
	strip := newStripper(own)
	out := &samples{}
	for _, series := range m.Results[0].Timeseries {
		l, err := strip.labels(series.Labels)
		if err != nil {
			return nil, err
		}
		out.rest = append(out.rest, unread{l, series})
	}
	if sorted {
		slices.SortStableFunc(out.rest, func(a, b unread) int { return labels.Compare(a.labels, b.labels) })
	}
	return out, nil
}

// maxSamples is the largest answer of samples that is read, in bytes.
const maxSamples = 1 << 30

// samples is an answer of samples.
type samples struct{ rest []unread }

type unread struct {
	labels labels.Labels
	series *prompb.TimeSeries
}

// next makes chunks of the samples of a series.
func (s *samples) next() (*chunkseries.Series, error) {
	if len(s.rest) == 0 {
		return nil, io.EOF
	}
	at := s.rest[0]
	s.rest[0] = unread{}
	s.rest = s.rest[1:]
	all, err := merged(at.series)
	if err != nil {
		return nil, fmt.Errorf("series %s: %w", at.labels, err)
	}
	out := &chunkseries.Series{Labels: at.labels}
	if len(all) == 0 {
		return out, nil
	}
	it := storage.NewSeriesToChunkEncoder(storage.NewListSeries(at.labels, all)).Iterator(nil)
	for it.Next() {
		out.Chunks = append(out.Chunks, it.At())
	}
	return out, it.Err()
}

// merged are floats and histograms by time.
func merged(s *prompb.TimeSeries) ([]chunks.Sample, error) {
	out := make([]chunks.Sample, 0, len(s.Samples)+len(s.Histograms))
	floats, histograms := s.Samples, s.Histograms
	for len(floats) > 0 || len(histograms) > 0 {
		if len(histograms) == 0 || len(floats) > 0 && floats[0].Timestamp < histograms[0].Timestamp {
			out = append(out, sample{t: floats[0].Timestamp, f: floats[0].Value})
			floats = floats[1:]
			continue
		}
		h := histograms[0]
		histograms = histograms[1:]
		next := sample{t: h.Timestamp}
		var err error
		if h.IsFloatHistogram() {
			next.fh = h.ToFloatHistogram()
			err = next.fh.Validate()
		} else {
			next.h = h.ToIntHistogram()
			err = next.h.Validate()
		}
		if err != nil {
			return nil, err
		}
		out = append(out, next)
	}
	for i := 1; i < len(out); i++ {
		if out[i].T() <= out[i-1].T() {
			return nil, fmt.Errorf("its samples are not in order: %d comes behind %d", out[i].T(), out[i-1].T())
		}
	}
	return out, nil
}

// sample is a float or a histogram of one of the two kinds.
type sample struct {
	t  int64
	f  float64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

// ST implements chunks.Sample: the API has no start timestamps.
func (sample) ST() int64 { return 0 }

// T implements chunks.Sample.
func (s sample) T() int64 { return s.t }

// F implements chunks.Sample.
func (s sample) F() float64 { return s.f }

// H implements chunks.Sample.
func (s sample) H() *histogram.Histogram { return s.h }

// FH implements chunks.Sample.
func (s sample) FH() *histogram.FloatHistogram { return s.fh }

// Copy implements chunks.Sample.
func (s sample) Copy() chunks.Sample { return s }

// Type implements chunks.Sample.
func (s sample) Type() chunkenc.ValueType {
	switch {
	case s.h != nil:
		return chunkenc.ValHistogram
	case s.fh != nil:
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}
