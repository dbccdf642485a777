package selection

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/remote"
)

// Source is an engine that holds several data sets.
type Source interface {
	remote.RemoteEngine
	remote.Selector
	storage.ChunkQueryable
	// Announced are the data sets with all of their external labels, replica labels among them. It gives the same slice as long as they are the
	// same; nil: nothing is known of them yet.
	Announced() []remote.Coverage
}

// Engine is a Source as if it held those data sets only that rules select. A source of which some data sets are selected, and others are
// not, gives samples only: it would evaluate queries over all of them.
type Engine struct {
	Source
	replicas []string
	selector *Selector

	mu        sync.Mutex
	announced []remote.Coverage
	rules     *Rules
	now       *cut
}

// Of gives a source with what the selector selects of it. Replica labels are left out of what it announces then.
func Of(s Source, replicas []string, selector *Selector) *Engine {
	return &Engine{Source: s, replicas: slices.Clone(replicas), selector: selector}
}

// cut is what is selected now; nil: nothing is known of the source.
func (e *Engine) cut() *cut {
	announced, rules := e.Announced(), e.selector.Rules()
	if announced == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now != nil && e.rules == rules && same(e.announced, announced) {
		return e.now
	}
	next := newCut(rules, announced, e.replicas)
	if before := e.now; before != nil {
		// Who plans queries knows them by their slices.
		if slices.Equal(before.names, next.names) {
			next.names = before.names
		}
		if slices.EqualFunc(before.coverage, next.coverage, remote.Coverage.Equal) {
			next.coverage = before.coverage
		}
	}
	e.announced, e.rules, e.now = announced, rules, next
	return next
}

func same(a, b []remote.Coverage) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Labels implements remote.RemoteEngine.
func (e *Engine) Labels() []string {
	if c := e.cut(); c != nil {
		return c.names
	}
	return e.Source.Labels()
}

// Coverage implements remote.RemoteEngine.
func (e *Engine) Coverage() []remote.Coverage {
	if c := e.cut(); c != nil {
		return c.coverage
	}
	return e.Source.Coverage()
}

// Capabilities implements remote.RemoteEngine.
func (e *Engine) Capabilities() remote.Capabilities {
	caps := e.Source.Capabilities()
	if c := e.cut(); c != nil && c.partial() {
		caps.SamplesOnly = true
	}
	return caps
}

// errPartial is the error of a query that was planned before the rules or the data sets changed.
var errPartial = errors.New("it would evaluate the query over data sets that are not selected, too: they have changed just now")

func (e *Engine) whole() error {
	if c := e.cut(); c != nil && len(c.dropped) > 0 {
		return remote.EngineError(e.Name(), errPartial)
	}
	return nil
}

// NewInstantQuery implements remote.RemoteEngine.
func (e *Engine) NewInstantQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, ts time.Time) (promql.Query, error) {
	if err := e.whole(); err != nil {
		return nil, err
	}
	return e.Source.NewInstantQuery(ctx, opts, q, ts)
}

// NewRangeQuery implements remote.RemoteEngine.
func (e *Engine) NewRangeQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	if err := e.whole(); err != nil {
		return nil, err
	}
	return e.Source.NewRangeQuery(ctx, opts, q, start, end, interval)
}

// errUnknown is the error of a selection from a source that has not said yet what it has: it may have anything.
var errUnknown = errors.New("it has not said yet which data sets it has, so that none can be selected: ask again when it is there")

// Querier implements remote.Selector.
func (e *Engine) Querier(mint, maxt int64) (storage.Querier, error) {
	c, rules := e.cut(), !e.selector.Rules().none()
	if c != nil && len(c.kept) == 0 && rules {
		return storage.NoopQuerier(), nil
	}
	inner, err := e.Source.Querier(mint, maxt)
	switch {
	case err != nil:
		return nil, err
	case c != nil:
		return &querier{labelQuerier{inner, e.Source, mint, maxt, c}, inner}, nil
	case rules:
		return nil, errors.Join(remote.EngineError(e.Name(), errUnknown), inner.Close())
	}
	return inner, nil
}

// ChunkQuerier implements storage.ChunkQueryable.
func (e *Engine) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	c, rules := e.cut(), !e.selector.Rules().none()
	if c != nil && len(c.kept) == 0 && rules {
		return storage.NoopChunkedQuerier(), nil
	}
	inner, err := e.Source.ChunkQuerier(mint, maxt)
	switch {
	case err != nil:
		return nil, err
	case c != nil:
		return &chunkQuerier{labelQuerier{inner, e.Source, mint, maxt, c}, inner}, nil
	case rules:
		return nil, errors.Join(remote.EngineError(e.Name(), errUnknown), inner.Close())
	}
	return inner, nil
}
