// Package scan holds the leaves of a plan: they select series and turn their samples into columns.
package scan

import (
	"context"
	"slices"
	"sync"

	"github.com/efficientgo/core/errcapture"
	"github.com/prometheus/prometheus/storage"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/remote"
)

// Storage is a query's access to one storage: a single querier for the whole query, because series
// of one querier must not be read concurrently. Everything that comes from it is used under its
// lock; bytes of chunks, once taken, are decoded outside.
type Storage struct {
	again func() (*Storage, error)

	found sync.Mutex // guards what selectors have made known
	turn  sync.Mutex // see lock

	mu      sync.Mutex
	samples storage.Querier      // one of the two is nil
	chunks  storage.ChunkQuerier // preferred: chunks are decoded in bulk
	pending []*Selector          // to be selected by selectAll
	held    *held                // from selectAll on
}

// held is what a storage holds for a query until it is closed, which is what its querier took from a network.
type held struct {
	q *operators.Query

	mu     sync.Mutex
	bytes  int64
	closed bool
}

// Grow implements remote.Memory.
func (h *held) Grow(n int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil // Whoever still reads is about to notice.
	}
	h.bytes += n
	return h.q.Grow(n)
}

func (h *held) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	_ = h.q.Grow(-h.bytes)
}

// Open opens a querier over [mint, maxt] ms: a chunk querier where q offers one and chunkAccess
// does not forbid it.
func Open(q storage.Queryable, mint, maxt int64, chunkAccess bool) (*Storage, error) {
	again := func() (*Storage, error) { return Open(q, mint, maxt, chunkAccess) }
	if cq, ok := q.(storage.ChunkQueryable); ok && chunkAccess {
		querier, err := cq.ChunkQuerier(mint, maxt)
		if err != nil {
			return nil, err
		}
		return &Storage{again: again, chunks: querier}, nil
	}
	querier, err := q.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &Storage{again: again, samples: querier}, nil
}

// Close closes the querier. No operator may run.
func (s *Storage) Close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.samples != nil {
		errcapture.Do(&err, s.samples.Close, "close querier")
	}
	if s.chunks != nil {
		errcapture.Do(&err, s.chunks.Close, "close chunk querier")
	}
	s.samples, s.chunks = nil, nil
	if s.held != nil {
		s.held.release()
	}
	return err
}

// lock gets the storage for one piece of work. Who waits for it gets it next: turn is held while waiting, so that
// whoever gives the storage back and wants it again comes behind.
func (s *Storage) lock() {
	s.turn.Lock()
	s.mu.Lock()
	s.turn.Unlock()
}

func (s *Storage) unlock() { s.mu.Unlock() }

// selected is an unread answer of Select, of one kind or the other.
type selected struct {
	samples storage.SeriesSet
	chunks  storage.ChunkSeriesSet
}

// register takes in a selector that is going to be bound.
func (s *Storage) register(sel *Selector) { s.pending = append(s.pending, sel) }

// selectAll selects the series of all selectors announced, before the first answer is read: queriers of remote
// storages send their requests with Select, and Prometheus' merging ones panic when Select comes after
// the first Next of any answer. What they hold is on the account of q, who was first to be bound.
func (s *Storage) selectAll(ctx context.Context, q *operators.Query) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = &held{q: q}
	}
	ctx = remote.WithMemory(ctx, s.held)
	for _, sel := range s.pending {
		sel.set = s.selectSeries(ctx, sel)
	}
	s.pending = nil
}

func (s *Storage) selectSeries(ctx context.Context, sel *Selector) selected {
	ctx, span := otel.Tracer("").Start(ctx, "querierSelect", trace.WithAttributes(
		attribute.String("selector", sel.Text),
		attribute.Int64("start", sel.Hints.Start),
		attribute.Int64("end", sel.Hints.End),
	))
	defer span.End()
	// Storages sort the matchers in place.
	matchers := slices.Clone(sel.Matchers)
	hints := sel.Hints
	if s.chunks != nil {
		// Trimming would re-encode every chunk that crosses a bound; samples outside
		// of the hints' times are left out when decoding.
		hints.DisableTrimming = true
		return selected{chunks: s.chunks.Select(ctx, false, &hints, matchers...)}
	}
	return selected{samples: s.samples.Select(ctx, false, &hints, matchers...)}
}
