// Package livedata reads the data directory of a Prometheus server for as long as a process runs: what the server adds meanwhile
// shows after a while.
package livedata

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/internal/tsdbdir"
)

// Directory is a data directory as it was when it was last loaded. A querier sees one state of it from its beginning to its end.
// All methods may be called concurrently.
type Directory struct {
	dir     string
	logger  *slog.Logger
	metrics *metrics
	open    func(dir string) (*tsdbdir.DB, error)

	loading sync.Mutex // one Load at a time
	seen    string     // fingerprint of what is loaded

	mu      sync.Mutex
	current *state // nil before the first Load and after Close
	closed  bool
	states  sync.WaitGroup // that have not been closed
}

var _ storage.SampleAndChunkQueryable = (*Directory)(nil)

// New names a directory, of which nothing is read before Load. The registerer, unless it is nil, takes metrics of how that goes.
func New(dir string, logger *slog.Logger, r prometheus.Registerer) *Directory {
	return &Directory{dir: dir, logger: logger, metrics: newMetrics(r), open: tsdbdir.Open}
}

// ErrNotLoaded is the error of queriers before the first Load has succeeded and after Close.
var ErrNotLoaded = errors.New("the data directory is not loaded")

// Load reads the directory, unless nothing has changed since the last time. If that fails what was loaded before stays.
func (d *Directory) Load() error {
	d.loading.Lock()
	defer d.loading.Unlock()
	// Before, so that what changes meanwhile counts the next time.
	seen, err := fingerprint(d.dir)
	if err == nil && seen == d.seen {
		return nil
	}
	started := time.Now()
	db, err := d.open(d.dir)
	if err != nil {
		d.metrics.failed()
		return err
	}
	s := newState(db, d.closedState)
	d.states.Add(1)
	d.mu.Lock()
	old := d.current
	if d.closed {
		old = s
	} else {
		d.current = s
	}
	d.mu.Unlock()
	if old != nil {
		old.release()
	}
	if old == s {
		return fmt.Errorf("%s: %w", d.dir, ErrNotLoaded)
	}
	d.seen = seen
	d.metrics.loaded(db.MaxTime(), time.Since(started))
	d.logger.Debug("Loaded data directory", "dir", d.dir, "duration", time.Since(started), "newestSample", time.UnixMilli(db.MaxTime()).UTC())
	return nil
}

// Bounds returns times in ms that no sample is older and newer than; ok is false if there are no samples.
func (d *Directory) Bounds() (mint, maxt int64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == nil {
		return 0, 0, false
	}
	mint, maxt = d.current.db.MinTime(), d.current.db.MaxTime()
	return mint, maxt, mint <= maxt
}

// Intervals returns the times of which there is data, as tsdbdir.DB does. They are of what is loaded now; nobody may write to them.
func (d *Directory) Intervals() []tsdbdir.Interval {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == nil {
		return nil
	}
	return d.current.db.Intervals()
}

// Querier implements storage.Queryable.
func (d *Directory) Querier(mint, maxt int64) (storage.Querier, error) {
	s, err := d.acquire()
	if err != nil {
		return nil, err
	}
	q, err := s.db.Querier(mint, maxt)
	if err != nil {
		s.release()
		return nil, err
	}
	return &querier{q, s.releaseOnce()}, nil
}

// ChunkQuerier implements storage.ChunkQueryable.
func (d *Directory) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	s, err := d.acquire()
	if err != nil {
		return nil, err
	}
	q, err := s.db.ChunkQuerier(mint, maxt)
	if err != nil {
		s.release()
		return nil, err
	}
	return &chunkQuerier{q, s.releaseOnce()}, nil
}

// acquire returns the present state, to be released.
func (d *Directory) acquire() (*state, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == nil {
		return nil, fmt.Errorf("%s: %w", d.dir, ErrNotLoaded)
	}
	d.current.acquire()
	return d.current, nil
}

// Close releases the directory and waits until all queriers have been closed.
func (d *Directory) Close() {
	d.mu.Lock()
	old := d.current
	d.current, d.closed = nil, true
	d.mu.Unlock()
	if old != nil {
		old.release()
	}
	d.loading.Lock() // A Load that runs finds it closed.
	defer d.loading.Unlock()
	d.states.Wait()
}

func (d *Directory) closedState(err error) {
	if err != nil {
		d.logger.Warn("Closing an earlier state of the data directory failed", "dir", d.dir, "err", err)
	}
	d.states.Done()
}
