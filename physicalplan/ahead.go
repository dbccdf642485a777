package physicalplan

import (
	"sync"
	"time"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/scan"
)

// aheadBytes is the most that a plan reads ahead.
const aheadBytes = 16 << 20

// lookahead reads morsels of leaves while the plan is being bound: reading the labels of a selector's series is work for one
// goroutine, during which another one decodes the samples of those that are known.
//
//	binding       labels of series 1..256 | 257..512 | 513..768 | ...
//	reading ahead                           morsels of 1..256   | of 257..512 | ...
//
// What is read ahead is what the run would have read first, for all steps at once, so that it makes no difference to the result.
type lookahead struct {
	plan   *Plan
	slots  Slots
	opened []operators.StepRange // before

	wg    sync.WaitGroup
	mu    sync.Mutex
	more  *sync.Cond
	ready []*node // leaves that know some of their series
	fresh bool    // they know more than when they were looked at last
	begun bool    // there is a goroutine, or there was no slot for one
	over  bool
}

// readAhead prepares to read ahead while the plan is bound. stop must be called before anything else runs.
func (p *Plan) readAhead(slots Slots) *lookahead {
	a := &lookahead{plan: p, slots: slots, opened: p.opened()}
	a.more = sync.NewCond(&a.mu)
	if p.root == nil || p.query.Workers < 2 || p.opts.StepsPerRange > 0 {
		return a
	}
	p.spread(p.root.grid.All())
	for _, n := range p.nodes {
		if leaf, ok := n.op.(scan.Ahead); ok {
			leaf.Notify(func() { a.notify(n) })
		}
	}
	return a
}

// notify says that a leaf knows more of its series.
func (a *lookahead) notify(n *node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ready) == 0 || a.ready[len(a.ready)-1] != n {
		a.ready = append(a.ready, n)
	}
	a.fresh = true
	a.more.Signal()
	if a.begun {
		return
	}
	a.begun = true
	select {
	case a.slots <- struct{}{}:
		a.plan.aheadRan = true
		a.wg.Go(func() {
			defer func() { <-a.slots }()
			a.work()
		})
	default:
	}
}

// stop ends reading ahead.
func (a *lookahead) stop() {
	a.mu.Lock()
	a.over = true
	a.more.Signal()
	a.mu.Unlock()
	a.wg.Wait()
	a.plan.reopen(a.opened)
}

// next waits until a leaf knows more, and gives those that know any; nil at the end.
func (a *lookahead) next() []*node {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.fresh && !a.over {
		a.more.Wait()
	}
	if a.over {
		return nil
	}
	a.fresh = false
	return a.ready
}

func (a *lookahead) isOver() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over
}

func (a *lookahead) work() {
	// A morsel that panics is read again, and reported, when its turn comes.
	defer func() { _ = recover() }()
	w := &operators.Worker{ID: 1, Poison: a.plan.opts.Poison}
	left := int64(aheadBytes)
	if b := a.plan.query.MemoryBudget; b > 0 {
		left = min(left, b/8) // labels need room, too
	}
	for leaves := a.next(); leaves != nil; leaves = a.next() {
		for _, n := range leaves {
			for left > 0 && !a.isOver() {
				start := time.Now()
				bytes, ok := n.op.(scan.Ahead).ReadAhead(w, n.open)
				if !ok {
					break
				}
				n.stats.add(time.Since(start), nil)
				left -= bytes
			}
		}
		if left <= 0 {
			return
		}
	}
}
