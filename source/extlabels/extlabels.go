// Package extlabels shows a storage with external labels: labels that all of its series have besides their own, and by which it
// is told from other storages.
package extlabels

import (
	"context"
	"errors"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// Storage is a storage with external labels. An external label hides a label of the same name that a series has of its own, as in
// Thanos, so that all series of the storage have it. Two series that cannot be told apart any more are an error.
type Storage struct {
	inner    storage.SampleAndChunkQueryable
	external labels.Labels
}

var _ storage.SampleAndChunkQueryable = (*Storage)(nil)

// New shows inner with external labels.
func New(inner storage.SampleAndChunkQueryable, external labels.Labels) *Storage {
	return &Storage{inner, external}
}

// Querier implements storage.Queryable.
func (s *Storage) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := s.inner.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &querier{labelQuerier{inner: q, external: s.external}, q}, nil
}

// ChunkQuerier implements storage.ChunkQueryable.
func (s *Storage) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := s.inner.ChunkQuerier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &chunkQuerier{labelQuerier{inner: q, external: s.external}, q}, nil
}

type querier struct {
	labelQuerier
	inner storage.Querier
}

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	rest, ok := remaining(q.external, matchers)
	if !ok {
		return storage.EmptySeriesSet()
	}
	inner := q.inner.Select(ctx, sorted, hints, orAll(rest)...)
	return newSeriesSet(inner, sorted, q.external, q.hidden(ctx), func(s storage.Series, l labels.Labels) storage.Series { return labelledSeries{s, l} })
}

type labelledSeries struct {
	storage.Series
	labels labels.Labels
}

// Labels implements storage.Labels.
func (s labelledSeries) Labels() labels.Labels { return s.labels }

type chunkQuerier struct {
	labelQuerier
	inner storage.ChunkQuerier
}

// Select implements storage.ChunkQuerier.
func (q *chunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	rest, ok := remaining(q.external, matchers)
	if !ok {
		return storage.EmptyChunkSeriesSet()
	}
	inner := q.inner.Select(ctx, sorted, hints, orAll(rest)...)
	return newSeriesSet(inner, sorted, q.external, q.hidden(ctx), func(s storage.ChunkSeries, l labels.Labels) storage.ChunkSeries { return labelledChunkSeries{s, l} })
}

type labelledChunkSeries struct {
	storage.ChunkSeries
	labels labels.Labels
}

// Labels implements storage.Labels.
func (s labelledChunkSeries) Labels() labels.Labels { return s.labels }

// labelQuerier answers for label names and values.
type labelQuerier struct {
	inner    storage.LabelQuerier
	external labels.Labels

	looked  bool
	hides   bool
	hideErr error
}

// hidden returns what finds out, once for all selectors, whether there are series with labels that external ones hide.
func (q *labelQuerier) hidden(ctx context.Context) func() (bool, error) {
	return func() (bool, error) {
		if !q.looked {
			q.looked = true
			q.external.Range(func(l labels.Label) {
				own, _, err := q.inner.LabelValues(ctx, l.Name, &storage.LabelHints{Limit: 1})
				q.hides = q.hides || len(own) > 0
				q.hideErr = errors.Join(q.hideErr, err)
			})
		}
		return q.hides, q.hideErr
	}
}

// LabelNames implements storage.LabelQuerier.
func (q *labelQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	rest, ok := remaining(q.external, matchers)
	if !ok {
		return nil, nil, nil
	}
	names, warnings, err := q.inner.LabelNames(ctx, hints, rest...)
	if err != nil || len(names) == 0 { // Without series there are no external labels either.
		return nil, warnings, err
	}
	names = slices.Clone(names)
	q.external.Range(func(l labels.Label) { names = append(names, l.Name) })
	slices.Sort(names)
	names, _ = hints.ApplyLimit(slices.Compact(names))
	return names, warnings, nil
}

// LabelValues implements storage.LabelQuerier.
func (q *labelQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	rest, ok := remaining(q.external, matchers)
	if !ok {
		return nil, nil, nil
	}
	value := q.external.Get(name)
	if value == "" {
		return q.inner.LabelValues(ctx, name, hints, rest...)
	}
	// All series have it, if there are any.
	names, warnings, err := q.inner.LabelNames(ctx, &storage.LabelHints{Limit: 1}, rest...)
	if err != nil || len(names) == 0 {
		return nil, warnings, err
	}
	return []string{value}, warnings, nil
}

// Close implements storage.LabelQuerier.
func (q *labelQuerier) Close() error { return q.inner.Close() }

// remaining are the matchers that external labels do not answer, in a slice of their own, as storages sort them. ok is false if
// an external label does not match.
func remaining(external labels.Labels, matchers []*labels.Matcher) (rest []*labels.Matcher, ok bool) {
	for _, m := range matchers {
		value := external.Get(m.Name)
		switch {
		case value == "":
			rest = append(rest, m)
		case !m.Matches(value):
			return nil, false
		}
	}
	return rest, true
}

// orAll makes a selector without matchers one of all series: storages take no empty one.
func orAll(matchers []*labels.Matcher) []*labels.Matcher {
	if len(matchers) > 0 {
		return matchers
	}
	return []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*")}
}
