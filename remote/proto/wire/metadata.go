package wire

import (
	"context"
	"math"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/metadata"

	"github.com/stride-promql/stride/remote"
)

// What a call says of the query that it belongs to, whichever service it is to. The tenant's key is Thanos'.
const (
	queryIDKey = "stride-query-id"
	pathKey    = "stride-path" // once for each node
	tenantKey  = "thanos-tenant"
	partialKey = "stride-partial-response" // there or not

	resolutionKey = "stride-max-source-resolution-ms" // of downsampled data
)

// Outgoing puts the Request of ctx, and its trace, into the metadata of the calls made with it.
func Outgoing(ctx context.Context) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx)
	md = md.Copy()
	if md == nil {
		md = metadata.MD{}
	}
	r := remote.RequestFrom(ctx)
	if r.ID != "" {
		md.Set(queryIDKey, r.ID)
	}
	if len(r.Path) > 0 {
		md.Set(pathKey, r.Path...)
	}
	if r.Tenant != "" {
		md.Set(tenantKey, r.Tenant)
	}
	if r.PartialResponse {
		md.Set(partialKey, "true")
	}
	if r.MaxSourceResolution > 0 {
		md.Set(resolutionKey, strconv.FormatInt(r.MaxSourceResolution.Milliseconds(), 10))
	}
	otel.GetTextMapPropagator().Inject(ctx, carrier(md))
	return metadata.NewOutgoingContext(ctx, md)
}

// Incoming gives what Outgoing put into the metadata of a call, and ctx with the trace.
func Incoming(ctx context.Context) (context.Context, remote.Request) {
	md, _ := metadata.FromIncomingContext(ctx)
	ctx = otel.GetTextMapPropagator().Extract(ctx, carrier(md))
	return ctx, remote.Request{
		ID: carrier(md).Get(queryIDKey), Path: md.Get(pathKey), Tenant: carrier(md).Get(tenantKey), PartialResponse: carrier(md).Get(partialKey) == "true",
		MaxSourceResolution: resolution(carrier(md).Get(resolutionKey)),
	}
}

// resolution reads what Outgoing wrote. What makes no sense is none.
func resolution(text string) time.Duration {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < 0 || ms > math.MaxInt64/int64(time.Millisecond) {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// carrier lets a trace travel in metadata.
type carrier metadata.MD

var _ propagation.TextMapCarrier = carrier(nil)

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string {
	if v := metadata.MD(c).Get(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (c carrier) Set(key, value string) { metadata.MD(c).Set(key, value) }

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string {
	var keys []string
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}
