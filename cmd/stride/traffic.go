package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/stats"
)

// traffic counts what goes over the connections to other nodes, as it is on the wire: compressed, but without headers.
type traffic struct{ sent, received *prometheus.CounterVec }

func newTraffic(r prometheus.Registerer) *traffic {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"endpoint"})
	}
	t := &traffic{
		sent:     counter("stride_endpoint_sent_bytes_total", "Bytes of messages that were sent to another node."),
		received: counter("stride_endpoint_received_bytes_total", "Bytes of messages that came from another node."),
	}
	r.MustRegister(t.sent, t.received)
	return t
}

// of counts one node's.
func (t *traffic) of(endpoint string) stats.Handler {
	return &endpointTraffic{t.sent.WithLabelValues(endpoint), t.received.WithLabelValues(endpoint)}
}

// endpointTraffic implements stats.Handler.
type endpointTraffic struct{ sent, received prometheus.Counter }

// HandleRPC implements stats.Handler.
func (t *endpointTraffic) HandleRPC(_ context.Context, s stats.RPCStats) {
	switch s := s.(type) {
	case *stats.InPayload:
		t.received.Add(float64(s.WireLength))
	case *stats.OutPayload:
		t.sent.Add(float64(s.WireLength))
	}
}

// TagRPC implements stats.Handler.
func (*endpointTraffic) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn implements stats.Handler.
func (*endpointTraffic) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return ctx
}

// HandleConn implements stats.Handler.
func (*endpointTraffic) HandleConn(context.Context, stats.ConnStats) {}
