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
// warnings.
type sourceStorage struct{ of func() []remote.RemoteEngine }

var _ storage.SampleAndChunkQueryable = sourceStorage{}

// Querier implements storage.Queryable.
func (s sourceStorage) Querier(mint, maxt int64) (storage.Querier, error) {
	var all []storage.Querier
	for _, e := range s.of() {
		q, err := openSamples(e, mint, maxt)
		all = append(all, &source{q, e.Name(), err})
	}
	return sorted{storage.NewMergeQuerier(all, nil, storage.ChainedSeriesMerge)}, nil
}

// ChunkQuerier implements storage.ChunkQueryable.
func (s sourceStorage) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	var all []storage.ChunkQuerier
	for _, e := range s.of() {
		q, err := openChunks(e, mint, maxt)
		all = append(all, &chunkSource{q, e.Name(), err})
	}
	return sortedChunks{storage.NewMergeChunkQuerier(all, nil, storage.NewCompactingChunkSeriesMerger(storage.ChainedSeriesMerge))}, nil
}

var errNoSamples = errors.New("it does not give samples")

func openSamples(e remote.RemoteEngine, mint, maxt int64) (storage.Querier, error) {
	selector, ok := e.(remote.Selector)
	if !ok {
		return storage.NoopQuerier(), errNoSamples
	}
	q, err := selector.Querier(mint, maxt)
	if err != nil {
		return storage.NoopQuerier(), err
	}
	return q, nil
}

func openChunks(e remote.RemoteEngine, mint, maxt int64) (storage.ChunkQuerier, error) {
	chunked, ok := e.(storage.ChunkQueryable)
	if !ok {
		q, err := openSamples(e, mint, maxt)
		return encoding{q}, err
	}
	q, err := chunked.ChunkQuerier(mint, maxt)
	if err != nil {
		return storage.NoopChunkedQuerier(), err
	}
	return q, nil
}

// encoding makes chunks of samples.
type encoding struct{ storage.Querier }

// Select implements storage.ChunkQuerier.
func (e encoding) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return storage.NewSeriesSetToChunkSet(e.Querier.Select(ctx, sorted, hints, matchers...))
}

// source is the samples of one engine. The error of opening it is that of reading from it.
type source struct {
	storage.Querier
	name   string
	failed error
}

// Select implements storage.Querier.
func (s *source) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := storage.ErrSeriesSet(s.failed)
	if s.failed == nil {
		set = s.Querier.Select(ctx, sorted, hints, matchers...)
	}
	return &sourceSet[storage.Series]{set, s.name, allowsPartial(ctx)}
}

// LabelNames implements storage.LabelQuerier.
func (s *source) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return s.labels(ctx, func() ([]string, annotations.Annotations, error) {
		return s.Querier.LabelNames(ctx, hints, matchers...)
	})
}

// LabelValues implements storage.LabelQuerier.
func (s *source) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return s.labels(ctx, func() ([]string, annotations.Annotations, error) {
		return s.Querier.LabelValues(ctx, name, hints, matchers...)
	})
}

func (s *source) labels(ctx context.Context, ask func() ([]string, annotations.Annotations, error)) (found []string, warnings annotations.Annotations, err error) {
	if err = s.failed; err == nil {
		found, warnings, err = ask()
	}
	if err == nil {
		return found, warnings, nil
	}
	if err = remote.EngineError(s.name, err); allowsPartial(ctx) {
		return nil, warnings.Add(err), nil
	}
	return nil, warnings, err
}

// chunkSource is source with chunks.
type chunkSource struct {
	storage.ChunkQuerier
	name   string
	failed error
}

// Select implements storage.ChunkQuerier.
func (s *chunkSource) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	set := storage.ErrChunkSeriesSet(s.failed)
	if s.failed == nil {
		set = s.ChunkQuerier.Select(ctx, sorted, hints, matchers...)
	}
	return &sourceSet[storage.ChunkSeries]{set, s.name, allowsPartial(ctx)}
}

func allowsPartial(ctx context.Context) bool { return remote.RequestFrom(ctx).PartialResponse }

// isQuerys tells errors that are not the source's: limits of this node.
func isQuerys(err error) bool {
	var q *remote.QueryError
	return errors.As(err, &q)
}

// sourceSet is an answer of an engine, which its errors name.
type sourceSet[T any] struct {
	seriesSet[T]
	name    string
	partial bool
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
	switch err := s.seriesSet.Err(); {
	case err != nil && isQuerys(err):
		return err
	case err != nil && !s.partial:
		return remote.EngineError(s.name, err)
	}
	return nil
}

// Warnings implements storage.SeriesSet.
func (s *sourceSet[T]) Warnings() annotations.Annotations {
	all := annotations.New().Merge(s.seriesSet.Warnings())
	if err := s.seriesSet.Err(); err != nil && s.partial && !isQuerys(err) {
		all.Add(remote.EngineError(s.name, err))
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

// withPartialResponse says to what reads from q outside of a query whether a partial response is allowed.
func withPartialResponse(q storage.Queryable, allowed bool) storage.Queryable {
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		inner, err := q.Querier(mint, maxt)
		return partialQuerier{inner, allowed}, err
	})
}

type partialQuerier struct {
	storage.Querier
	allowed bool
}

func (q partialQuerier) context(ctx context.Context) context.Context {
	r := remote.RequestFrom(ctx)
	r.PartialResponse = q.allowed
	return remote.WithRequest(ctx, r)
}

// Select implements storage.Querier.
func (q partialQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return q.Querier.Select(q.context(ctx), sorted, hints, matchers...)
}

// LabelNames implements storage.LabelQuerier.
func (q partialQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.Querier.LabelNames(q.context(ctx), hints, matchers...)
}

// LabelValues implements storage.LabelQuerier.
func (q partialQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.Querier.LabelValues(q.context(ctx), name, hints, matchers...)
}
