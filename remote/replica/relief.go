package replica

import (
	"context"
	"time"
)

// relief is what happens when a member hangs in the middle of its answer: it is still waited for, but others are asked, too, and who gives a
// piece first goes on. While a race does that, whoever waits for the piece leaves the race alone.
type relief struct {
	timer *time.Timer
	after time.Duration
	back  chan struct{} // closed when the member no longer hangs
	done  chan error
}

// watch looks after the winner until end is called; nil if nobody is there to take its place.
func (r *race[T]) watch(ctx context.Context) *relief {
	a := r.winner
	if !r.relieves || a.early || a.err != nil || len(r.turns.whole) == 0 {
		return nil
	}
	w := a.relief
	if w != nil {
		w.timer.Reset(w.after)
		a.life.watched = w
		return w
	}
	w = &relief{after: a.hangsAfter(), back: make(chan struct{}), done: make(chan error, 1)}
	a.relief, a.life.watched = w, w
	w.timer = time.AfterFunc(w.after, func() { w.done <- r.relieve(ctx, w) })
	return w
}

// putOff is called when the member shows a sign of life, by whoever waits for its piece.
func (w *relief) putOff() {
	if w != nil && w.timer.Stop() {
		w.timer.Reset(w.after)
	}
}

// relieve has others race with the winner for the next piece.
func (r *race[T]) relieve(ctx context.Context, w *relief) error {
	a := r.winner
	a.ready, a.since, a.hedge, a.relief = w.back, time.Now().Add(-w.after), false, nil
	r.winner, r.running = nil, append(r.running, a)
	r.ask(true)
	return r.run(ctx)
}

// end is called when the member has given its piece, or failed. If others were asked it waits until one of all is the winner.
func (w *relief) end() error {
	if w == nil || w.timer.Stop() {
		return nil
	}
	close(w.back)
	return <-w.done
}
