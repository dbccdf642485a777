package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// traffic counts requests to other nodes, and what goes over the connections, as it is on the wire: compressed, but without headers.
type traffic struct {
	sent, received *prometheus.CounterVec
	requests       *prometheus.HistogramVec
}

func newTraffic(r prometheus.Registerer) *traffic {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"endpoint"})
	}
	t := &traffic{
		sent:     counter("stride_endpoint_sent_bytes_total", "Bytes of messages that were sent to another node."),
		received: counter("stride_endpoint_received_bytes_total", "Bytes of messages that came from another node."),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                        "stride_endpoint_request_duration_seconds",
			Help:                        "How long requests to another node took, to the end of its answer. Those that were no longer wanted have the code Canceled.",
			Buckets:                     []float64{.001, .01, .1, .5, 1, 5, 10, 30, 60, 120, 300},
			NativeHistogramBucketFactor: 1.1,
		}, []string{"endpoint", "method", "code"}),
	}
	r.MustRegister(t.sent, t.received, t.requests)
	return t
}

// of counts one node's.
func (t *traffic) of(endpoint string) stats.Handler {
	return &endpointTraffic{t.sent.WithLabelValues(endpoint), t.received.WithLabelValues(endpoint), t.requests.MustCurryWith(prometheus.Labels{"endpoint": endpoint})}
}

// endpointTraffic implements stats.Handler.
type endpointTraffic struct {
	sent, received prometheus.Counter
	requests       prometheus.ObserverVec
}

// HandleRPC implements stats.Handler.
func (t *endpointTraffic) HandleRPC(ctx context.Context, s stats.RPCStats) {
	switch s := s.(type) {
	case *stats.InPayload:
		t.received.Add(float64(s.WireLength))
	case *stats.OutPayload:
		t.sent.Add(float64(s.WireLength))
	case *stats.End:
		method, _ := ctx.Value(methodKey{}).(string)
		t.requests.WithLabelValues(method, status.Code(s.Error).String()).Observe(s.EndTime.Sub(s.BeginTime).Seconds())
	}
}

// methodKey is the key of a request's method in its context.
type methodKey struct{}

// TagRPC implements stats.Handler.
func (*endpointTraffic) TagRPC(ctx context.Context, i *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, methodKey{}, i.FullMethodName)
}

// TagConn implements stats.Handler.
func (*endpointTraffic) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return ctx
}

// HandleConn implements stats.Handler.
func (*endpointTraffic) HandleConn(context.Context, stats.ConnStats) {}
