package downsampled

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/source/chunkseries"
)

// Samples are those of a series of chunks: of aggregates the one that is read, and samples as they are. Where chunks overlap, those that start
// later are left out up to the end of those before. A series without aggregates has all its samples.
func (r Reading) Samples(s *chunkseries.Series) storage.Series {
	if !slices.ContainsFunc(s.Chunks, func(c chunks.Meta) bool { _, ok := c.Chunk.(*Chunk); return ok }) {
		return s.Samples()
	}
	s.Arrange()
	return &storage.SeriesEntry{Lset: s.Labels, SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator {
		all := &chain{reading: r, rest: s.Chunks}
		if len(r.Aggregates) == 1 && r.Aggregates[0] == Counter {
			return &counter{chain: all}
		}
		return &forward{chain: all}
	}}
}

// open gives the samples of one chunk.
func (r Reading) open(c chunkenc.Chunk) chunkenc.Iterator {
	of, ok := c.(*Chunk)
	if !ok {
		return c.Iterator(nil)
	}
	for _, a := range r.Aggregates {
		if of.parts[a] == nil {
			return failed{err: fmt.Errorf("a downsampled chunk has no %s", a)}
		}
	}
	if len(r.Aggregates) == 1 {
		return of.parts[r.Aggregates[0]].Iterator(nil)
	}
	return &average{Iterator: of.parts[Sum].Iterator(nil), count: of.parts[Count].Iterator(nil)}
}

// SeriesSet reads the series of a set of chunks, which may overlap.
func (r Reading) SeriesSet(set storage.ChunkSeriesSet) storage.SeriesSet {
	return &seriesSet{set: set, reading: r}
}

type seriesSet struct {
	set     storage.ChunkSeriesSet
	reading Reading
	at      storage.Series
	err     error
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	if s.err != nil || !s.set.Next() {
		return false
	}
	of := s.set.At()
	all := &chunkseries.Series{Labels: of.Labels()}
	it := of.Iterator(nil)
	for it.Next() {
		all.Chunks = append(all.Chunks, it.At())
	}
	if s.err = it.Err(); s.err != nil {
		return false
	}
	s.at = s.reading.Samples(all)
	return true
}

// At implements storage.SeriesSet.
func (s *seriesSet) At() storage.Series { return s.at }

// Err implements storage.SeriesSet.
func (s *seriesSet) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.set.Err()
}

// Warnings implements storage.SeriesSet.
func (s *seriesSet) Warnings() annotations.Annotations { return s.set.Warnings() }
