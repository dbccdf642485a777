package replica

import (
	"cmp"
	"context"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/stride-promql/stride/remote"
)

// stream is the answer of a group. Columns of the member that began to answer first go straight through, so that nothing is held here that
// nobody accounts for.
type stream struct {
	query *query
	turns *turns
	ctx   context.Context // what members are asked with

	running []*attempt // at most two, of which none has begun to answer as far as known
	winner  *attempt   // the one that answers, or nil
	given   bool       // columns of it were handed out
	losers  sync.WaitGroup
}

// ask asks the next member, if there is one.
func (s *stream) ask(hedge bool) bool {
	t := s.turns.next(len(s.running) == 0)
	if t.member == nil {
		return false
	}
	a := start(t.with(s.ctx), s.query, t.member)
	a.hedge, a.warning = hedge, t.warning
	s.running = append(s.running, a)
	return true
}

// Next implements remote.ColumnStream.
func (s *stream) Next(ctx context.Context) (*remote.Columns, error) {
	for {
		if s.winner == nil {
			if err := s.race(ctx); err != nil {
				return nil, err
			}
		}
		c, err := s.winner.next(ctx)
		switch {
		case err == nil:
			s.given = true
			return c, nil
		case !s.winner.failed():
			s.winner.end(whole)
			return nil, err
		}
		a := s.winner
		s.winner = nil
		if err := s.fail(ctx, a); err != nil {
			return nil, err
		}
		if s.given {
			s.given = false
			return nil, remote.ErrRestart
		}
	}
}

// race waits for the first member that begins to answer. Of those that fail others take the place.
func (s *stream) race(ctx context.Context) error {
	for {
		var ready [2]<-chan struct{}
		for i, a := range s.running {
			ready[i] = a.ready
		}
		late, stop := s.late()
		var a *attempt
		select {
		case <-ready[0]:
			a = s.running[0]
		case <-ready[1]:
			a = s.running[1]
		case <-late:
			s.hedge()
		case <-ctx.Done():
		}
		stop()
		switch {
		case s.ended(ctx) != nil:
			return s.ended(ctx)
		case a == nil:
		case !a.failed():
			s.win(a)
			return nil
		default:
			s.running = without(s.running, a)
			if err := s.fail(ctx, a); err != nil {
				return err
			}
		}
	}
}

// late tells when the only member that was asked is late, and then again and again: an extra request may be allowed by then.
func (s *stream) late() (<-chan time.Time, func() bool) {
	if len(s.running) != 1 || len(s.turns.whole) == 0 {
		return nil, func() bool { return false }
	}
	a := s.running[0]
	wait := a.member.late()
	if left := wait - time.Since(a.began); left > 0 {
		wait = left
	}
	t := time.NewTimer(wait)
	return t.C, t.Stop
}

// hedge asks another member, if the budget allows it or the one that was asked seems to hang. Such a one has all but failed, so that it takes
// nothing from the budget.
func (s *stream) hedge() {
	a := s.running[0]
	if time.Since(a.began) >= a.member.hangs() || s.turns.more() && s.query.group.budget.spend() {
		s.ask(true)
	}
}

// win makes a the one that answers. Nobody waits for the others to notice; they may be asked again should it fail.
func (s *stream) win(a *attempt) {
	if len(s.running) > 1 {
		s.query.group.opts.Metrics.hedged(a, s.running)
	}
	for _, l := range without(s.running, a) {
		o, waited := cancelled, time.Since(l.began)
		if waited >= max(l.member.hangs(), 2*a.took) {
			o = failed
		}
		l.member.outrun(waited, a.member.usual())
		s.drop(l, o)
		s.turns.again(l.member)
	}
	s.running, s.winner = nil, a
}

// fail lets a member go that failed, and sees to it that another one is asked.
func (s *stream) fail(ctx context.Context, a *attempt) error {
	if err := s.ended(ctx); err != nil {
		s.drop(a, cancelled)
		return err
	}
	s.turns.failed(a.member, a.err)
	s.drop(a, failed)
	// Members that lack data are asked only when nobody else is left.
	switch {
	case len(s.turns.whole) == 0 && len(s.running) > 0:
	case s.ask(false):
		s.query.group.opts.Metrics.failover(a.member)
	default:
		return s.turns.err()
	}
	return nil
}

// ended is the error of a query that is over.
func (s *stream) ended(ctx context.Context) error { return cmp.Or(ctx.Err(), s.ctx.Err()) }

// drop ends an attempt, without waiting for it.
func (s *stream) drop(a *attempt, o outcome) {
	a.end(o)
	a.cancel()
	s.losers.Go(func() { _ = a.close() })
}

// Trailer implements remote.ColumnStream.
func (s *stream) Trailer() remote.Trailer {
	if s.winner == nil || s.winner.err != io.EOF {
		return remote.Trailer{}
	}
	t := s.winner.stream.Trailer()
	if s.winner.warning != nil {
		t.Annotations = maps.Clone(t.Annotations)
		t.Annotations.Add(s.winner.warning)
	}
	return t
}

// Close implements remote.ColumnStream. It waits for all members that were asked.
func (s *stream) Close() error {
	for _, a := range s.running {
		s.drop(a, cancelled)
	}
	s.running = nil
	if s.winner != nil {
		s.drop(s.winner, cancelled)
	}
	s.losers.Wait()
	return nil
}

// without is all but one.
func without(all []*attempt, a *attempt) (out []*attempt) {
	for _, x := range all {
		if x != a {
			out = append(out, x)
		}
	}
	return out
}
