package gendata

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// sample is a float, unless one of the histograms is set.
type sample struct {
	st int64 // start timestamp, 0 if it has none
	t  int64
	v  float64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

var _ chunks.Sample = (*sample)(nil)

func (s *sample) T() int64                { return s.t }
func (s *sample) ST() int64               { return s.st }
func (s *sample) F() float64              { return s.v }
func (s *sample) H() *histogram.Histogram { return s.h }

func (s *sample) FH() *histogram.FloatHistogram {
	if s.h != nil {
		return s.h.ToFloat(nil)
	}
	return s.fh
}

func (s *sample) Type() chunkenc.ValueType {
	switch {
	case s.h != nil:
		return chunkenc.ValHistogram
	case s.fh != nil:
		return chunkenc.ValFloatHistogram
	default:
		return chunkenc.ValFloat
	}
}

func (s *sample) Copy() chunks.Sample {
	c := *s
	if c.h != nil {
		c.h = c.h.Copy()
	}
	if c.fh != nil {
		c.fh = c.fh.Copy()
	}
	return &c
}

// samples are those of one series in order of time.
type samples []sample

var _ storage.Samples = samples(nil)

func (s samples) Get(i int) chunks.Sample { return &s[i] }
func (s samples) Len() int                { return len(s) }
