package main

import (
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/cmd/stride/api"
	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/source/downsampled"
)

// backend is what users' queries are evaluated with.
type backend struct {
	engine *engine.Engine
	data   storage.Queryable
	// local evaluates what is asked of some of the sources, or of copies as they are, over samples; nil without other nodes.
	local   *engine.Engine
	sources *sources
	// downsampled evaluates, over samples of the sources, queries for which downsampled data will do, and lookback is how far others look back.
	downsampled *engine.Engine
	lookback    time.Duration
}

// Engine implements api.Backend.
func (b *backend) Engine(r api.RequestOptions, opts promql.QueryOpts) (promql.QueryEngine, storage.Queryable, promql.QueryOpts, error) {
	data, special := b.special(r)
	switch {
	case b.sources != nil && r.MaxSourceResolution >= downsampled.Finest:
		opts = engine.WithPartialResponse(withResolution(opts, r.MaxSourceResolution, b.lookback), r.PartialResponse)
		return b.downsampled, withRequest(data, func(of *remote.Request) { of.MaxSourceResolution = r.MaxSourceResolution }), opts, nil
	case special:
		return b.local, data, engine.WithPartialResponse(opts, r.PartialResponse), nil
	}
	return b.engine, b.data, engine.WithPartialResponse(opts, r.PartialResponse), nil
}

// Queryable implements api.Backend.
func (b *backend) Queryable(r api.RequestOptions) (storage.Queryable, error) {
	data, special := b.special(r)
	if !special {
		data = b.data
	}
	if b.sources == nil {
		return data, nil
	}
	return withRequest(data, func(of *remote.Request) { of.PartialResponse = r.PartialResponse }), nil
}

// special are the samples for a request that wants others than everybody.
func (b *backend) special(r api.RequestOptions) (storage.Queryable, bool) {
	if b.sources == nil {
		return nil, false
	}
	of, replicas, special := b.sources.all, b.sources.replicas, false
	if r.StoreMatch != nil {
		of, special = b.sources.matching(r.StoreMatch), true
	}
	if r.ReplicaLabels != nil {
		replicas, special = r.ReplicaLabels, true
	}
	if !r.Dedup {
		replicas, special = nil, true
	}
	return b.sources.samples(of, replicas), special
}
