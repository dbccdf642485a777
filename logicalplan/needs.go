package logicalplan

import "math"

// need is the times of samples that one selector of a part of the query looks at: relative to each step, or the same at all steps.
type need struct {
	lo, hi int64 // ms, both included
	fixed  bool
}

// needs are those of all selectors of n. Each path from n to a selector counts for itself: what an offset on one of them moves, it
// does not move on another.
func needs(n Node, lookback int64) []need {
	var out []need
	collectNeeds(n, need{}, lookback, &out)
	return out
}

// collectNeeds adds the needs of n, which is evaluated at the times at.
func collectNeeds(n Node, at need, lookback int64, out *[]need) {
	switch n := n.(type) {
	case *VectorSelector:
		at = at.of(n.Timestamp, n.OriginalOffset.Milliseconds())
		if n.Smoothed {
			at.hi = plus(at.hi, lookback)
		}
		at.lo = plus(at.lo, -(lookback - 1))
		*out = append(*out, at)
	case *MatrixSelector:
		s := n.Selector
		at = at.of(s.Timestamp, s.OriginalOffset.Milliseconds())
		at.lo = plus(at.lo, -(durationMillis(n.Range) - 1))
		if s.Anchored || s.Smoothed {
			at.lo = plus(at.lo, -lookback)
		}
		if s.Smoothed {
			at.hi = plus(at.hi, lookback)
		}
		*out = append(*out, at)
	case *Subquery:
		at = at.of(n.Timestamp, n.OriginalOffset.Milliseconds())
		at.lo = plus(at.lo, -(durationMillis(n.Range) - 1))
		collectNeeds(n.Expr, at, lookback, out)
	case *Call:
		for _, c := range n.Args {
			if v, ok := c.(*VectorSelector); ok && v.Timestamp != nil && timesOfSamples(n) {
				exactly := *v
				exactly.OriginalOffset = 0 // these functions read at that time, whatever the offset
				c = &exactly
			}
			collectNeeds(c, at, lookback, out)
		}
	default:
		for _, c := range n.Children() {
			collectNeeds(c, at, lookback, out)
		}
	}
}

// timesOfSamples tells functions that look at the times of samples themselves, directly on a selector.
func timesOfSamples(n *Call) bool {
	return n.Func.Name == "timestamp" || n.Func.Name == "start_timestamp"
}

// of is a with `@` and an offset.
func (a need) of(at *int64, offset int64) need {
	if at != nil {
		a = need{lo: *at, hi: *at, fixed: true}
	}
	a.lo, a.hi = plus(a.lo, -offset), plus(a.hi, -offset)
	return a
}

// at is the need of the step at time t.
func (a need) at(t int64) (lo, hi int64) {
	if a.fixed {
		return a.lo, a.hi
	}
	return plus(t, a.lo), plus(t, a.hi)
}

// latest is the last time that any step needs.
func latest(needs []need, times Times) int64 {
	last := int64(math.MinInt64)
	for _, n := range needs {
		_, hi := n.at(times.Start + int64(times.steps()-1)*times.Interval)
		last = max(last, hi)
	}
	return last
}

// plus is a + b, without overflow.
func plus(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
