package wire

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/remote"
)

// EncodeThanosSeries gives a series as a prometheus.TimeSeries. Histograms are sent as float histograms.
func EncodeThanosSeries(s promql.Series) ([]byte, error) {
	ts := prompb.TimeSeries{
		Labels:     prompb.FromLabels(s.Metric, nil),
		Samples:    make([]prompb.Sample, len(s.Floats)),
		Histograms: make([]prompb.Histogram, len(s.Histograms)),
	}
	for i, p := range s.Floats {
		ts.Samples[i] = prompb.Sample{Timestamp: p.T, Value: p.F}
	}
	for i, p := range s.Histograms {
		ts.Histograms[i] = prompb.FromFloatHistogram(p.T, p.H)
	}
	return ts.Marshal()
}

// Steps are the times, in ms, at which a query has samples: Start and every Interval after it, N in all.
type Steps struct {
	Start, Interval int64
	N               int
}

// step is the number of the step at a time.
func (s Steps) step(t int64) (int, error) {
	if s.N == 1 {
		return 0, nil // only here may times differ: Thanos' are in whole seconds
	}
	k := (t - s.Start) / s.Interval
	if t < s.Start || k >= int64(s.N) || s.Start+k*s.Interval != t {
		return 0, fmt.Errorf("a series has a sample at %d, which is none of the steps asked for", t)
	}
	return int(k), nil
}

var errTwoSamples = errors.New("a series has two samples at one step")

// DecodeThanosSeries reads series that are each a prometheus.TimeSeries. Those without samples are left out.
func DecodeThanosSeries(in [][]byte, steps Steps, builder *labels.ScratchBuilder) (*remote.Columns, error) {
	var (
		all    []prompb.TimeSeries
		series []remote.Series
	)
	for _, b := range in {
		var ts prompb.TimeSeries
		if err := ts.Unmarshal(b); err != nil {
			return nil, fmt.Errorf("a series makes no sense: %w", err)
		}
		if len(ts.Samples)+len(ts.Histograms) == 0 {
			continue
		}
		l, err := thanosLabels(ts.Labels, builder)
		if err != nil {
			return nil, err
		}
		all, series = append(all, ts), append(series, remote.Series{Labels: l})
	}
	c := remote.NewColumns(series, 0, steps.N)
	for row, ts := range all {
		for _, s := range ts.Samples {
			k, err := steps.step(s.Timestamp)
			if err != nil {
				return nil, err
			}
			p := row*steps.N + k
			if c.Valid.Get(p) {
				return nil, errTwoSamples
			}
			c.F[p] = s.Value
			c.Valid.Set(p)
		}
		for _, s := range ts.Histograms {
			k, err := steps.step(s.Timestamp)
			if err != nil {
				return nil, err
			}
			p := row*steps.N + k
			if c.Valid.Get(p) || c.H != nil && c.HValid.Get(p) {
				return nil, errTwoSamples
			}
			h, err := thanosHistogram(&s)
			if err != nil {
				return nil, err
			}
			c.SetHistogram(p, h)
		}
	}
	return c, nil
}

func thanosHistogram(m *prompb.Histogram) (*histogram.FloatHistogram, error) {
	if uint(m.ResetHint) > uint(histogram.GaugeType) {
		return nil, fmt.Errorf("a histogram has the unknown counter reset hint %d", m.ResetHint)
	}
	h := m.ToFloatHistogram()
	return h, checkHistogram(h)
}
