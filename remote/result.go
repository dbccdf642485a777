package remote

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/stats"
)

// ResultStream is a result as columns: that of a promql.Query without a stream. The steps of the query that it is a part of are
// start, start+interval, ... (ms); the columns have those in [from, from+steps). Samples at other times are an error. The
// result belongs to the stream.
func ResultStream(res *promql.Result, s *stats.Statistics, start, interval int64, from, steps int) (ColumnStream, error) {
	c := &resultStream{trailer: Trailer{Annotations: res.Warnings}}
	if s != nil && s.Samples != nil {
		c.trailer.Stats = Stats{
			Total: []int64{s.Samples.TotalSamples}, Read: []int64{s.Samples.SamplesRead},
			Series: int64(s.Samples.TotalSeries), PeakSamples: int64(s.Samples.PeakSamples),
		}
		if s.Samples.EnablePerStepStats {
			c.trailer.Stats.Total = slices.Concat(make([]int64, from), s.Samples.TotalSamplesPerStep)
			c.trailer.Stats.Read = slices.Concat(make([]int64, from), s.Samples.SamplesReadPerStep)
		}
	}
	at := func(t int64) (int, error) {
		k := (t - start) / max(1, interval)
		if t != start+k*interval || k < int64(from) || k >= int64(from+steps) {
			return 0, fmt.Errorf("the result has a sample at %d, which is none of the steps asked for", t)
		}
		return int(k) - from, nil
	}
	switch v := res.Value.(type) {
	case promql.Matrix:
		series := make([]Series, len(v))
		for i, s := range v {
			series[i] = Series{s.Metric, s.DropName}
		}
		c.columns = NewColumns(series, from, steps)
		for i, s := range v {
			for _, p := range s.Floats {
				k, err := at(p.T)
				if err != nil {
					return nil, err
				}
				c.columns.F[i*steps+k] = p.F
				c.columns.Valid.Set(i*steps + k)
			}
			for _, p := range s.Histograms {
				k, err := at(p.T)
				if err != nil {
					return nil, err
				}
				c.columns.SetHistogram(i*steps+k, p.H)
			}
		}
	case promql.Vector:
		series := make([]Series, len(v))
		for i, s := range v {
			series[i] = Series{s.Metric, s.DropName}
		}
		c.columns = NewColumns(series, from, steps)
		for i, s := range v {
			if s.H != nil {
				c.columns.SetHistogram(i*steps, s.H)
				continue
			}
			c.columns.F[i*steps] = s.F
			c.columns.Valid.Set(i * steps)
		}
	default:
		return nil, fmt.Errorf("a result of type %T cannot be a part of a query", res.Value)
	}
	return c, nil
}

type resultStream struct {
	columns *Columns
	trailer Trailer
}

// Next implements ColumnStream.
func (s *resultStream) Next(context.Context) (*Columns, error) {
	c := s.columns
	s.columns = nil
	if c == nil || len(c.Series) == 0 {
		return nil, io.EOF
	}
	return c, nil
}

// Trailer implements ColumnStream.
func (s *resultStream) Trailer() Trailer { return s.trailer }

// Close implements ColumnStream.
func (*resultStream) Close() error { return nil }
