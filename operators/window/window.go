// Package window holds the kernels of PromQL's range-vector functions: each evaluates one function
// over one series, at all steps of a range in one loop, so that neighbouring windows can share work.
package window

import (
	"slices"
	"sort"
	"time"

	"github.com/stride-promql/stride/operators"
)

// Spec says what the windows of a range selector or subquery look like. Times and durations are in
// milliseconds. The window of a step at time t holds the samples with
//
//	t-Offset-Range < T <= t-Offset
//
// where the left end moves back by Lookback with Anchored or Smoothed, and the right end on by
// Lookback with Smoothed. With Range 0 and Smoothed it is the window of a smoothed instant selector.
type Spec struct {
	Grid     operators.Grid
	Range    int64
	Offset   int64
	Lookback int64
	Anchored bool
	Smoothed bool
	// Fixed is set for a selector or subquery with @: the window of the grid's first step serves
	// every step, while the evaluation time moves.
	Fixed bool
}

// interval returns the ends of the window of a step: samples with mint < T <= maxt are in it.
func (s *Spec) interval(step int) (mint, maxt int64) {
	if s.Fixed {
		step = 0
	}
	maxt = s.Grid.Time(step) - s.Offset
	mint = maxt - s.Range
	if s.Anchored || s.Smoothed {
		mint -= s.Lookback
	}
	if s.Smoothed {
		maxt += s.Lookback
	}
	return mint, maxt
}

// rangeAt returns the ends of the range itself at a step, without widening; it moves with the
// step also where the window is fixed.
func (s *Spec) rangeAt(step int) (start, end int64) {
	end = s.Grid.Time(step) - s.Offset
	return end - s.Range, end
}

// rangeSeconds is the length of the range in the way in which Prometheus converts it.
func (s *Spec) rangeSeconds() float64 {
	return (time.Duration(s.Range) * time.Millisecond).Seconds()
}

// overlapping tells whether neighbouring windows share so many samples that moving a state from one
// window to the next is cheaper than looking at a window's samples again.
func (s *Spec) overlapping() bool {
	return s.Grid.Steps > 1 && !s.Fixed && s.Grid.Interval*4 < s.Range
}

// Bounds are the windows of the steps of a range as half-open ranges of indexes into the samples
// of a series: [Lo, Hi) into the floats, [HLo, HHi) into the histograms. Neither end ever
// decreases from step to step. HLo and HHi are nil when the series has no histogram, or there is no step.
type Bounds struct {
	Lo, Hi, HLo, HHi []int32
}

// Bounds finds the windows of the steps r over the samples of a series and puts them into b, whose memory it reuses.
func (s *Spec) Bounds(r operators.StepRange, in *operators.Samples, b *Bounds) {
	n := r.Len()
	b.Lo, b.Hi = s.find(r, in.T, resize(b.Lo, n), resize(b.Hi, n))
	if len(in.HT) == 0 || n == 0 {
		b.HLo, b.HHi = nil, nil
		return
	}
	b.HLo, b.HHi = s.find(r, in.HT, resize(b.HLo, n), resize(b.HHi, n))
}

func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// find walks two indexes over the times, one for each end of the window.
func (s *Spec) find(r operators.StepRange, t []int64, los, his []int32) (lo, hi []int32) {
	if len(los) == 0 {
		return los, his
	}
	mint, maxt := s.interval(r.From)
	l, h := after(t, mint), after(t, maxt)
	if s.Fixed {
		for i := range los {
			los[i], his[i] = int32(l), int32(h)
		}
		return los, his
	}
	his = his[:len(los)]
	for i := range los {
		for l < len(t) && t[l] <= mint {
			l++
		}
		for h < len(t) && t[h] <= maxt {
			h++
		}
		los[i], his[i] = int32(l), int32(h)
		mint += s.Grid.Interval
		maxt += s.Grid.Interval
	}
	return los, his
}

// after is the index of the first time later than x.
func after(t []int64, x int64) int {
	return sort.Search(len(t), func(i int) bool { return t[i] > x })
}

// atOrAfter is the index of the first time not before x.
func atOrAfter(t []int64, x int64) int {
	return sort.Search(len(t), func(i int) bool { return t[i] >= x })
}
