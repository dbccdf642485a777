// Package scan holds the leaves of a plan: they select series and turn their samples into columns.
package scan

import (
	"context"
	"sync"

	"github.com/efficientgo/core/errcapture"
	"github.com/prometheus/prometheus/storage"
)

// Storage is a query's access to one storage: a single querier for the whole query, because series
// of one querier must not be read concurrently. Everything that comes from it is used under its
// lock; bytes of chunks, once taken, are decoded outside.
type Storage struct {
	mu      sync.Mutex
	samples storage.Querier      // one of the two is nil
	chunks  storage.ChunkQuerier // preferred: chunks are decoded in bulk
}

// Open opens a querier over [mint, maxt] ms: a chunk querier where q offers one and chunkAccess
// does not forbid it.
func Open(q storage.Queryable, mint, maxt int64, chunkAccess bool) (*Storage, error) {
	if cq, ok := q.(storage.ChunkQueryable); ok && chunkAccess {
		querier, err := cq.ChunkQuerier(mint, maxt)
		if err != nil {
			return nil, err
		}
		return &Storage{chunks: querier}, nil
	}
	querier, err := q.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &Storage{samples: querier}, nil
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
	return err
}

// selected is an unread answer of Select, of one kind or the other.
type selected struct {
	samples storage.SeriesSet
	chunks  storage.ChunkSeriesSet
}

func (s *Storage) selectSeries(ctx context.Context, sel *Selector) selected {
	// Storages sort the matchers in place.
	matchers := append(sel.Matchers[:0:0], sel.Matchers...)
	hints := sel.Hints
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chunks != nil {
		// Trimming would re-encode every chunk that crosses a bound; samples outside
		// of the hints' times are left out when decoding.
		hints.DisableTrimming = true
		return selected{chunks: s.chunks.Select(ctx, false, &hints, matchers...)}
	}
	return selected{samples: s.samples.Select(ctx, false, &hints, matchers...)}
}
