package tsdbdir

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/prometheus/tsdb"
)

// Interval is a closed interval of times in ms.
type Interval struct{ MinTime, MaxTime int64 }

const (
	// leastGap is what a pause has to last at least to be a gap: the usual lookback. A series whose scrapes are further apart would have no
	// value in between, so that a shorter pause may be one between two scrapes.
	leastGap = int64(5 * time.Minute / time.Millisecond)
	// blockRange is what a pause has to last at most: how long the blocks are that a server writes unless it is told otherwise, and with
	// that the least that is missing where one of them is.
	blockRange = int64(2 * time.Hour / time.Millisecond)
)

// Intervals returns the times of which the data directory has data: sorted, with a gap between each two, from MinTime to MaxTime. They are
// nil if there is no sample. A gap holds no sample; what is missing inside of a block is none, since the block does not say so.
func (db *DB) Intervals() []Interval { return db.intervals }

// intervals are the time ranges of blocks and head together, up to the newest sample.
func intervals(db *tsdb.DB, newest int64) []Interval {
	var ranges []Interval
	add := func(mint, maxt int64) {
		// A block ends where its range does, not at its last sample.
		if maxt = min(maxt, newest); mint <= maxt {
			ranges = append(ranges, Interval{mint, maxt})
		}
	}
	for _, b := range db.Blocks() {
		if b.Meta().Stats.NumSeries > 0 {
			add(b.MinTime(), b.MaxTime()-1)
		}
	}
	if head := db.Head(); head.NumSeries() > 0 {
		add(head.MinTime(), head.MaxTime())
		add(head.MinOOOTime(), head.MaxOOOTime())
	}
	return bridge(ranges)
}

// bridge merges time ranges that overlap, touch, or have no more than a pause between them.
//
// A block begins where its range does only if the server ran at that time; after a restart, and in blocks that were written from other
// data, it begins with its first sample. So the end of one and the beginning of the next may be a scrape apart, or whatever the pause
// between samples is in data that has few of them. Such a pause is no gap: where another node has those times, all windows that reach
// over it would have to be put together from samples of both. Whereas where blocks are missing (deleted, not copied, on another node)
// windows have to be. What tells them apart is the length. A block that is missing was as long as those beside it, and leaves at least its
// own length; long blocks, which come of compaction, may stand beside a short one, so that what lasts as long as the shortest that servers write by
// default is a gap whatever is beside it. And whatever lasts less than leastGap is none, even where a block is nearly empty. To
// err is safe on one side alone: a gap has no samples, so that it is no wrong answer to announce one, only a slower one.
func bridge(ranges []Interval) (out []Interval) {
	slices.SortFunc(ranges, func(a, b Interval) int { return cmp.Compare(a.MinTime, b.MinTime) })
	var last int64 // length of the range that the last interval ends with
	for _, r := range ranges {
		length := r.MaxTime - r.MinTime + 1
		if n := len(out); n > 0 {
			i := &out[n-1]
			if pause := r.MinTime - i.MaxTime - 1; pause <= 0 || pause < max(leastGap, min(blockRange, last, length)) {
				if r.MaxTime > i.MaxTime {
					i.MaxTime, last = r.MaxTime, length
				}
				continue
			}
		}
		out, last = append(out, r), length
	}
	return out
}
