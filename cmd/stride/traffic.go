package main

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// traffic counts requests to other nodes, and what goes over the connections, as it is on the wire: compressed, but without headers.
type traffic struct {
	sent, received *prometheus.CounterVec
	requests       *prometheus.HistogramVec

	mu          sync.Mutex
	connections map[string]int // by endpoint
}

func newTraffic(r prometheus.Registerer) *traffic {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"endpoint"})
	}
	t := &traffic{
		connections: map[string]int{},
		sent:        counter("stride_endpoint_sent_bytes_total", "Bytes of messages that were sent to another node."),
		received:    counter("stride_endpoint_received_bytes_total", "Bytes of messages that came from another node."),
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

// of counts that of one connection to a node, until it is closed.
func (t *traffic) of(endpoint string) *endpointTraffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connections[endpoint]++
	return &endpointTraffic{of: t, endpoint: endpoint, sent: t.sent.WithLabelValues(endpoint), received: t.received.WithLabelValues(endpoint)}
}

// endpointTraffic implements stats.Handler.
type endpointTraffic struct {
	of             *traffic
	endpoint       string
	sent, received prometheus.Counter
	closed         bool // guarded by of.mu
}

// observe counts a request that is over. One that ends behind the connection does not bring the metrics back.
func (t *endpointTraffic) observe(method string, err error, took time.Duration) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if !t.closed {
		t.of.requests.WithLabelValues(t.endpoint, method, status.Code(err).String()).Observe(took.Seconds())
	}
}

// close takes the metrics away if there is no other connection to the node.
func (t *endpointTraffic) close() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	if t.of.connections[t.endpoint]--; t.of.connections[t.endpoint] > 0 {
		return
	}
	delete(t.of.connections, t.endpoint)
	t.of.sent.DeleteLabelValues(t.endpoint)
	t.of.received.DeleteLabelValues(t.endpoint)
	t.of.requests.DeletePartialMatch(prometheus.Labels{"endpoint": t.endpoint})
}

// counted is a connection whose metrics go with it.
type counted struct {
	io.Closer
	traffic *endpointTraffic
}

// Close implements io.Closer.
func (c counted) Close() error {
	defer c.traffic.close()
	return c.Closer.Close()
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
		t.observe(method, s.Error, s.EndTime.Sub(s.BeginTime))
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
