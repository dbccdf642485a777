// Package chunkseries makes series of chunks that came over a network: in any order, some of them twice.
package chunkseries

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// Series is one series and its chunks, as they came.
type Series struct {
	Labels labels.Labels
	Chunks []chunks.Meta
}

// Arrange puts the chunks in order, those of the same times by their bytes as Thanos does, and leaves copies out, which come from nodes that ask
// several ones with the same data. It tells whether chunks overlap then.
func (s *Series) Arrange() (overlap bool) {
	sorted := slices.IsSortedFunc(s.Chunks, compareChunks)
	if !sorted {
		slices.SortStableFunc(s.Chunks, compareChunks)
	}
	s.Chunks = slices.CompactFunc(s.Chunks, func(a, b chunks.Meta) bool {
		return compareChunks(a, b) == 0
	})
	for i := 1; i < len(s.Chunks); i++ {
		overlap = overlap || s.Chunks[i].MinTime <= s.Chunks[i-1].MaxTime
	}
	return overlap
}

func compareChunks(a, b chunks.Meta) int {
	if c := cmp.Or(cmp.Compare(a.MinTime, b.MinTime), cmp.Compare(a.MaxTime, b.MaxTime)); c != 0 {
		return c
	}
	return cmp.Or(bytes.Compare(a.Chunk.Bytes(), b.Chunk.Bytes()), cmp.Compare(a.Chunk.Encoding(), b.Chunk.Encoding()))
}

// Samples are those of all chunks; of samples with the same time there is one.
func (s *Series) Samples() storage.Series {
	overlap := s.Arrange()
	if len(s.Chunks) == 0 {
		return storage.NewListSeries(s.Labels, nil)
	}
	if !overlap {
		return &storage.SeriesEntry{Lset: s.Labels, SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator {
			return &chained{rest: s.Chunks}
		}}
	}
	parts := make([]storage.Series, len(s.Chunks))
	for i, c := range s.Chunks {
		parts[i] = &storage.SeriesEntry{Lset: s.Labels, SampleIteratorFn: c.Chunk.Iterator}
	}
	return storage.ChainedSeriesMerge(parts...)
}

var mergeChunks = storage.NewCompactingChunkSeriesMerger(storage.ChainedSeriesMerge)

// ChunkSeries are chunks that do not overlap.
func (s *Series) ChunkSeries() storage.ChunkSeries {
	overlap := s.Arrange()
	if !overlap {
		return chunkSeries(s.Labels, s.Chunks...)
	}
	parts := make([]storage.ChunkSeries, len(s.Chunks))
	for i, c := range s.Chunks {
		parts[i] = chunkSeries(s.Labels, c)
	}
	return mergeChunks(parts...)
}

// Stored are all chunks, in order, as they are.
func (s *Series) Stored() storage.ChunkSeries {
	s.Arrange()
	return chunkSeries(s.Labels, s.Chunks...)
}

func chunkSeries(l labels.Labels, metas ...chunks.Meta) storage.ChunkSeries {
	return &storage.ChunkSeriesEntry{Lset: l, ChunkIteratorFn: func(chunks.Iterator) chunks.Iterator {
		return storage.NewListChunkSeriesIterator(metas...)
	}}
}

// chained iterates over chunks that are in order and do not overlap.
type chained struct {
	chunkenc.Iterator // of the chunk at hand; nil before the first
	rest              []chunks.Meta
	typ               chunkenc.ValueType
}

// Next implements chunkenc.Iterator.
func (c *chained) Next() chunkenc.ValueType {
	for {
		if c.Iterator != nil {
			if c.typ = c.Iterator.Next(); c.typ != chunkenc.ValNone || c.Iterator.Err() != nil {
				return c.typ
			}
		}
		if len(c.rest) == 0 {
			c.typ = chunkenc.ValNone
			return c.typ
		}
		c.open()
	}
}

// millis is a time. Its name keeps vet from taking Seek for io.Seeker's.
type millis = int64

// Seek implements chunkenc.Iterator.
func (c *chained) Seek(t millis) chunkenc.ValueType {
	if c.Iterator != nil {
		if c.typ != chunkenc.ValNone && c.AtT() >= t {
			return c.typ
		}
		if c.typ = c.Iterator.Seek(t); c.typ != chunkenc.ValNone || c.Iterator.Err() != nil {
			return c.typ
		}
	}
	for len(c.rest) > 0 {
		if c.rest[0].MaxTime < t {
			c.rest = c.rest[1:]
			continue
		}
		c.open()
		if c.typ = c.Iterator.Seek(t); c.typ != chunkenc.ValNone || c.Iterator.Err() != nil {
			return c.typ
		}
	}
	c.typ = chunkenc.ValNone
	return c.typ
}

// Err implements chunkenc.Iterator.
func (c *chained) Err() error {
	if c.Iterator == nil {
		return nil
	}
	return c.Iterator.Err()
}

func (c *chained) open() {
	c.Iterator = c.rest[0].Chunk.Iterator(c.Iterator)
	c.rest = c.rest[1:]
}
