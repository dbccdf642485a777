package api

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// Backend is what stands behind the handlers. Each method is called once for a request that needs it; an error is the client's,
// who asked for something that there is not.
type Backend interface {
	// Engine returns the engine that evaluates a query, the storage that it reads from, and the query's options, which are
	// opts and whatever else the engine has to know of the request.
	Engine(r RequestOptions, opts promql.QueryOpts) (promql.QueryEngine, storage.Queryable, promql.QueryOpts, error)
	// Queryable returns the storage that labels and series are read from.
	Queryable(r RequestOptions) (storage.Queryable, error)
}

// RequestOptions are the parameters by which a request says how it wants to be answered. They are those of Thanos.
type RequestOptions struct {
	// Engine is prometheus, thanos or stride, or empty if the request does not say. The first two are for clients that name the
	// engine of a Thanos querier.
	Engine string
	// Dedup is whether series that differ in nothing but replica labels are to be one.
	Dedup bool
	// ReplicaLabels are these labels. nil: those that the node was told of.
	ReplicaLabels []string
	// PartialResponse is whether sources that fail become warnings.
	PartialResponse bool
	// StoreMatch restricts the sources to those whose address matches all matchers of one of these sets. nil: all sources.
	StoreMatch [][]*labels.Matcher
	// MaxSourceResolution is the coarsest resolution of downsampled data that will do. 0: raw samples alone.
	MaxSourceResolution time.Duration
}
