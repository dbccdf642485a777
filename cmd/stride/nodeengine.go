package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
)

// nodeEngine is an engine over a storage as other engines see it, with what it announces as it is at the time.
type nodeEngine struct {
	remote.RemoteEngine
	storage.Queryable
	announce func() ([]string, []remote.Coverage)

	mu       sync.Mutex
	names    []string
	coverage []remote.Coverage
}

var _ remote.Selector = (*nodeEngine)(nil)

// newNodeEngine announces what announce gives whenever it is asked.
func newNodeEngine(name string, e *engine.Engine, q storage.Queryable, group string, peer remote.PeerType, announce func() ([]string, []remote.Coverage)) *nodeEngine {
	return &nodeEngine{
		RemoteEngine: engine.NewRemoteEngine(e, q, engine.RemoteOpts{Name: name, GroupID: group, PeerType: peer}),
		Queryable:    q,
		announce:     announce,
	}
}

// Labels implements remote.RemoteEngine.
func (n *nodeEngine) Labels() []string {
	names, _ := n.refresh()
	return names
}

// Coverage implements remote.RemoteEngine.
func (n *nodeEngine) Coverage() []remote.Coverage {
	_, coverage := n.refresh()
	return coverage
}

// refresh gives the same slices as before where nothing has changed: who plans queries knows them by that.
func (n *nodeEngine) refresh() ([]string, []remote.Coverage) {
	names, coverage := n.announce()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(names, n.names) {
		n.names = names
	}
	if !slices.EqualFunc(coverage, n.coverage, func(a, b remote.Coverage) bool {
		return labels.Equal(a.Labels, b.Labels) && slices.Equal(a.Intervals, b.Intervals)
	}) {
		n.coverage = coverage
	}
	return n.names, n.coverage
}

// sourceStorage reads the samples of all sources. Names and values of labels are those of the series: other nodes are asked for nothing else.
type sourceStorage struct {
	of sources
	// partial makes warnings of the errors of single sources.
	partial bool
}

// Querier implements storage.Queryable.
func (s sourceStorage) Querier(mint, maxt int64) (storage.Querier, error) {
	var queriers []storage.Querier
	for _, e := range s.of.Engines() {
		queriers = append(queriers, openSource(e, mint, maxt))
	}
	if s.partial {
		return &sourceQuerier{storage.NewMergeQuerier(nil, queriers, storage.ChainedSeriesMerge)}, nil
	}
	return &sourceQuerier{storage.NewMergeQuerier(queriers, nil, storage.ChainedSeriesMerge)}, nil
}

// openSource gives the samples of an engine, or their error when they are read.
func openSource(e remote.RemoteEngine, mint, maxt int64) storage.Querier {
	selector, ok := e.(remote.Selector)
	if !ok {
		return failedSource{remote.EngineError(e.Name(), errors.New("it does not give samples"))}
	}
	q, err := selector.Querier(mint, maxt)
	if err != nil {
		return failedSource{remote.EngineError(e.Name(), err)}
	}
	return q
}

// failedSource stands for a source that could not be opened.
type failedSource struct{ err error }

// Select implements storage.Querier.
func (f failedSource) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return storage.ErrSeriesSet(f.err)
}

// LabelValues implements storage.Querier.
func (f failedSource) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, f.err
}

// LabelNames implements storage.Querier.
func (f failedSource) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, f.err
}

// Close implements storage.Querier.
func (failedSource) Close() error { return nil }

type sourceQuerier struct{ storage.Querier }

// Select implements storage.Querier: sources are merged, so that series come in the order of labels.
func (q *sourceQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return q.Querier.Select(ctx, true, hints, matchers...)
}

// LabelNames implements storage.Querier.
func (q *sourceQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.collect(ctx, hints, matchers, func(l labels.Labels, add func(string)) { l.Range(func(l labels.Label) { add(l.Name) }) })
}

// LabelValues implements storage.Querier.
func (q *sourceQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.collect(ctx, hints, matchers, func(l labels.Labels, add func(string)) {
		if v := l.Get(name); v != "" {
			add(v)
		}
	})
}

// collect gives what the series have, sorted.
func (q *sourceQuerier) collect(ctx context.Context, hints *storage.LabelHints, matchers []*labels.Matcher, of func(labels.Labels, func(string))) ([]string, annotations.Annotations, error) {
	if len(matchers) == 0 {
		matchers = []*labels.Matcher{labels.MustNewMatcher(labels.MatchNotEqual, labels.MetricName, "")}
	}
	seen := map[string]struct{}{}
	set := q.Querier.Select(ctx, true, &storage.SelectHints{Func: "series"}, matchers...)
	for set.Next() {
		of(set.At().Labels(), func(s string) { seen[s] = struct{}{} })
	}
	var out []string
	for s := range seen {
		out = append(out, s)
	}
	slices.Sort(out)
	if hints != nil && hints.Limit > 0 && len(out) > hints.Limit {
		out = out[:hints.Limit]
	}
	return out, set.Warnings(), set.Err()
}
