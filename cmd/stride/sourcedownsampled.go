package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/source/downsampled"
)

// stored reads all chunks of engines as they are, for a query that allows downsampled data: counters go on from one engine's chunks to
// another's, and where chunks of samples and of aggregates overlap, one of them is left out. It is opened once it is needed.
type stored struct {
	once sync.Once
	open func() storage.ChunkQuerier
	all  storage.ChunkQuerier
}

func (s sourceStorage) stored(mint, maxt int64) *stored {
	return &stored{open: func() storage.ChunkQuerier {
		return s.chunks(mint, maxt, storage.NewConcatenatingChunkSeriesMerger())
	}}
}

// of gives the samples of a selector, for the function that its hints name. ok: the query of ctx allows downsampled data.
func (s *stored) of(ctx context.Context, hints *storage.SelectHints, matchers []*labels.Matcher) (set storage.SeriesSet, ok bool) {
	resolution := remote.RequestFrom(ctx).MaxSourceResolution
	if resolution < downsampled.Finest {
		return nil, false // there is none that is finer
	}
	s.once.Do(func() { s.all = s.open() })
	return downsampled.ReadingFor(resolution, hints).SeriesSet(s.all.Select(ctx, true, hints, matchers...)), true
}

func (s *stored) close() error {
	s.once.Do(func() {})
	if s.all == nil {
		return nil
	}
	return s.all.Close()
}

// resolved reads samples, from downsampled data if the query allows that.
type resolved struct {
	storage.Querier
	stored *stored
}

// Select implements storage.Querier.
func (q *resolved) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	if set, ok := q.stored.of(ctx, hints, matchers); ok {
		return set
	}
	return q.Querier.Select(ctx, sorted, hints, matchers...)
}

// Close implements storage.LabelQuerier.
func (q *resolved) Close() error { return errors.Join(q.Querier.Close(), q.stored.close()) }

// resolvedChunks is resolved of chunks.
type resolvedChunks struct {
	storage.ChunkQuerier
	stored *stored
}

// Select implements storage.ChunkQuerier.
func (q *resolvedChunks) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	if set, ok := q.stored.of(ctx, hints, matchers); ok {
		return storage.NewSeriesSetToChunkSet(set)
	}
	return q.ChunkQuerier.Select(ctx, sorted, hints, matchers...)
}

// Close implements storage.LabelQuerier.
func (q *resolvedChunks) Close() error { return errors.Join(q.ChunkQuerier.Close(), q.stored.close()) }

// newDownsampledEngine makes the engine of queries that allow downsampled data. Each selector is read by itself, for the function around it: that
// of one that serves several is none of theirs.
func newDownsampledEngine(opts engine.Opts) *engine.Engine {
	opts.Reg = nil // metrics are those of the engine beside it
	opts.SeparateSelectors = true
	return engine.New(opts)
}

// resolvedOpts are the options of a query that looks back as far as downsampled data needs it.
type resolvedOpts struct {
	promql.QueryOpts
	lookback time.Duration
}

// LookbackDelta implements promql.QueryOpts.
func (o resolvedOpts) LookbackDelta() time.Duration { return o.lookback }

// withResolution makes a query look back as far as data of some resolution needs it, if opts do not say how far. usual is how far it would
// otherwise.
func withResolution(opts promql.QueryOpts, resolution, usual time.Duration) promql.QueryOpts {
	if opts != nil && opts.LookbackDelta() > 0 {
		return opts
	}
	if opts == nil {
		opts = promql.NewPrometheusQueryOpts(false, 0, nil)
	}
	return resolvedOpts{opts, downsampled.Lookback(resolution, usual)}
}

// byResolution evaluates queries of other nodes for which downsampled data will do by an engine of their own.
type byResolution struct {
	remote.RemoteEngine
	downsampled remote.RemoteEngine
	lookback    time.Duration
}

func (e *byResolution) of(ctx context.Context, opts promql.QueryOpts) (remote.RemoteEngine, promql.QueryOpts) {
	resolution := remote.RequestFrom(ctx).MaxSourceResolution
	if resolution < downsampled.Finest {
		return e.RemoteEngine, opts
	}
	return e.downsampled, withResolution(opts, resolution, e.lookback)
}

// NewInstantQuery implements remote.RemoteEngine.
func (e *byResolution) NewInstantQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, ts time.Time) (promql.Query, error) {
	by, opts := e.of(ctx, opts)
	return by.NewInstantQuery(ctx, opts, q, ts)
}

// NewRangeQuery implements remote.RemoteEngine.
func (e *byResolution) NewRangeQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	by, opts := e.of(ctx, opts)
	return by.NewRangeQuery(ctx, opts, q, start, end, interval)
}
