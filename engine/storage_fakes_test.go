package engine_test

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
)

// listed is a storage without chunks that gives its series in the order of the list.
type listed []storage.Series

func (l listed) Querier(int64, int64) (storage.Querier, error) { return listedQuerier{series: l}, nil }

type listedQuerier struct {
	storage.LabelQuerier
	series []storage.Series
}

func (listedQuerier) Close() error { return nil }

func (q listedQuerier) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := &listedSet{}
	for _, s := range q.series {
		if matches(s.Labels(), ms) {
			set.series = append(set.series, s)
		}
	}
	return set
}

func matches(l labels.Labels, ms []*labels.Matcher) bool {
	for _, m := range ms {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

type listedSet struct {
	series []storage.Series
	next   int
}

func (s *listedSet) Next() bool                        { s.next++; return s.next <= len(s.series) }
func (s *listedSet) At() storage.Series                { return s.series[s.next-1] }
func (s *listedSet) Err() error                        { return nil }
func (s *listedSet) Warnings() annotations.Annotations { return nil }

// chunked is a storage with chunks, in the order of the list.
type chunked []storage.ChunkSeries

// Querier is not to be used.
func (c chunked) Querier(int64, int64) (storage.Querier, error) {
	panic("samples of a storage with chunks")
}

func (c chunked) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) {
	return chunkedQuerier{series: c}, nil
}

type chunkedQuerier struct {
	storage.LabelQuerier
	series []storage.ChunkSeries
}

func (chunkedQuerier) Close() error { return nil }

func (q chunkedQuerier) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	set := &chunkedSet{}
	for _, s := range q.series {
		if matches(s.Labels(), ms) {
			set.series = append(set.series, s)
		}
	}
	return set
}

type chunkedSet struct {
	series []storage.ChunkSeries
	next   int
}

func (s *chunkedSet) Next() bool                        { s.next++; return s.next <= len(s.series) }
func (s *chunkedSet) At() storage.ChunkSeries           { return s.series[s.next-1] }
func (s *chunkedSet) Err() error                        { return nil }
func (s *chunkedSet) Warnings() annotations.Annotations { return nil }

// xorChunk encodes samples as they come.
func xorChunk(t testing.TB, encoding chunkenc.Encoding, samples []chunks.Sample) chunks.Meta {
	t.Helper()
	c, err := chunkenc.NewEmptyChunk(encoding)
	require.NoError(t, err)
	app, err := c.Appender()
	require.NoError(t, err)
	m := chunks.Meta{Chunk: c}
	for i, s := range samples {
		app.Append(0, s.T(), s.F())
		if i == 0 {
			m.MinTime, m.MaxTime = s.T(), s.T()
		}
		m.MinTime, m.MaxTime = min(m.MinTime, s.T()), max(m.MaxTime, s.T())
	}
	return m
}

// chunkSeries is a series of the chunks given.
func chunkSeries(l labels.Labels, metas ...chunks.Meta) storage.ChunkSeries {
	return &storage.ChunkSeriesEntry{Lset: l, ChunkIteratorFn: func(chunks.Iterator) chunks.Iterator {
		return storage.NewListChunkSeriesIterator(metas...)
	}}
}

// both offers the samples of one storage and the chunks of another, as a TSDB does.
type both struct {
	listed
	chunked
}

func (b both) Querier(mint, maxt int64) (storage.Querier, error) { return b.listed.Querier(mint, maxt) }
