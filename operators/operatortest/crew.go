package operatortest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/stride-promql/stride/operators"
)

// worker is a worker with a source of randomness of its own.
type worker struct {
	*operators.Worker
	rnd *rand.Rand
}

// violation is a breach of the contract by the operator under test, in contrast to an error that it gives.
type violation struct{ text string }

func (v *violation) Error() string { return v.text }

func violated(format string, args ...any) error { return &violation{fmt.Sprintf(format, args...)} }

// errStopped ends a run that is to be abandoned.
var errStopped = errors.New("stopped")

// errCancelled ends the work on a morsel behind one that failed.
var errCancelled = errors.New("cancelled")

// recovered, deferred, makes a violation of a panic.
func recovered(err *error) {
	if e := recover(); e != nil {
		*err = violated("panic: %v\n%s", e, debug.Stack())
	}
}

// crew carries morsels: each worker takes the next one and is through with it before it takes another.
type crew struct {
	workers []worker

	mu      sync.Mutex
	turn    *sync.Cond
	tickets []int // segment -> the morsel whose turn it is
	next    int
	end     int
	failed  int // least morsel with an error, or none
	err     error
}

func newCrew(workers []worker, segments int) *crew {
	c := &crew{workers: workers, tickets: make([]int, segments)}
	c.turn = sync.NewCond(&c.mu)
	return c
}

// carry calls f for the morsels up to end that have not been carried yet, and returns the error of
// the least that failed. A violation goes before all.
func (c *crew) carry(end int, f func(w worker, m int) error) error {
	c.end, c.failed = end, end
	var wg sync.WaitGroup
	for _, w := range c.workers[1:] {
		wg.Go(func() { c.work(w, f) })
	}
	c.work(c.workers[0], f)
	wg.Wait()
	return c.err
}

func (c *crew) work(w worker, f func(w worker, m int) error) {
	for {
		c.mu.Lock()
		m := c.next
		if m >= c.end || m > c.failed {
			c.mu.Unlock()
			return
		}
		c.next++
		c.mu.Unlock()
		if err := guard(w, m, f); err != nil {
			c.fail(m, err)
		}
	}
}

func guard(w worker, m int, f func(w worker, m int) error) (err error) {
	defer recovered(&err)
	return f(w, m)
}

func (c *crew) fail(m int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.turn.Broadcast()
	var v *violation
	switch {
	case errors.As(err, &v) && !errors.As(c.err, &v):
		c.failed, c.err = -1, err
	case m < c.failed:
		c.failed, c.err = m, err
	}
}

// await waits until it is a morsel's turn to fold a segment; false says that the run has failed.
func (c *crew) await(w worker, segment, m int) bool {
	if w.rnd.IntN(4) == 0 {
		runtime.Gosched()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.tickets[segment] != m && m <= c.failed {
		c.turn.Wait()
	}
	return m <= c.failed
}

func (c *crew) done(segment int) {
	c.mu.Lock()
	c.tickets[segment]++
	c.mu.Unlock()
	c.turn.Broadcast()
}
