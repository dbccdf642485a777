package server

import (
	"fmt"

	"github.com/stride-promql/stride/remote"
)

// meter counts what is sent for one request.
type meter struct {
	s       *Server
	series  map[int]int64 // by first step: columns of other steps have the same series again
	most    int64         // in series
	samples int64
}

func (s *Server) newMeter() *meter { return &meter{s: s, series: map[int]int64{}} }

// add counts columns.
func (m *meter) add(c *remote.Columns) error {
	n := len(c.Series) * c.Steps
	samples := int64(c.Valid.Count(0, n))
	if c.H != nil {
		for p := c.HValid.Next(0, n); p < n; p = c.HValid.Next(p+1, n) {
			samples += histogramSamples(c.H[p].Size())
		}
	}
	return m.count(c.From, int64(len(c.Series)), samples)
}

// histogramSamples is what a histogram of a number of bytes counts for, with its time.
func histogramSamples(bytes int) int64 { return int64(bytes+8) / 16 }

// count counts series at steps from a first one on, and samples.
func (m *meter) count(from int, series, samples int64) error {
	m.series[from] += series
	if now := m.series[from]; now > m.most {
		m.s.metrics.series.Add(float64(now - m.most))
		m.most = now
	}
	m.samples += samples
	m.s.metrics.samples.Add(float64(samples))
	if limit := m.s.opts.MaxSeries; limit > 0 && m.most > limit {
		return fmt.Errorf("the answer has more than %d series, the most that this node sends: select fewer, or raise the limit", limit)
	}
	if limit := m.s.opts.MaxSamples; limit > 0 && m.samples > limit {
		return fmt.Errorf("the answer has more than %d samples, the most that this node sends: select fewer series or steps, or raise the limit", limit)
	}
	return nil
}
