package operators

import "github.com/prometheus/prometheus/model/histogram"

// Samples are the samples of one series in time order, floats and histograms apart, as columns.
// Times are in milliseconds. Start timestamps are nil unless they were asked for, else as long as
// the times. A histogram is never written to.
type Samples struct {
	T  []int64
	F  []float64
	ST []int64

	HT  []int64
	H   []*histogram.FloatHistogram
	HST []int64
}

// Reset empties the columns and keeps their memory; histograms are let go.
func (s *Samples) Reset() {
	clear(s.H)
	s.T, s.F, s.ST = s.T[:0], s.F[:0], s.ST[:0]
	s.HT, s.H, s.HST = s.HT[:0], s.H[:0], s.HST[:0]
}
