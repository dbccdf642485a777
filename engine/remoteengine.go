package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/remote"
)

// RemoteOpts say of an engine in the same process what a remote.RemoteEngine has to announce.
type RemoteOpts struct {
	// Name tells it from others.
	Name string
	// PartitionLabels are the names of the external labels that tell data sets apart.
	PartitionLabels []string
	// Coverage are the external label sets of the storage's series, and when there is data.
	Coverage []remote.Coverage
	// GroupID and PeerType are as in remote.Capabilities.
	GroupID  string
	PeerType remote.PeerType
	// Inner says that it is a part of the process that asks it, and not one of several: a part of a query that exceeds its limits is
	// a *remote.LimitError then.
	Inner bool
}

// NewRemoteEngine is an engine over a storage as other engines see it: what a node serves, and what tests and programs with
// several storages use without a network. Series of the storage carry the external labels. A distributed engine, which lets its own
// engines evaluate what it is asked, needs no storage: queryable may be nil. e must not have the ActiveQueryTracker of an engine that asks it: a
// query would hold its place there while its parts wait for theirs.
func NewRemoteEngine(e *Engine, queryable storage.Queryable, opts RemoteOpts) remote.RemoteEngine {
	opts.PartitionLabels = slices.Clone(opts.PartitionLabels)
	slices.Sort(opts.PartitionLabels)
	return &remoteEngine{engine: e, queryable: queryable, opts: opts}
}

type remoteEngine struct {
	queryable storage.Queryable
	engine    *Engine
	opts      RemoteOpts
}

var _ remote.Selector = (*remoteEngine)(nil)

// Name implements remote.RemoteEngine.
func (r *remoteEngine) Name() string { return r.opts.Name }

// Labels implements remote.RemoteEngine.
func (r *remoteEngine) Labels() []string { return r.opts.PartitionLabels }

// Coverage implements remote.RemoteEngine.
func (r *remoteEngine) Coverage() []remote.Coverage { return r.opts.Coverage }

// Capabilities implements remote.RemoteEngine.
func (r *remoteEngine) Capabilities() remote.Capabilities {
	return remote.Capabilities{
		LanguageLevel: logicalplan.OwnLanguageLevel,
		PlanVersion:   logicalplan.PlanVersion,
		LabelHash:     remote.LabelHash,
		GroupID:       r.opts.GroupID,
		PeerType:      r.opts.PeerType,
	}
}

// NewInstantQuery implements remote.RemoteEngine.
func (r *remoteEngine) NewInstantQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, ts time.Time) (promql.Query, error) {
	if version, plan := q.Plan(); version > 0 {
		return r.newFragmentQuery(ctx, opts, q.String(), plan)
	}
	return r.engine.NewInstantQuery(ctx, r.queryable, opts, q.String(), ts)
}

// NewRangeQuery implements remote.RemoteEngine.
func (r *remoteEngine) NewRangeQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	if version, plan := q.Plan(); version > 0 {
		return r.newFragmentQuery(ctx, opts, q.String(), plan)
	}
	return r.engine.NewRangeQuery(ctx, r.queryable, opts, q.String(), start, end, interval)
}

func (r *remoteEngine) newFragmentQuery(ctx context.Context, opts promql.QueryOpts, text string, plan []byte) (promql.Query, error) {
	q, err := r.engine.NewFragmentQuery(ctx, r.queryable, opts, text, plan)
	if f, ok := q.(*fragmentQuery); ok {
		f.inner = r.opts.Inner
	}
	return q, err
}

// Querier implements remote.Selector.
func (r *remoteEngine) Querier(mint, maxt int64) (storage.Querier, error) {
	switch d := r.engine.distribution; {
	case r.queryable != nil:
		return r.queryable.Querier(mint, maxt)
	case d != nil:
		return remoteStorage(d.endpoints.Engines()).Querier(mint, maxt)
	}
	return nil, errNoSamples
}

// storage is what the query reads from where it is evaluated here.
func (q *query) storage() storage.Queryable {
	if q.queryable != nil || q.engine.distribution == nil {
		return q.queryable
	}
	return remoteStorage(q.engines)
}

// remoteStorage reads from all engines that give samples, not only results.
type remoteStorage []remote.RemoteEngine

// errNoSamples is the error where samples are needed and some engine does not give any.
var errNoSamples = errors.New("a part of the query has to be evaluated over samples, which this engine does not give; give the query a storage")

// Querier implements storage.Queryable. No engine is asked for anything before a Select.
func (s remoteStorage) Querier(mint, maxt int64) (storage.Querier, error) {
	queriers := make([]storage.Querier, len(s))
	for i, e := range s {
		queriers[i] = &engineQuerier{engine: e, mint: mint, maxt: maxt}
	}
	return storage.NewMergeQuerier(queriers, nil, storage.ChainedSeriesMerge), nil
}

// engineQuerier reads from one engine. It names the engine in errors, which are warnings where a partial response is wanted.
type engineQuerier struct {
	engine     remote.RemoteEngine
	mint, maxt int64

	mu     sync.Mutex
	opened storage.Querier // nil before the first Select
}

func (q *engineQuerier) open() (storage.Querier, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.opened != nil {
		return q.opened, nil
	}
	s, ok := q.engine.(remote.Selector)
	if !ok {
		return nil, errNoSamples
	}
	opened, err := s.Querier(q.mint, q.maxt)
	if err == nil {
		q.opened = opened
	}
	return opened, err
}

// Select implements storage.Querier.
func (q *engineQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var set storage.SeriesSet
	if of, err := q.open(); err != nil {
		set = storage.ErrSeriesSet(err)
	} else {
		set = of.Select(ctx, sorted, hints, matchers...)
	}
	return &engineSeries{SeriesSet: set, engine: q.engine, ctx: ctx, mint: q.mint, maxt: q.maxt}
}

// LabelValues implements storage.Querier; engines of queries are not asked for any.
func (*engineQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier; engines of queries are not asked for any.
func (*engineQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (q *engineQuerier) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.opened == nil {
		return nil
	}
	return q.opened.Close()
}

// engineSeries are the series of one engine.
type engineSeries struct {
	storage.SeriesSet
	engine     remote.RemoteEngine
	ctx        context.Context
	mint, maxt int64
}

// Err implements storage.SeriesSet.
func (s *engineSeries) Err() error {
	err := s.SeriesSet.Err()
	if err == nil || s.lenient(err) {
		return nil
	}
	return remote.EngineError(s.engine.Name(), err)
}

// Warnings implements storage.SeriesSet.
func (s *engineSeries) Warnings() annotations.Annotations {
	warnings := s.SeriesSet.Warnings()
	if err := s.SeriesSet.Err(); err != nil && s.lenient(err) {
		warnings = maps.Clone(warnings)
		warnings.Add(remote.Missing(s.engine, s.mint, s.maxt, err))
	}
	return warnings
}

// lenient tells whether an error is a warning. The end of the query itself is none of the engine's, and neither is what is wrong with it.
func (s *engineSeries) lenient(err error) bool {
	return !remote.Blameless(err) && s.ctx.Err() == nil && remote.RequestFrom(s.ctx).PartialResponse
}
