package main

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
)

// sourceStorage reads the samples of engines, as they are at the time. Where a Request allows a partial response, errors of single engines are
// warnings. Where it allows downsampled data, chunks of all engines are put together first (sourcedownsampled.go).
type sourceStorage struct{ of func() []remote.RemoteEngine }

var _ storage.SampleAndChunkQueryable = sourceStorage{}

// Querier implements storage.Queryable.
func (s sourceStorage) Querier(mint, maxt int64) (storage.Querier, error) {
	var all []storage.Querier
	for _, e := range s.of() {
		q, err := remote.Samples(e, mint, maxt)
		if err != nil {
			q = storage.NoopQuerier()
		}
		all = append(all, &readingAhead{Querier: &source{q, origin{e, mint, maxt}, err}})
	}
	return &resolved{Querier: sorted{storage.NewMergeQuerier(all, nil, storage.ChainedSeriesMerge)}, stored: s.stored(mint, maxt)}, nil
}

// ChunkQuerier implements storage.ChunkQueryable.
func (s sourceStorage) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return &resolvedChunks{
		ChunkQuerier: s.chunks(mint, maxt, storage.NewCompactingChunkSeriesMerger(storage.ChainedSeriesMerge)),
		stored:       s.stored(mint, maxt),
	}, nil
}

// chunks reads the chunks of engines, of which merge makes one series where they have the same.
func (s sourceStorage) chunks(mint, maxt int64, merge storage.VerticalChunkSeriesMergeFunc) storage.ChunkQuerier {
	var all []storage.ChunkQuerier
	for _, e := range s.of() {
		q, err := remote.Chunks(e, mint, maxt)
		if err != nil {
			q = storage.NoopChunkedQuerier()
		}
		all = append(all, &readingChunksAhead{ChunkQuerier: &chunkSource{q, origin{e, mint, maxt}, err}})
	}
	return sortedChunks{storage.NewMergeChunkQuerier(all, nil, merge)}
}

// source is the samples of one engine. The error of opening it is that of reading from it.
type source struct {
	storage.Querier
	origin
	failed error
}

// Select implements storage.Querier.
func (s *source) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := storage.ErrSeriesSet(s.failed)
	if s.failed == nil {
		set = s.Querier.Select(ctx, sorted, hints, matchers...)
	}
	return &sourceSet[storage.Series]{set, s.origin, ctx}
}

// LabelNames implements storage.LabelQuerier.
func (s *source) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return s.names(ctx, s.Querier, s.failed, hints, matchers)
}

// LabelValues implements storage.LabelQuerier.
func (s *source) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return s.values(ctx, s.Querier, s.failed, name, hints, matchers)
}

// chunkSource is source with chunks.
type chunkSource struct {
	storage.ChunkQuerier
	origin
	failed error
}

// Select implements storage.ChunkQuerier.
func (s *chunkSource) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	set := storage.ErrChunkSeriesSet(s.failed)
	if s.failed == nil {
		set = s.ChunkQuerier.Select(ctx, sorted, hints, matchers...)
	}
	return &sourceSet[storage.ChunkSeries]{set, s.origin, ctx}
}

// LabelNames implements storage.LabelQuerier.
func (s *chunkSource) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return s.names(ctx, s.ChunkQuerier, s.failed, hints, matchers)
}

// LabelValues implements storage.LabelQuerier.
func (s *chunkSource) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return s.values(ctx, s.ChunkQuerier, s.failed, name, hints, matchers)
}

// origin is where samples are from: an engine, asked for some times.
type origin struct {
	engine     remote.RemoteEngine
	mint, maxt int64
}

func (o origin) names(ctx context.Context, q storage.LabelQuerier, failed error, hints *storage.LabelHints, matchers []*labels.Matcher) ([]string, annotations.Annotations, error) {
	return o.labels(ctx, failed, func() ([]string, annotations.Annotations, error) { return q.LabelNames(ctx, hints, matchers...) })
}

