package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// readAheadBatch and readAheadBatches are how many series are read of a source before anybody asks for them.
const (
	readAheadBatch   = 64
	readAheadBatches = 4
)

// readers are what reads ahead for a querier: sources that are merged are asked at once instead of one when the one before has answered.
type readers struct {
	mu     sync.Mutex
	cancel []context.CancelFunc
	all    sync.WaitGroup
}

// close ends them and waits until they have ended.
func (r *readers) close() {
	r.mu.Lock()
	for _, c := range r.cancel {
		c()
	}
	r.cancel = nil
	r.mu.Unlock()
	r.all.Wait()
}

// readAhead gives the series of a set that a goroutine reads. Series stay valid behind later ones, as storage demands.
type readAhead[T any] struct {
	set     seriesSet[T]
	batches chan []T
	batch   []T
	at      T
	ended   bool  // and set is not used by the goroutine any more
	broken  error // why the goroutine did not read to the end; nil if it did
}

// startReading asks for series and begins to read them.
func startReading[T any](ctx context.Context, r *readers, ask func(context.Context) seriesSet[T]) *readAhead[T] {
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	r.cancel = append(r.cancel, cancel)
	r.mu.Unlock()
	a := &readAhead[T]{batches: make(chan []T, readAheadBatches)}
	r.all.Go(func() {
		defer close(a.batches)
		// The engine makes errors of panics in its own goroutines, of which this is none.
		defer func() {
			if p := recover(); p != nil {
				a.broken = fmt.Errorf("panic: %v", p)
			}
		}()
		a.set = ask(ctx)
		for more := true; more; {
			batch := make([]T, 0, readAheadBatch)
			for len(batch) < cap(batch) {
				if more = a.set.Next(); !more {
					break
				}
				batch = append(batch, a.set.At())
			}
			if len(batch) == 0 {
				return
			}
			select {
			case a.batches <- batch:
			case <-ctx.Done():
				a.broken = ctx.Err()
				return
			}
		}
	})
	return a
}

// Next implements storage.SeriesSet.
func (a *readAhead[T]) Next() bool {
	if len(a.batch) == 0 {
		if a.batch = <-a.batches; len(a.batch) == 0 {
			a.ended = true
			return false
		}
	}
	a.at, a.batch = a.batch[0], a.batch[1:]
	return true
}

// At implements storage.SeriesSet.
func (a *readAhead[T]) At() T { return a.at }

// Err implements storage.SeriesSet. Who does not read to the end is not told how it ends.
func (a *readAhead[T]) Err() error {
	if !a.ended {
		return nil
	}
	if a.broken != nil {
		return a.broken
	}
	return a.set.Err()
}

// Warnings implements storage.SeriesSet.
func (a *readAhead[T]) Warnings() annotations.Annotations {
	if !a.ended || a.set == nil {
		return nil
	}
	return a.set.Warnings()
}

// readingAhead reads ahead of who uses it.
type readingAhead struct {
	storage.Querier
	readers readers
}

// Select implements storage.Querier.
func (q *readingAhead) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return startReading(ctx, &q.readers, func(ctx context.Context) seriesSet[storage.Series] {
		return q.Querier.Select(ctx, sorted, hints, matchers...)
	})
}

// Close implements storage.Querier.
func (q *readingAhead) Close() error {
	q.readers.close()
	return q.Querier.Close()
}

// readingChunksAhead is readingAhead with chunks.
type readingChunksAhead struct {
	storage.ChunkQuerier
	readers readers
}

// Select implements storage.ChunkQuerier.
func (q *readingChunksAhead) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return startReading(ctx, &q.readers, func(ctx context.Context) seriesSet[storage.ChunkSeries] {
		return q.ChunkQuerier.Select(ctx, sorted, hints, matchers...)
	})
}

// Close implements storage.ChunkQuerier.
func (q *readingChunksAhead) Close() error {
	q.readers.close()
	return q.ChunkQuerier.Close()
}
