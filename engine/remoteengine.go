package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
}

// NewRemoteEngine is an engine over a storage as other engines see it: what a node serves, and what tests and programs with
// several storages use without a network. Series of the storage carry the external labels.
func NewRemoteEngine(e *Engine, queryable storage.Queryable, opts RemoteOpts) remote.RemoteEngine {
	opts.PartitionLabels = slices.Clone(opts.PartitionLabels)
	slices.Sort(opts.PartitionLabels)
	return &remoteEngine{engine: e, Queryable: queryable, opts: opts}
}

type remoteEngine struct {
	storage.Queryable
	engine *Engine
	opts   RemoteOpts
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
		return r.engine.NewFragmentQuery(ctx, r.Queryable, opts, q.String(), plan)
	}
	return r.engine.NewInstantQuery(ctx, r.Queryable, opts, q.String(), ts)
}

// NewRangeQuery implements remote.RemoteEngine.
func (r *remoteEngine) NewRangeQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	if version, plan := q.Plan(); version > 0 {
		return r.engine.NewFragmentQuery(ctx, r.Queryable, opts, q.String(), plan)
	}
	return r.engine.NewRangeQuery(ctx, r.Queryable, opts, q.String(), start, end, interval)
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

// Querier implements storage.Queryable.
func (s remoteStorage) Querier(mint, maxt int64) (storage.Querier, error) {
	var queriers []storage.Querier
	for _, e := range s {
		selector, ok := e.(remote.Selector)
		if !ok {
			queriers = append(queriers, noSamples{e.Name()})
			continue
		}
		q, err := selector.Querier(mint, maxt)
		if err != nil {
			for _, q := range queriers {
				_ = q.Close()
			}
			return nil, remote.EngineError(e.Name(), err)
		}
		queriers = append(queriers, q)
	}
	return storage.NewMergeQuerier(queriers, nil, storage.ChainedSeriesMerge), nil
}

// noSamples stands for an engine that gives results only. It fails when it is read from, not before.
type noSamples struct{ name string }

// Select implements storage.Querier.
func (n noSamples) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return storage.ErrSeriesSet(fmt.Errorf("remote engine %s: %w", n.name, errNoSamples))
}

// LabelValues implements storage.Querier.
func (noSamples) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier.
func (noSamples) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (noSamples) Close() error { return nil }
