package replica

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/stride-promql/stride/remote"
)

// race asks members of a group for one thing, until one of them has answered. Pieces of the member that began to answer first go straight
// through, so that nothing is held here that nobody accounts for.
type race[T any] struct {
	group *Group
	turns *turns
	ctx   context.Context // what members are asked with
	asks  func(*member) opener[T]
	// relieves says that another member goes on where one hangs that has begun to answer.
	relieves bool

	running []*attempt[T] // at most two, of which none has begun to answer as far as known, or gives its next piece
	winner  *attempt[T]   // the one that answers, or nil
	given   bool          // pieces of it were handed out
	losers  sync.WaitGroup
}

// begin asks the first member, and the second with Race or if it is to be tried again.
func begin[T any](ctx context.Context, g *Group, needs remote.Intervals, asks func(*member) opener[T]) (*race[T], error) {
	g.budget.earn()
	r := &race[T]{group: g, turns: g.turns(ctx, needs), ctx: ctx, asks: asks}
	if !r.ask(false) {
		return nil, r.turns.err()
	}
	if (g.opts.Strategy == Race || r.turns.trial) && r.turns.more() {
		r.ask(true)
	}
	return r, nil
}

// ask asks the next member, if there is one.
func (r *race[T]) ask(hedge bool) bool {
	t := r.turns.next(len(r.running) == 0)
	if t.member == nil {
		return false
	}
	a := start(t.with(r.ctx), t.member, r.asks(t.member))
	a.hedge, a.warning = hedge, t.warning
	r.running = append(r.running, a)
	return true
}

// Next gives the next piece, io.EOF behind the last one, or remote.ErrRestart when pieces were given and another member takes over.
func (r *race[T]) Next(ctx context.Context) (T, error) {
	var none T
	for {
		if r.winner == nil {
			if err := r.run(ctx); err != nil {
				return none, err
			}
		}
		a := r.winner
		watch := r.watch(ctx)
		piece, err := a.next(ctx)
		if err := watch.end(); err != nil {
			return none, err
		}
		switch {
		case r.winner != a:
			r.given = false
			return none, remote.ErrRestart
		case err == nil:
			r.given = true
			return piece, nil
		case !a.failed():
			a.end(whole)
			return none, err
		}
		r.winner = nil
		if err := r.fail(ctx, a); err != nil {
			return none, err
		}
		if r.given {
			r.given = false
			return none, remote.ErrRestart
		}
	}
}

// run waits for the first member that begins to answer. Of those that fail others take the place.
func (r *race[T]) run(ctx context.Context) error {
	for {
		var ready [2]<-chan struct{}
		for i, a := range r.running {
			ready[i] = a.ready
		}
		late, stop := r.late()
		var a *attempt[T]
		select {
		case <-ready[0]:
			a = r.running[0]
		case <-ready[1]:
			a = r.running[1]
		case <-late:
			r.hedge()
		case <-ctx.Done():
		}
		stop()
		switch {
		case r.ended(ctx) != nil:
			return r.ended(ctx)
		case a == nil:
		case !a.failed():
			r.win(a)
			return nil
		default:
			r.running = without(r.running, a)
			if err := r.fail(ctx, a); err != nil {
				return err
			}
		}
	}
}

// late tells when the only member that was asked is late, and then again and again: an extra request may be allowed by then.
func (r *race[T]) late() (<-chan time.Time, func() bool) {
	if len(r.running) != 1 || len(r.turns.whole) == 0 {
		return nil, func() bool { return false }
	}
	a := r.running[0]
	left, limit := a.lateIn()
	if left <= 0 {
		left = limit
	}
	t := time.NewTimer(left)
	return t.C, t.Stop
}

// hedge asks another member if the one that was asked is late, and the budget allows it, or if it seems to hang. Such a one has all but failed, so
// that it takes nothing from the budget. It may not be late any more: a sign of life may have come.
func (r *race[T]) hedge() {
	a := r.running[0]
	if left, _ := a.lateIn(); a.hangs() || left <= 0 && r.turns.more() && r.group.budget.spend() {
		r.ask(true)
	}
}

// win makes a the one that answers. Nobody waits for the others to notice; they may be asked again should it fail.
func (r *race[T]) win(a *attempt[T]) {
	if len(r.running) > 1 {
		for _, x := range r.running {
			if x.hedge {
				x.member.counters.hedged(x == a)
			}
		}
	}
	took := time.Since(a.since)
	for _, l := range without(r.running, a) {
		o, waited := cancelled, time.Since(l.since)
		if l.hangs() && waited >= 2*took {
			o = failed
		}
		l.member.outrun(waited, a.member.usual())
		r.drop(l, o)
		r.turns.again(l.member)
	}
	r.running, r.winner = nil, a
}

// fail lets a member go that failed, and sees to it that another one is asked.
func (r *race[T]) fail(ctx context.Context, a *attempt[T]) error {
	if err := r.ended(ctx); err != nil {
		r.drop(a, cancelled)
		return err
	}
	r.turns.failed(a.member, a.err)
	r.drop(a, failed)
	// Members that lack data are asked only when nobody else is left.
	switch {
	case len(r.turns.whole) == 0 && len(r.running) > 0:
	case r.ask(false):
		a.member.counters.failover()
	default:
		return r.turns.err()
	}
	return nil
}

// ended is the error of a query that is over.
func (r *race[T]) ended(ctx context.Context) error { return cmp.Or(ctx.Err(), r.ctx.Err()) }

// drop ends an attempt, without waiting for it.
func (r *race[T]) drop(a *attempt[T], o outcome) {
	a.end(o)
	a.cancel()
	r.losers.Go(func() { _ = a.close() })
}

// Close lets the answer go. It waits for all members that were asked.
func (r *race[T]) Close() error {
	for _, a := range r.running {
		r.drop(a, cancelled)
	}
	r.running = nil
	if r.winner != nil {
		r.drop(r.winner, cancelled)
	}
	r.losers.Wait()
	return nil
}

// without is all but one.
func without[T any](all []*attempt[T], a *attempt[T]) (out []*attempt[T]) {
	for _, x := range all {
		if x != a {
			out = append(out, x)
		}
	}
	return out
}
