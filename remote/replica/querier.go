package replica

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
)

// Querier implements remote.Selector. Members are asked when something is read from it, and what none of them can give fails then.
func (g *Group) Querier(mint, maxt int64) (storage.Querier, error) {
	return &sampleQuerier{g.newQuerier(mint, maxt)}, nil
}

// ChunkQuerier implements storage.ChunkQueryable, as Querier. Members that have no chunks make them of samples.
func (g *Group) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return &chunkQuerier{g.newQuerier(mint, maxt)}, nil
}

func (g *Group) newQuerier(mint, maxt int64) *querier {
	return &querier{group: g, times: remote.Interval{Start: mint, End: maxt}}
}

// querier reads the samples of a group. Members race for each Select, and for each list of labels.
type querier struct {
	group *Group
	times remote.Interval

	mu    sync.Mutex
	races []io.Closer
	own   []io.Closer // the queriers of members, one for each time that one is asked: several may be at work
}

type sampleQuerier struct{ *querier }

// Select implements storage.Querier. Nobody is asked before the first Next.
func (q *sampleQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return newReplicated(ctx, q.querier, newSelection(hints, matchers), func(ctx context.Context, m *member, s selection) (seriesSet[storage.Series], error) {
		own, err := open(q.querier, m, remote.Samples)
		if err != nil {
			return nil, err
		}
		return own.Select(ctx, true, s.hints, s.matchers...), nil
	})
}

type chunkQuerier struct{ *querier }

// Select implements storage.ChunkQuerier. Nobody is asked before the first Next.
func (q *chunkQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return newReplicated(ctx, q.querier, newSelection(hints, matchers), func(ctx context.Context, m *member, s selection) (seriesSet[storage.ChunkSeries], error) {
		own, err := open(q.querier, m, remote.Chunks)
		if err != nil {
			return nil, err
		}
		return own.Select(ctx, true, s.hints, s.matchers...), nil
	})
}

// selection is what is selected.
type selection struct {
	hints    *storage.SelectHints
	matchers []*labels.Matcher
}

// newSelection copies what is selected: members are asked at any time, at once, and sort the matchers in place.
func newSelection(hints *storage.SelectHints, matchers []*labels.Matcher) selection {
	if hints != nil {
		own := *hints
		hints = &own
	}
	return selection{hints, slices.Clone(matchers)}
}

// times are those that are looked at.
func (s selection) times(q *querier) remote.Intervals {
	if s.hints != nil {
		return remote.Union(remote.Interval{Start: s.hints.Start, End: s.hints.End})
	}
	return remote.Union(q.times)
}

// open opens a querier of a member, until that of the group is closed.
func open[Q io.Closer](q *querier, m *member, opens func(e remote.RemoteEngine, mint, maxt int64) (Q, error)) (Q, error) {
	own, err := opens(m.engine, q.times.Start, q.times.End)
	if err == nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.own = append(q.own, own)
	}
	return own, err
}

// keep keeps a race until the querier is closed.
func (q *querier) keep(r io.Closer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.races = append(q.races, r)
}

// list is the one piece of a member's answer about labels.
type list struct {
	ask      func() ([]string, annotations.Annotations, error)
	asked    bool
	values   []string
	warnings annotations.Annotations
}

// Next implements answer.
func (l *list) Next(context.Context) (_ *list, err error) {
	if l.asked {
		return nil, io.EOF
	}
	l.asked = true
	l.values, l.warnings, err = l.ask()
	return l, unexpected(err)
}

// Close implements answer.
func (*list) Close() error { return nil }

// LabelValues implements storage.LabelQuerier.
func (q *querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.list(ctx, func(ctx context.Context, own storage.Querier) ([]string, annotations.Annotations, error) {
		return own.LabelValues(ctx, name, hints, slices.Clone(matchers)...)
	})
}

// LabelNames implements storage.LabelQuerier.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.list(ctx, func(ctx context.Context, own storage.Querier) ([]string, annotations.Annotations, error) {
		return own.LabelNames(ctx, hints, slices.Clone(matchers)...)
	})
}

// list gives what the first member answers that does not fail.
func (q *querier) list(ctx context.Context, ask func(context.Context, storage.Querier) ([]string, annotations.Annotations, error)) ([]string, annotations.Annotations, error) {
	r, err := begin(ctx, q.group, remote.Union(q.times), func(m *member) opener[*list] {
		return func(ctx context.Context) (answer[*list], error) {
			own, err := open(q, m, remote.Samples)
			if err != nil {
				return nil, err
			}
			return &list{ask: func() ([]string, annotations.Annotations, error) { return ask(ctx, own) }}, nil
		}
	})
	if err != nil {
		return nil, nil, err
	}
	q.keep(r)
	l, err := r.Next(ctx)
	if err != nil {
		return nil, nil, err
	}
	r.winner.end(whole)
	r.winner.cancel()
	return l.values, withWarning(l.warnings, r.winner.warning), nil
}

// Close implements storage.LabelQuerier. It waits for all members that were asked.
func (q *querier) Close() error {
	q.mu.Lock()
	races := q.races
	q.races = nil
	q.mu.Unlock()
	for _, r := range races {
		r.Close()
	}
	var errs []error
	for _, own := range q.own {
		errs = append(errs, own.Close())
	}
	q.own = nil
	return errors.Join(errs...)
}
