package gendata

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// stream yields the samples of a series from one range of time to the next.
type stream struct {
	*series
	pos  *walk // at the first sample that was not taken; nil before and after all
	done bool
	ref  storage.SeriesRef // where it is appended to

	floats, histograms uint64 // taken
	mint, maxt         int64  // of those
}

// streams returns all series of the data set in the order of their labels.
func (p *Profile) streams() []*stream {
	layout := p.layout()
	var res []*stream
	for slot := range p.Series {
		for _, s := range p.seriesOf(layout, slot) {
			res = append(res, &stream{series: s})
		}
	}
	slices.SortFunc(res, func(a, b *stream) int { return labels.Compare(a.lset, b.lset) })
	return res
}

// overlapping returns the series that may have samples in a range.
func overlapping(all []*stream, r timeRange) []*stream {
	var res []*stream
	for _, st := range all {
		ends := int64(math.MaxInt64)
		if st.to != math.MaxInt64 {
			ends = st.timing.at(st.to)
		}
		if st.timing.at(st.from) < r.maxt && ends >= r.mint {
			res = append(res, st)
		}
	}
	return res
}

// take appends to buf the samples before limit that have not been taken yet.
func (st *stream) take(limit int64, buf samples) samples {
	if st.pos == nil && !st.done {
		st.pos = st.series.walk()
		st.done = !st.pos.next()
	}
	for !st.done && st.pos.t < limit {
		s := st.pos.sample()
		if st.floats+st.histograms == 0 {
			st.mint = s.t
		}
		st.maxt = s.t
		if s.Type() == chunkenc.ValFloat {
			st.floats++
		} else {
			st.histograms++
		}
		buf = append(buf, s)
		st.done = !st.pos.next()
	}
	if st.done {
		st.pos = nil // Series of pods that are gone need no memory.
	}
	return buf
}
