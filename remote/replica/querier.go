package replica

import (
	"context"
	"errors"
	"io"
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

// querier reads the samples of a group. Members are asked for each Select as for a query, until the first gives a series.
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
	sets := q.sets
	q.sets = nil
	q.mu.Unlock()
	for _, s := range sets { // members may still be opened while they end
		s.close()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var errs []error
	for _, own := range q.opened {
		errs = append(errs, own.Close())
	}
	q.opened = nil
	return errors.Join(errs...)
}

// seriesSet are the series of the member that gave the first one, or said first that there are none.
type seriesSet struct {
	storage.SeriesSet
	querier *querier
	ctx     context.Context
	times   remote.Intervals
	ask     func(context.Context, storage.Querier) storage.SeriesSet

	contest *contest // nil before the first Next
	winner  *attempt // nil before, and if nobody answered
	given   bool     // the first series was
	err     error    // if nobody answered
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	if s.contest == nil && s.err == nil {
		s.first()
	}
	if s.winner == nil {
		return false
	}
	if !s.given {
		s.given = true
		if s.winner.err == nil {
			return true
		}
	}
	if s.winner.err == nil && s.SeriesSet.Next() {
		return true
	}
	s.winner.end(ending(s.ctx, s.Err()))
	return false
}

// first asks for the first series.
func (s *seriesSet) first() {
	s.contest, s.err = s.querier.group.newContest(s.ctx, s.times, func() reply { return &selection{of: s, set: storage.EmptySeriesSet()} })
	if s.err != nil {
		return
	}
	if s.winner, s.err = s.contest.race(s.ctx); s.err == nil {
		s.SeriesSet = s.winner.reply.(*selection).set
	}
}

// close ends what is under way.
func (s *seriesSet) close() {
	if s.winner != nil {
		s.contest.drop(s.winner, cancelled)
	}
	if s.contest != nil {
		s.contest.close()
	}
}

// Err implements storage.SeriesSet.
func (s *seriesSet) Err() error {
	switch {
	case s.err != nil:
		return s.err
	case s.winner != nil && s.winner.err != nil && s.winner.err != io.EOF:
		return s.winner.err
	}
	return s.SeriesSet.Err()
}

// Warnings implements storage.SeriesSet.
func (s *seriesSet) Warnings() annotations.Annotations {
	a := s.SeriesSet.Warnings()
	if s.winner != nil && s.winner.warning != nil {
		a = maps.Clone(a)
		a.Add(s.winner.warning)
	}
	return a
}

// selection is the reply of one member to a Select.
type selection struct {
	of  *seriesSet
	set storage.SeriesSet
}

func (r *selection) begin(ctx context.Context, m *member) error {
	own, err := r.of.querier.open(m)
	if err != nil {
		return err
	}
	r.set = r.of.ask(ctx, own)
	switch {
	case r.set.Next():
		return nil
	case r.set.Err() != nil:
		return r.set.Err()
	}
	return io.EOF
}

func (*selection) close() error { return nil } // with the querier
