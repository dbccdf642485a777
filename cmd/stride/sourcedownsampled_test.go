package main

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/source/chunkseries"
	"github.com/stride-promql/stride/source/downsampled"
)

// chunked is a storage of one series, which gives chunks alone.
type chunked struct {
	storage.Queryable
	series chunkseries.Series
}

// ChunkQuerier implements storage.ChunkQueryable.
func (c chunked) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) {
	return chunkedQuerier{storage.NoopChunkedQuerier(), c.series}, nil
}

type chunkedQuerier struct {
	storage.ChunkQuerier
	series chunkseries.Series
}

// Select implements storage.ChunkQuerier.
func (q chunkedQuerier) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.ChunkSeriesSet {
	return &once{series: q.series.Stored()}
}

type once struct {
	storage.ChunkSeriesSet
	series storage.ChunkSeries
	given  bool
}

func (s *once) Next() bool {
	given := s.given
	s.given = true
	return !given
}
func (s *once) At() storage.ChunkSeries { return s.series }
func (s *once) Err() error              { return nil }

// Warnings implements storage.ChunkSeriesSet.
func (s *once) Warnings() annotations.Annotations { return nil }

// A Thanos querier that is asked for samples alone says a resolution that is finer than any.
func TestResolutionOfSamples(t *testing.T) {
	_, downsampled := (&stored{}).of(remote.WithRequest(t.Context(), remote.Request{MaxSourceResolution: time.Second}), nil, nil)
	require.False(t, downsampled)
}

// A series that one source has aggregates of, and another one younger samples, is one counter: that it was reset before is no reset at the seam.
func TestCountersOverSources(t *testing.T) {
	xor := func(samples ...float64) chunkenc.Chunk {
		c := chunkenc.NewXORChunk()
		app, err := c.Appender()
		require.NoError(t, err)
		for i := 0; i < len(samples); i += 2 {
			app.Append(0, int64(samples[i])*60_000, samples[i+1])
		}
		return c
	}
	of := func(c chunkenc.Chunk, from, to int64) remote.RemoteEngine {
		q := chunked{storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil }), chunkseries.Series{
			Labels: labels.FromStrings("__name__", "c"), Chunks: []chunks.Meta{{MinTime: from * 60_000, MaxTime: to * 60_000, Chunk: c}},
		}}
		return asNode(engine.NewRemoteEngine(engine.New(engine.Opts{}), q, engine.RemoteOpts{Name: "source"}), q, func() ([]string, []remote.Coverage) { return nil, nil })
	}
	// The counter rose to 100, was reset, and stood at 10 at the end of the chunk.
	sources := sourceStorage{func() []remote.RemoteEngine {
		return []remote.RemoteEngine{
			of(xor(15, 11, 20, 12), 15, 20),
			of(downsampled.NewChunk([5]chunkenc.Chunk{downsampled.Counter: xor(0, 90, 5, 100, 10, 110, 10, 10), downsampled.Max: xor(5, 100, 10, 10)}), 0, 10),
		}
	}}
	for _, data := range []storage.Queryable{sources, storage.QueryableFunc(sources.Querier)} { // by chunks, and by samples
		ask := func(expr string, resolution time.Duration) promql.Vector {
			e := newDownsampledEngine(engine.Opts{})
			defer e.Close()
			q, err := e.NewInstantQuery(t.Context(), withRequest(data, func(r *remote.Request) { r.MaxSourceResolution = resolution }), nil, expr, time.UnixMilli(20*60_000))
			require.NoError(t, err)
			defer q.Close()
			res := q.Exec(t.Context())
			require.NoError(t, res.Err)
			return append(promql.Vector(nil), res.Value.(promql.Vector)...)
		}
		// From 0 to 20 min: 20 up to the end of the chunk, 1 and 1 more.
		rose := ask("increase(c[30m])", time.Hour)
		require.Len(t, rose, 1)
		require.InDelta(t, 22, rose[0].F*20/22.5, 0.01, "extrapolated by half an interval")
		// Each function has its own aggregate, and the counter does not serve as the maximum.
		both := ask("max_over_time(c[30m]) + on () increase(c[30m])", time.Hour)
		require.InDelta(t, 100+rose[0].F, both[0].F, 1e-9)
	}
}
