package replica

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/stride-promql/stride/remote"
)

// contest asks members of a group, one after another or two at once, until one begins to answer.
type contest struct {
	group *Group
	turns *turns
	ctx   context.Context // what members are asked with
	reply func() reply    // makes room for that of one member

	running []*attempt // at most two, of which none has begun to answer as far as known
	losers  sync.WaitGroup
}

// newContest asks the first member, or two.
func (g *Group) newContest(ctx context.Context, needs remote.Intervals, reply func() reply) (*contest, error) {
	g.budget.earn()
	c := &contest{group: g, turns: g.turns(ctx, needs, true), ctx: ctx, reply: reply}
	if !c.ask(false) {
		return nil, c.turns.err()
	}
	if (g.opts.Strategy == Race || c.turns.trial) && c.turns.more() {
		c.ask(true)
	}
	return c, nil
}

// ask asks the next member, if there is one.
func (c *contest) ask(hedge bool) bool {
	t := c.turns.next(len(c.running) == 0)
	if t.member == nil {
		return false
	}
	a := start(t.with(c.ctx), t.member, c.reply())
	a.hedge, a.warning = hedge, t.warning
	c.running = append(c.running, a)
	return true
}

// race waits for the first member that begins to answer. Of those that fail others take the place.
func (c *contest) race(ctx context.Context) (*attempt, error) {
	for {
		var ready [2]<-chan struct{}
		for i, a := range c.running {
			ready[i] = a.ready
		}
		late, stop := c.late()
		var a *attempt
		select {
		case <-ready[0]:
			a = c.running[0]
		case <-ready[1]:
			a = c.running[1]
		case <-late:
			c.hedge()
		case <-ctx.Done():
		}
		stop()
		switch {
		case c.ended(ctx) != nil:
			return nil, c.ended(ctx)
		case a == nil:
		case !a.failed():
			c.win(a)
			return a, nil
		default:
			c.running = without(c.running, a)
			if err := c.fail(ctx, a); err != nil {
				return nil, err
			}
		}
	}
}

// late tells when the only member that was asked is late, and then again and again: an extra request may be allowed by then.
func (c *contest) late() (<-chan time.Time, func() bool) {
	if len(c.running) != 1 || len(c.turns.whole) == 0 {
		return nil, func() bool { return false }
	}
	a := c.running[0]
	wait := a.member.late()
	if left := wait - time.Since(a.began); left > 0 {
		wait = left
	}
	t := time.NewTimer(wait)
	return t.C, t.Stop
}

// hedge asks another member, if the budget allows it or the one that was asked seems to hang. Such a one has all but failed, so that it takes
// nothing from the budget.
func (c *contest) hedge() {
	a := c.running[0]
	if time.Since(a.began) >= a.member.hangs() || c.turns.more() && c.group.budget.spend() {
		c.ask(true)
	}
}

// win makes a the one that answers. Nobody waits for the others to notice; they may be asked again should it fail.
func (c *contest) win(a *attempt) {
	if len(c.running) > 1 {
		c.group.opts.Metrics.hedged(a, c.running)
	}
	for _, l := range without(c.running, a) {
		o, waited := cancelled, time.Since(l.began)
		if waited >= max(l.member.hangs(), 2*a.took) {
			o = failed
		}
		l.member.outrun(waited, a.member.usual())
		c.drop(l, o)
		c.turns.again(l.member)
	}
	c.running = nil
}

// fail lets a member go that failed, and sees to it that another one is asked.
func (c *contest) fail(ctx context.Context, a *attempt) error {
	if err := c.ended(ctx); err != nil {
		c.drop(a, cancelled)
		return err
	}
	c.turns.failed(a.member, a.err)
	c.drop(a, failed)
	// Members that lack data are asked only when nobody else is left.
	switch {
	case len(c.turns.whole) == 0 && len(c.running) > 0:
	case c.ask(false):
		c.group.opts.Metrics.failover(a.member)
	default:
		return c.turns.err()
	}
	return nil
}

// ended is the error of a query that is over.
func (c *contest) ended(ctx context.Context) error { return cmp.Or(ctx.Err(), c.ctx.Err()) }

// drop ends an attempt, without waiting for it.
func (c *contest) drop(a *attempt, o outcome) {
	a.end(o)
	a.cancel()
	c.losers.Go(func() { _ = a.close() })
}

// close ends what is under way, and waits until all members that were asked have noticed.
func (c *contest) close() {
	for _, a := range c.running {
		c.drop(a, cancelled)
	}
	c.running = nil
	c.losers.Wait()
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
