package selection

import (
	"context"
	"maps"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
)

type querier struct {
	labelQuerier
	inner storage.Querier
}

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	matchers, some := q.narrow(matchers)
	if !some {
		return storage.EmptySeriesSet()
	}
	return held[storage.Series](q.cut, q.inner.Select(ctx, sorted, hints, matchers...))
}

type chunkQuerier struct {
	labelQuerier
	inner storage.ChunkQuerier
}

// Select implements storage.ChunkQuerier.
func (q *chunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	matchers, some := q.narrow(matchers)
	if !some {
		return storage.EmptyChunkSeriesSet()
	}
	return held[storage.ChunkSeries](q.cut, q.inner.Select(ctx, sorted, hints, matchers...))
}

// labelQuerier answers for label names and values.
type labelQuerier struct {
	storage.LabelQuerier
	from       remote.Selector
	mint, maxt int64
	cut        *cut
}

// narrow gives the matchers to ask with. some is false if there are no such series. Stores that hold several data sets know by their
// external labels which ones to read, and refuse selectors of nothing else.
func (q *labelQuerier) narrow(matchers []*labels.Matcher) (narrowed []*labels.Matcher, some bool) {
	if !q.cut.passes(matchers) {
		return nil, false
	}
	narrowed = slices.Concat(matchers, q.cut.matchers)
	if !slices.ContainsFunc(narrowed, func(m *labels.Matcher) bool { return !q.external(m.Name) }) {
		narrowed = append(narrowed, labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*"))
	}
	return narrowed, true
}

func (q *labelQuerier) external(name string) bool {
	return slices.ContainsFunc(q.cut.kept, func(l labels.Labels) bool { return l.Has(name) })
}

// LabelNames implements storage.LabelQuerier.
func (q *labelQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	if !q.cut.passes(matchers) {
		return nil, nil, nil
	}
	if q.cut.shapes == nil {
		return q.LabelQuerier.LabelNames(ctx, hints, slices.Concat(matchers, q.cut.matchers)...)
	}
	return q.ofSeries(ctx, hints, matchers, func(l labels.Labels, found map[string]struct{}) {
		l.Range(func(l labels.Label) { found[l.Name] = struct{}{} })
	})
}

// LabelValues implements storage.LabelQuerier.
func (q *labelQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	if !q.cut.passes(matchers) {
		return nil, nil, nil
	}
	if q.cut.shapes == nil {
		return q.LabelQuerier.LabelValues(ctx, name, hints, slices.Concat(matchers, q.cut.matchers)...)
	}
	return q.ofSeries(ctx, hints, matchers, func(l labels.Labels, found map[string]struct{}) {
		if v := l.Get(name); v != "" {
			found[v] = struct{}{}
		}
	})
}

// ofSeries collects from the labels of all series: no matchers say exactly which of them are selected.
func (q *labelQuerier) ofSeries(ctx context.Context, hints *storage.LabelHints, matchers []*labels.Matcher, collect func(labels.Labels, map[string]struct{})) ([]string, annotations.Annotations, error) {
	reader, err := q.from.Querier(q.mint, q.maxt)
	if err != nil {
		return nil, nil, err
	}
	defer reader.Close()
	found := map[string]struct{}{}
	matchers, _ = q.narrow(matchers)
	// Prometheus says by this function that it needs no samples.
	only := &storage.SelectHints{Start: q.mint, End: q.maxt, Func: "series"}
	set := held[storage.Series](q.cut, reader.Select(ctx, false, only, matchers...))
	for set.Next() {
		collect(set.At().Labels(), found)
	}
	if err := set.Err(); err != nil {
		return nil, set.Warnings(), err
	}
	out, _ := hints.ApplyLimit(slices.Sorted(maps.Keys(found)))
	return out, set.Warnings(), nil
}

// seriesSet is storage.SeriesSet or storage.ChunkSeriesSet.
type seriesSet[S any] interface {
	Next() bool
	At() S
	Err() error
	Warnings() annotations.Annotations
}

// heldSet leaves series of data sets out that are not selected.
type heldSet[S interface{ Labels() labels.Labels }] struct {
	seriesSet[S]
	cut *cut
	err error
}

func held[S interface{ Labels() labels.Labels }](c *cut, set seriesSet[S]) seriesSet[S] {
	if c.shapes == nil {
		return set
	}
	return &heldSet[S]{seriesSet: set, cut: c}
}

// Next implements storage.SeriesSet.
func (s *heldSet[S]) Next() bool {
	for s.err == nil && s.seriesSet.Next() {
		var holds bool
		if holds, s.err = s.cut.holds(s.At().Labels()); holds && s.err == nil {
			return true
		}
	}
	return false
}

// Err implements storage.SeriesSet.
func (s *heldSet[S]) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.seriesSet.Err()
}
