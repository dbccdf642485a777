package livedata

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/internal/tsdbdir"
)

// state is a directory as it was once loaded. It is closed when nobody uses it: the Directory while it is the present one, and
// every querier.
type state struct {
	db     *tsdbdir.DB
	uses   atomic.Int64
	closed func(error)
}

func newState(db *tsdbdir.DB, closed func(error)) *state {
	s := &state{db: db, closed: closed}
	s.uses.Store(1)
	return s
}

// acquire may be called by whoever uses it already.
func (s *state) acquire() { s.uses.Add(1) }

func (s *state) release() {
	if s.uses.Add(-1) == 0 {
		s.closed(s.db.Close())
	}
}

// releaseOnce is for queriers, which may be closed more than once.
func (s *state) releaseOnce() func() { return sync.OnceFunc(s.release) }

// querier is a use of a state.
type querier struct {
	storage.Querier
	release func()
}

// Close implements storage.LabelQuerier.
func (q *querier) Close() error {
	err := q.Querier.Close()
	q.release()
	return err
}

// chunkQuerier is a use of a state.
type chunkQuerier struct {
	storage.ChunkQuerier
	release func()
}

// Close implements storage.LabelQuerier.
func (q *chunkQuerier) Close() error {
	err := q.ChunkQuerier.Close()
	q.release()
	return err
}
