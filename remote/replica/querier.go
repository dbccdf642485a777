package replica

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
)

// Querier implements remote.Selector. Members are asked when something is read from it, and what none of them can give fails then.
func (g *Group) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{group: g, times: remote.Interval{Start: mint, End: maxt}, opened: map[*member]storage.Querier{}}, nil
}

// querier reads the samples of a group. Each Select is given to one member; if that fails before its first series, another one is asked.
type querier struct {
	group *Group
	times remote.Interval

	mu     sync.Mutex
	opened map[*member]storage.Querier
	sets   []*seriesSet
}

// errNoSamples is the error of a member that is no remote.Selector.
var errNoSamples = errors.New("it does not give samples")

// open is the querier of a member.
func (q *querier) open(m *member) (storage.Querier, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if own := q.opened[m]; own != nil {
		return own, nil
	}
	selector, ok := m.engine.(remote.Selector)
	if !ok {
		return nil, errNoSamples
	}
	own, err := selector.Querier(q.times.Start, q.times.End)
	if err != nil {
		return nil, err
	}
	q.opened[m] = own
	return own, nil
}

// Select implements storage.Querier. Nobody is asked before the first Next.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	times := q.times
	if hints != nil {
		times = remote.Interval{Start: hints.Start, End: hints.End}
	}
	s := &seriesSet{
		querier: q,
		ctx:     ctx,
		times:   remote.Union(times),
		ask: func(ctx context.Context, own storage.Querier) storage.SeriesSet {
			return own.Select(ctx, sorted, hints, matchers...)
		},
		SeriesSet: storage.EmptySeriesSet(),
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sets = append(q.sets, s)
	return s
}

// LabelValues implements storage.LabelQuerier.
func (q *querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.list(ctx, func(ctx context.Context, own storage.Querier) ([]string, annotations.Annotations, error) {
		return own.LabelValues(ctx, name, hints, matchers...)
	})
}

// LabelNames implements storage.LabelQuerier.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.list(ctx, func(ctx context.Context, own storage.Querier) ([]string, annotations.Annotations, error) {
		return own.LabelNames(ctx, hints, matchers...)
	})
}

// list gives what the first member answers that does not fail.
func (q *querier) list(ctx context.Context, ask func(context.Context, storage.Querier) ([]string, annotations.Annotations, error)) (out []string, a annotations.Annotations, err error) {
	var lacks error
	err = q.each(ctx, remote.Union(q.times), func(ctx context.Context, own storage.Querier, t turn) error {
		began := time.Now()
		t.begin()
		out, a, err = ask(ctx, own)
		lacks = t.warning
		t.end(began, ending(ctx, err))
		return err
	})
	if err == nil && lacks != nil {
		a.Add(lacks)
	}
	return out, a, err
}

// each asks one member after another until one does not fail. Errors of the query end it, and so does its end.
func (q *querier) each(ctx context.Context, needs remote.Intervals, ask func(ctx context.Context, own storage.Querier, t turn) error) error {
	turns := q.group.turns(ctx, needs, false)
	var before *member // that failed
	for {
		t := turns.next(true)
		m := t.member
		if m == nil {
			return turns.err()
		}
		if before != nil {
			q.group.opts.Metrics.failover(before)
		}
		own, err := q.open(m)
		if err == nil {
			err = ask(t.with(ctx), own, t)
		}
		switch {
		case err == nil || isQuerys(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		turns.failed(m, err)
		before = m
	}
}

// ending is what an error says of a member.
func ending(ctx context.Context, err error) outcome {
	switch {
	case err == nil || isQuerys(err):
		return whole
	case ctx.Err() != nil:
		return cancelled
	}
	return failed
}

// Close implements storage.LabelQuerier.
func (q *querier) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.sets {
		s.end(cancelled)
	}
	var errs []error
	for _, own := range q.opened {
		errs = append(errs, own.Close())
	}
	q.sets, q.opened = nil, nil
	return errors.Join(errs...)
}

// seriesSet are the series of the member that gave the first one, or none at all.
type seriesSet struct {
	storage.SeriesSet
	querier *querier
	ctx     context.Context
	times   remote.Intervals
	ask     func(context.Context, storage.Querier) storage.SeriesSet

	member  *member // that was asked, until it has ended; nil before
	began   time.Time
	begun   bool
	err     error // if nobody answered
	warning error // that of a member which lacks data
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	if !s.begun {
		s.begun = true
		return s.first()
	}
	if s.err == nil && s.SeriesSet.Next() {
		return true
	}
	s.end(ending(s.ctx, s.Err()))
	return false
}

// first asks for the first series.
func (s *seriesSet) first() (found bool) {
	s.err = s.querier.each(s.ctx, s.times, func(ctx context.Context, own storage.Querier, t turn) error {
		s.member, s.began, s.warning = t.member, time.Now(), t.warning
		t.begin()
		set := s.ask(ctx, own)
		if found = set.Next(); !found {
			err := set.Err()
			s.end(ending(s.ctx, err))
			if err != nil {
				return err
			}
		}
		t.answered(time.Since(s.began))
		s.SeriesSet = set
		return nil
	})
	return found
}

// end tells the member how it ended, the first time.
func (s *seriesSet) end(o outcome) {
	if s.member != nil {
		s.member.end(s.began, o)
		s.member = nil
	}
}

// Err implements storage.SeriesSet.
func (s *seriesSet) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.SeriesSet.Err()
}

// Warnings implements storage.SeriesSet.
func (s *seriesSet) Warnings() annotations.Annotations {
	a := s.SeriesSet.Warnings()
	if s.warning != nil && s.err == nil {
		a = maps.Clone(a)
		a.Add(s.warning)
	}
	return a
}
