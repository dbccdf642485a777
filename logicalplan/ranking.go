package logicalplan

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/stride-promql/stride/remote"
)

// ranks are the steps of one pattern at which the same members count, best first: an engine may count at a step unless a part of
// what is needed there, which it lacks, is covered by another. Runs are in order and without gaps. uncovered are steps at which there is
// data but nobody may count: together the members have it all, none of them alone.
//
// Data that grows may be there behind its announced end, so that its engine is asked. It is not known to be there: who has announced those
// times comes first, and who has not does not count beside them.
func (p *pattern) ranks(needs []need, times Times, name func(engine int) string) (runs []Run, uncovered []StepRange) {
	type state struct{ useless, ineligible, incomplete []StepRange }
	states := make([]state, len(p.members))
	bounds := []int{0, times.steps()}
	for i, m := range p.members {
		var others remote.Intervals
		for j, o := range p.members {
			if j != i {
				others = others.Union(o.intervals)
			}
		}
		gaps := remote.Intervals{remote.Always}.Without(m.intervals)
		s := &states[i]
		s.useless = times.all().without(stepsThatMeet(m.reach(), needs, times))
		s.ineligible = stepsThatMeet(others.Without(m.intervals), needs, times)
		s.incomplete = stepsThatMeet(gaps, needs, times)
		for _, ranges := range [][]StepRange{s.useless, s.ineligible, s.incomplete} {
			for _, r := range ranges {
				bounds = append(bounds, r.From, r.To)
			}
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	for i := 0; i+1 < len(bounds); i++ {
		r := StepRange{bounds[i], bounds[i+1]}
		var (
			order []int
			data  bool
		)
		for m, s := range states {
			if among(s.useless, r.From) {
				continue
			}
			data = true
			if !among(s.ineligible, r.From) {
				order = append(order, m)
			}
		}
		slices.SortStableFunc(order, func(a, b int) int {
			x, y := among(states[a].incomplete, r.From), among(states[b].incomplete, r.From)
			ma, mb := p.members[a], p.members[b]
			switch {
			case x != y && y:
				return -1
			case x != y:
				return 1
			}
			return cmp.Or(cmp.Compare(mb.intervals.End(), ma.intervals.End()), strings.Compare(name(ma.engine), name(mb.engine)))
		})
		if data && len(order) == 0 {
			uncovered = append(uncovered, r)
		}
		if n := len(runs); n > 0 && slices.Equal(runs[n-1].Inputs, order) && !(data && len(order) == 0) {
			runs[n-1].To = r.To
			continue
		}
		runs = append(runs, Run{r, order})
	}
	return runs, uncovered
}

// stepsThatMeet are the steps that need a sample of any of the intervals.
func stepsThatMeet(intervals remote.Intervals, needs []need, times Times) []StepRange {
	var out []StepRange
	for _, n := range needs {
		for _, i := range intervals {
			if n.fixed {
				if n.lo <= i.End && i.Start <= n.hi {
					return []StepRange{times.all()}
				}
				continue
			}
			// t+lo <= End and t+hi >= Start
			if r := times.stepsIn(minus(i.Start, n.hi), minus(i.End, n.lo)); r.From < r.To {
				out = append(out, r)
			}
		}
	}
	return mergeRanges(out)
}

// minus is a - b without overflow, an end of all times staying what it is.
func minus(a, b int64) int64 {
	if a == math.MinInt64 || a == math.MaxInt64 {
		return a
	}
	if b == math.MinInt64 {
		return math.MaxInt64
	}
	return plus(a, -b)
}

// stepsIn are the steps at times from lo to hi.
func (t Times) stepsIn(lo, hi int64) StepRange {
	steps := t.steps()
	if steps == 0 || hi < t.Start || lo > t.End {
		return StepRange{}
	}
	r := StepRange{To: steps}
	if lo > t.Start {
		r.From = int((lo - t.Start + t.Interval - 1) / t.Interval)
	}
	if hi < t.End {
		r.To = min(steps, int((hi-t.Start)/t.Interval)+1)
	}
	return r
}

// mergeRanges are the same steps, in order and apart.
func mergeRanges(ranges []StepRange) []StepRange {
	slices.SortFunc(ranges, func(a, b StepRange) int { return a.From - b.From })
	out := ranges[:0]
	for _, r := range ranges {
		if n := len(out); n > 0 && r.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}

// without are the steps of r that are not in ranges, which are in order and apart.
func (r StepRange) without(ranges []StepRange) []StepRange {
	var out []StepRange
	at := r.From
	for _, x := range ranges {
		if x.From >= r.To {
			break
		}
		if x.From > at {
			out = append(out, StepRange{at, x.From})
		}
		at = max(at, x.To)
	}
	if at < r.To {
		out = append(out, StepRange{at, r.To})
	}
	return out
}

func among(ranges []StepRange, step int) bool {
	return slices.ContainsFunc(ranges, func(r StepRange) bool { return r.From <= step && step < r.To })
}
