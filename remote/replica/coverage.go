package replica

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/remote"
)

// liveEdge is how old the end of a member's data may be for the member to be live: what came since was not announced yet, so that two
// members that scrape the same now may differ by that much, and either has all.
const liveEdge = 2 * time.Minute

// announcedLate is by how much the ends of what members announce may differ of which each has the same: a scrape, and a while until the next
// announcement. A live member that is further behind is asked when nobody is left that is not.
const announcedLate = 20 * time.Second

// holdings are what a group has, and what each member lacks of it, without those of which nothing is known.
type holdings struct {
	members []*member
	of      [][]remote.Coverage // the members', of which this was made
	all     []remote.Coverage
	lacks   []lack // by member
}

// lack is what one member lacks of what others have, of any label set: requests are for all.
type lack struct {
	gaps  remote.Intervals
	tails map[int64]int64 // where data of some label sets ends -> until when others have more
}

// newHoldings makes them of the members' coverage.
func newHoldings(of [][]remote.Coverage) *holdings {
	h := &holdings{of: of, lacks: make([]lack, len(of))}
	own := make([][]remote.Intervals, len(of)) // by member and label set of all
	sets := map[uint64]int{}
	for m, coverage := range of {
		own[m] = make([]remote.Intervals, len(h.all), max(len(h.all), len(coverage)))
		for i, c := range coverage {
			if i >= len(h.all) || !labels.Equal(h.all[i].Labels, c.Labels) { // members mostly list the same
				i = h.find(sets, c.Labels)
			}
			for len(own[m]) < len(h.all) {
				own[m] = append(own[m], nil)
			}
			own[m][i] = union(own[m][i], c.Intervals)
			h.all[i].Intervals = union(h.all[i].Intervals, c.Intervals)
			h.all[i].Grows = h.all[i].Grows || c.Grows
		}
	}
	for m := range own {
		h.lacks[m] = h.lack(own[m])
	}
	return h
}

// find is the place of a label set in all, where it is put if it is new. Sets whose hashes meet are one behind another.
func (h *holdings) find(sets map[uint64]int, l labels.Labels) int {
	for key := l.Hash(); ; key++ {
		i, ok := sets[key]
		if !ok {
			sets[key] = len(h.all)
			h.all = append(h.all, remote.Coverage{Labels: l})
			return sets[key]
		}
		if labels.Equal(h.all[i].Labels, l) {
			return i
		}
	}
}

// lack is what a member lacks that has the given intervals of the label sets of all.
func (h *holdings) lack(own []remote.Intervals) lack {
	l := lack{tails: map[int64]int64{}}
	for i, c := range h.all {
		var has remote.Intervals
		if i < len(own) {
			has = own[i]
		}
		if slices.Equal(c.Intervals, has) {
			continue
		}
		for _, gap := range c.Intervals.Without(has) {
			switch {
			case len(has) > 0 && gap.Start > has.End() && gap.Start == has.End()+1:
				l.tails[has.End()] = max(l.tails[has.End()], gap.End)
			case len(l.gaps) == 0 || l.gaps[len(l.gaps)-1] != gap:
				l.gaps = append(l.gaps, gap)
			}
		}
	}
	l.gaps = remote.Union(l.gaps...)
	return l
}

// of is what is lacking of the given times.
func (l lack) of(needs remote.Intervals, now time.Time) remote.Intervals {
	out := both(needs, l.gaps)
	for end, until := range l.tails {
		if end < now.Add(-liveEdge).UnixMilli() {
			out = out.Union(both(needs, remote.Intervals{{Start: end + 1, End: until}}))
		}
	}
	return out
}

// behind is what others have of the given times that a live member may lack, because its data ends well before theirs.
func (l lack) behind(needs remote.Intervals, now time.Time) (out remote.Intervals) {
	for end, until := range l.tails {
		if min(until, now.UnixMilli())-end > announcedLate.Milliseconds() {
			out = out.Union(both(needs, remote.Intervals{{Start: end + 1, End: until}}))
		}
	}
	return out
}

// union are the times in either. Intervals that are equal are not made anew.
func union(a, b remote.Intervals) remote.Intervals {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0 || slices.Equal(a, b):
		return a
	}
	return a.Union(b)
}

// both are the times in a and in b.
func both(a, b remote.Intervals) remote.Intervals { return a.Without(a.Without(b)) }

// length is how long intervals are together, in ms. They may be endless.
func length(s remote.Intervals) (sum float64) {
	for _, i := range s {
		sum += float64(i.End) - float64(i.Start)
	}
	return sum
}

// same tells whether coverage is still what it was. What is announced is never written to, so that the same slice says the same.
func same(a, b [][]remote.Coverage) bool {
	return slices.EqualFunc(a, b, func(a, b []remote.Coverage) bool {
		return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
	})
}

// inWords are times for people.
func inWords(s remote.Intervals) string {
	text := func(t int64) string { return time.UnixMilli(t).UTC().Format("2006-01-02T15:04:05.999Z07:00") }
	var out []string
	for _, i := range s {
		switch first, last := i.Start == math.MinInt64, i.End == math.MaxInt64; {
		case first && last:
			out = append(out, "at any time")
		case first:
			out = append(out, "up to "+text(i.End))
		case last:
			out = append(out, "from "+text(i.Start)+" on")
		default:
			out = append(out, fmt.Sprintf("from %s to %s", text(i.Start), text(i.End)))
		}
	}
	return strings.Join(out, ", ")
}
