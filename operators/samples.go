package operators

import "github.com/prometheus/prometheus/model/histogram"

// Samples are the samples of one series in time order, floats and histograms apart, as columns.
// Times are in milliseconds. Start timestamps are nil unless they were asked for, else as long as
// the times. A histogram is never written to, and with an Arena kept by Keep alone.
type Samples struct {
	T  []int64
	F  []float64
	ST []int64

	HT  []int64
	H   []*histogram.FloatHistogram
	HST []int64

	// Arena is set where the histograms are on loan, until the next series is read; Keep copies into it.
	Arena *HistogramArena
	kept  int                       // index of the histogram that Keep copied last
	copy  *histogram.FloatHistogram // the copy; nil: none
}

// Reset empties the columns and keeps their memory; histograms are let go.
func (s *Samples) Reset() {
	clear(s.H)
	s.T, s.F, s.ST = s.T[:0], s.F[:0], s.ST[:0]
	s.HT, s.H, s.HST = s.HT[:0], s.H[:0], s.HST[:0]
	s.Forget()
}

// Forget says that the histograms are others now than those of which Keep has given one.
func (s *Samples) Forget() { s.copy = nil }

// Keep is histogram i for good: who puts it where it outlives the samples takes it from here. It is never written to.
func (s *Samples) Keep(i int) *histogram.FloatHistogram {
	if s.Arena == nil {
		return s.H[i]
	}
	if s.copy == nil || s.kept != i {
		s.kept, s.copy = i, s.Arena.Copy(s.H[i])
	}
	return s.copy
}
