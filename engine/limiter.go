package engine

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/stride-promql/stride/operators"
)

// Limiter bounds the bytes that the queries of one or more engines hold together. What counts is what MemoryBudget counts for one
// query; see docs/embedding.md for how that relates to the memory of the process.
//
// A query waits, first come, first served, until some memory is free, selects its series, and waits again until what it is
// then expected to need is free, of half the limit at most; it goes on with less when no other query runs, cut into step ranges that fit.
// One whose series do not fit while others run fails. One that finds no
// memory while it runs gives back what it can and waits for more than it had. If no other query runs it goes on with half its steps
// instead, and fails with a *LimitError only when a single step does not fit. A result counts until its query is closed.
type Limiter struct {
	max int64

	mu      sync.Mutex
	used    int64 // by shares, each the larger of what it holds and what it was granted
	running int   // shares with a grant
	queue   []*share
	garbage int64 // bytes that queries have held which ended since the last collection
}

// NewLimiter lets queries hold bytes, which must be more than 0, together.
func NewLimiter(bytes int64) *Limiter { return &Limiter{max: max(1, bytes)} }

// Limit is the number of bytes that queries may hold together.
func (l *Limiter) Limit() int64 { return l.max }

// Used is the number of bytes that queries hold or may count on now, and Waiting the number of queries that wait for memory.
func (l *Limiter) Used() (bytes int64, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used, len(l.queue)
}

// LimitError is the error of a query that found no memory in the limit that it shares with others.
type LimitError struct {
	Limit int64 // bytes for all queries
	Held  int64 // bytes that this one held
	Used  int64 // bytes that all held or could count on
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("queries may hold %d bytes together, of which %d are in use: this one, which holds %d, needs more; "+
		"try again when fewer queries run, or select fewer series or steps", e.Limit, e.Used, e.Held)
}

// Is tells that it is an operators.ErrShortOfMemory.
func (e *LimitError) Is(target error) bool { return target == operators.ErrShortOfMemory }

// share is one query's part of the limit.
type share struct {
	l       *Limiter
	held    int64
	peak    int64 // the most it held
	short   int64 // what it held when it found no more
	granted int64
	admit   chan struct{} // closed when it is granted what it asked for
	asked   int64
	bound   bool // its series have been selected, which take memory: it goes before those that have yet to
}

// counts is what the share takes of the limit.
func (s *share) counts() int64 { return max(s.held, s.granted) }

// open is a share that holds nothing.
func (l *Limiter) open() *share { return &share{l: l} }

// Grow implements operators.Memory.
func (s *share) Grow(n int64) error {
	l := s.l
	l.mu.Lock()
	defer l.mu.Unlock()
	before := s.counts()
	s.held += n
	s.peak = max(s.peak, s.held)
	l.used += s.counts() - before
	if n > 0 && s.held > s.granted && l.used > l.max {
		s.short = max(s.short, s.held)
		return &LimitError{Limit: l.max, Held: s.held, Used: l.used}
	}
	if n < 0 {
		l.admitNext()
	}
	return nil
}

// Wait implements operators.Memory.
func (s *share) Wait(ctx context.Context) bool {
	l := s.l
	l.mu.Lock()
	// A quarter more than what was too little. What other engines send comes in while this query waits, and may be too much then.
	short := s.short
	need := min(short+short/4, l.max)
	alone := l.running <= 1
	l.mu.Unlock()
	if alone || need <= short {
		return false
	}
	s.finish()
	granted, err := s.reserve(ctx, need)
	return err == nil && granted > short
}

// begin waits until there is memory to select series with, or until no other query runs.
func (s *share) begin(ctx context.Context) error {
	const part = 32 // of the limit
	_, err := s.reserve(ctx, s.l.max/part+1)
	return err
}

// expect waits until the bytes that the query is expected to hold are free, or until no other query runs, and gives how
// many it may count on.
func (s *share) expect(ctx context.Context, bytes int64) (int64, error) {
	s.finish()
	s.l.mu.Lock()
	s.bound = true
	s.l.mu.Unlock()
	// An estimate may be far too high. No query keeps all others out; one that gets less than it needs runs in ranges, or asks again.
	const part = 2
	return s.reserve(ctx, min(bytes, s.l.max/part+1))
}

func (s *share) reserve(ctx context.Context, bytes int64) (int64, error) {
	l := s.l
	admit := make(chan struct{})
	l.mu.Lock()
	s.asked, s.admit = max(1, bytes), admit // who asks for nothing runs all the same
	at := len(l.queue)
	for s.bound && at > 0 && !l.queue[at-1].bound {
		at--
	}
	l.queue = slices.Insert(l.queue, at, s)
	l.admitNext()
	l.mu.Unlock()
	ended := false
	select {
	case <-admit:
	case <-ctx.Done():
		ended = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.queue, s); ended && i >= 0 { // else it was admitted meanwhile
		l.queue = slices.Delete(l.queue, i, i+1)
		l.admitNext()
		return 0, ctx.Err()
	}
	return s.granted, nil
}

// admitNext grants the first in the queue what they asked for as long as that is free, or what is free if no query runs.
func (l *Limiter) admitNext() {
	for len(l.queue) > 0 {
		s := l.queue[0]
		grant := s.asked
		if free := l.max - (l.used - s.counts()); grant > free {
			if l.running > 0 {
				return
			}
			grant = max(free, 1)
		}
		before := s.counts()
		s.granted = grant
		l.used += s.counts() - before
		l.running++
		l.queue = l.queue[1:]
		close(s.admit)
	}
}

// finish says that the query does not run any more, or not for now: what it holds is its series or its result.
func (s *share) finish() {
	l := s.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.granted > 0 {
		l.running--
		l.used -= s.counts() - s.held
		s.granted = 0
	}
	l.admitNext()
}

// close gives everything back. It may be called more than once.
func (s *share) close() {
	s.finish()
	l := s.l
	l.mu.Lock()
	l.garbage += s.peak
	s.peak = 0
	l.used -= s.held
	s.held = 0
	l.admitNext()
	l.mu.Unlock()
	l.collect()
}

// collect has garbage collected once queries have given back a part of the limit. What they held is garbage, which would lie about until
// the heap has doubled, while others take as much anew.
func (l *Limiter) collect() {
	const part = 8
	l.mu.Lock()
	much := l.garbage > l.max/part
	if much {
		l.garbage = 0
	}
	l.mu.Unlock()
	if much {
		runtime.GC()
	}
}
