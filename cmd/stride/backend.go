package main

import (
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/cmd/stride/api"
	"github.com/stride-promql/stride/engine"
)

// backend is what users' queries are evaluated with.
type backend struct {
	engine *engine.Engine
	data   storage.Queryable
	// local evaluates what is asked of some of the sources, or of copies as they are, over samples; nil without other nodes.
	local   *engine.Engine
	sources *sources
}

// Engine implements api.Backend.
func (b *backend) Engine(r api.RequestOptions, opts promql.QueryOpts) (promql.QueryEngine, storage.Queryable, promql.QueryOpts, error) {
	opts = engine.WithPartialResponse(opts, r.PartialResponse)
	if data, special := b.special(r); special {
		return b.local, data, opts, nil
	}
	return b.engine, b.data, opts, nil
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
	return withPartialResponse(data, r.PartialResponse), nil
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
