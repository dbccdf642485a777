package remote

import (
	"context"
	"time"
)

// Request says which query something belongs to. Contexts carry it, and so do calls to other nodes: whatever an engine does for a
// query, it does with the Request of the context that the query was run with.
type Request struct {
	// ID is that of the query as its user sent it, the same for all parts of it; "" is unknown.
	ID string
	// Path are the ids of the nodes that the request has passed, the first one first. A node that is among them refuses it.
	Path []string
	// Tenant is on whose behalf the query runs; "" is nobody's in particular.
	Tenant string
	// PartialResponse says that sources of data that fail are to become warnings.
	PartialResponse bool
	// MaxSourceResolution is that of the coarsest downsampled data that will do; 0: samples alone. What is asked for results has to evaluate
	// over samples then, of which each selector's function chooses.
	MaxSourceResolution time.Duration
}

type requestKey struct{}

// WithRequest is ctx with r, which must not be written to afterwards.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom is the Request of ctx, or the zero one.
func RequestFrom(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}
