package remote

import (
	"cmp"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

// Coverage says when an engine has data of one external label set.
type Coverage struct {
	// Labels are the external labels without replica labels. Every series of the data has them.
	Labels labels.Labels
	// Intervals are sorted and have at least a millisecond between them. Data outside of them is not there; what is missing inside
	// of them without having been said cannot be told from series that do not exist.
	Intervals Intervals
	// Grows says that the data may go on behind the last interval by now: what was announced is a little old. The engine is asked for later
	// times as well, unless another one is known to have them.
	Grows bool
}

// Add takes in what is announced of the same label set elsewhere.
func (c *Coverage) Add(o Coverage) {
	c.Intervals = c.Intervals.Union(o.Intervals)
	c.Grows = c.Grows || o.Grows
}

// Equal tells whether both say the same.
func (c Coverage) Equal(o Coverage) bool {
	return labels.Equal(c.Labels, o.Labels) && c.Grows == o.Grows && slices.Equal(c.Intervals, o.Intervals)
}

// Interval is a closed interval of times in ms.
type Interval struct{ Start, End int64 }

// Always is the interval of all times.
var Always = Interval{Start: math.MinInt64, End: math.MaxInt64}

// Empty tells intervals without any time.
func (i Interval) Empty() bool { return i.Start > i.End }

// Intervals are sorted, not empty, and neither overlap nor touch.
type Intervals []Interval

// Union are the times in any of the given intervals, which may be in any order.
func Union(intervals ...Interval) Intervals {
	sorted := make(Intervals, 0, len(intervals))
	for _, i := range intervals {
		if !i.Empty() {
			sorted = append(sorted, i)
		}
	}
	slices.SortFunc(sorted, func(a, b Interval) int { return cmp.Compare(a.Start, b.Start) })
	out := sorted[:0]
	for _, i := range sorted {
		if n := len(out); n > 0 && (out[n-1].End == math.MaxInt64 || i.Start <= out[n-1].End+1) {
			out[n-1].End = max(out[n-1].End, i.End)
			continue
		}
		out = append(out, i)
	}
	return out
}

// Union are the times in either.
func (s Intervals) Union(o Intervals) Intervals {
	return Union(slices.Concat(s, o)...)
}

// Without are the times of s that are not in o.
func (s Intervals) Without(o Intervals) Intervals {
	var out Intervals
	for _, i := range s {
		at := i.Start
		done := false
		for _, x := range o {
			if x.End < at {
				continue
			}
			if x.Start > i.End {
				break
			}
			if x.Start > at {
				out = append(out, Interval{at, x.Start - 1})
			}
			if x.End >= i.End {
				done = true
				break
			}
			at = x.End + 1
		}
		if !done {
			out = append(out, Interval{at, i.End})
		}
	}
	return out
}

// Within is what of the intervals is inside of one.
func (s Intervals) Within(i Interval) (out Intervals) {
	for _, in := range s {
		if in.Start, in.End = max(in.Start, i.Start), min(in.End, i.End); in.Start <= in.End {
			out = append(out, in)
		}
	}
	return out
}

// Meets tells whether any time is in both.
func (s Intervals) Meets(i Interval) bool {
	for _, x := range s {
		if x.Start <= i.End && i.Start <= x.End {
			return true
		}
	}
	return false
}

// Contains tells whether all times of i are in s.
func (s Intervals) Contains(i Interval) bool {
	for _, x := range s {
		if x.Start <= i.Start && i.End <= x.End {
			return true
		}
	}
	return i.Empty()
}

// End is the last time in s, or the least int64 if there is none.
func (s Intervals) End() int64 {
	if len(s) == 0 {
		return math.MinInt64
	}
	return s[len(s)-1].End
}