func (o origin) values(ctx context.Context, q storage.LabelQuerier, failed error, name string, hints *storage.LabelHints, matchers []*labels.Matcher) ([]string, annotations.Annotations, error) {
	return o.labels(ctx, failed, func() ([]string, annotations.Annotations, error) { return q.LabelValues(ctx, name, hints, matchers...) })
}

func (o origin) labels(ctx context.Context, failed error, ask func() ([]string, annotations.Annotations, error)) (found []string, warnings annotations.Annotations, err error) {
	if err = failed; err == nil {
		found, warnings, err = ask()
	}
	if err == nil {
		return found, warnings, nil
	}
	if o.lenient(ctx, err) {
		return nil, warnings.Add(o.missing(err)), nil
	}
	return nil, warnings, o.error(err)
}

// lenient tells whether an error is to be a warning. The end of the query is none of the engine's, and neither are limits of this node. It says the
// same at any time, be the query over by then or not.
func (o origin) lenient(ctx context.Context, err error) bool {
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	return remote.RequestFrom(ctx).PartialResponse && !ended && !remote.Blameless(err)
}

// missing is the warning that an error becomes.
func (o origin) missing(err error) error { return remote.Missing(o.engine, o.mint, o.maxt, err) }

// error names the engine, if it is its error.
func (o origin) error(err error) error {
	if remote.Blameless(err) {
		return err
	}
	return remote.EngineError(o.engine.Name(), err)
}

// sourceSet is an answer of an engine, which its errors name.
type sourceSet[T any] struct {
	seriesSet[T]
	origin
	ctx context.Context
}

// seriesSet is storage.SeriesSet or storage.ChunkSeriesSet.
type seriesSet[T any] interface {
	Next() bool
	At() T
	Err() error
	Warnings() annotations.Annotations
}

// Err implements storage.SeriesSet.
func (s *sourceSet[T]) Err() error {
	err := s.seriesSet.Err()
	if err == nil || s.lenient(s.ctx, err) {
		return nil
	}
	return s.error(err)
}

// Warnings implements storage.SeriesSet.
func (s *sourceSet[T]) Warnings() annotations.Annotations {
	all := annotations.New().Merge(s.seriesSet.Warnings())
	if err := s.seriesSet.Err(); err != nil && s.lenient(s.ctx, err) {
		all.Add(s.missing(err))
	}
	return all
}

// sorted asks for series in the order of labels, in which they are merged.
type sorted struct{ storage.Querier }

// Select implements storage.Querier.
func (q sorted) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return q.Querier.Select(ctx, true, hints, matchers...)
}

// sortedChunks is sorted of chunks.
type sortedChunks struct{ storage.ChunkQuerier }

// Select implements storage.ChunkQuerier.
func (q sortedChunks) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return q.ChunkQuerier.Select(ctx, true, hints, matchers...)
}

// withRequest has what reads from q outside of a query, or in one that knows nothing of it, do so for a Request that set changes.
func withRequest(q storage.Queryable, set func(*remote.Request)) storage.Queryable {
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		inner, err := q.Querier(mint, maxt)
		return requestQuerier{inner, set}, err
	})
}

type requestQuerier struct {
	storage.Querier
	set func(*remote.Request)
}

func (q requestQuerier) context(ctx context.Context) context.Context {
	r := remote.RequestFrom(ctx)
	q.set(&r)
	return remote.WithRequest(ctx, r)
}

// Select implements storage.Querier.
func (q requestQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return q.Querier.Select(q.context(ctx), sorted, hints, matchers...)
}

// LabelNames implements storage.LabelQuerier.
func (q requestQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.Querier.LabelNames(q.context(ctx), hints, matchers...)
}

// LabelValues implements storage.LabelQuerier.
func (q requestQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.Querier.LabelValues(q.context(ctx), name, hints, matchers...)
}
