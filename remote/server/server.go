// Package server answers other nodes over gRPC: it makes a remote.RemoteEngine one that Stride's and Thanos' queriers can ask.
package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/thanospb"
)

// Options are those of a Server. The zero value limits nothing.
type Options struct {
	// NodeID is the id by which the node recognizes requests that it has passed on itself. All servers and clients of a process that
	// belong together have the same; "" is a random one.
	NodeID string
	// Component is what the node calls itself towards Thanos, which treats some names in their own way; "" is "query".
	Component string

	// MaxQueries are the most queries that are evaluated at once; 0 is no limit. All parts of one query count as one, and are let in together.
	MaxQueries int
	// MaxQueued are the most queries that wait for their turn. Others are refused; 0 refuses none.
	MaxQueued int
	// Timeout is the longest that a request may take, waiting included; 0 is no limit. Requests may ask for less.
	Timeout time.Duration
	// MaxSeries and MaxSamples are the most that is sent for one request; 0 is no limit. A histogram counts as one sample for every 16 bytes.
	MaxSeries, MaxSamples int64
	// MaxMessageBytes is the largest request that is read; 0 is 64 MiB.
	MaxMessageBytes int

	// Registerer gets the metrics; nil registers none.
	Registerer prometheus.Registerer
	// Logger gets the stack of a panic; nil is slog's default.
	Logger *slog.Logger
	// GRPC are more options of the gRPC server, such as credentials.
	GRPC []grpc.ServerOption
}

func (o Options) withDefaults() Options {
	if o.NodeID == "" {
		o.NodeID = rand.Text()
	}
	if o.Component == "" {
		o.Component = "query"
	}
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Server serves stride.v1.Engine, thanos.Query, thanos.info.Info and, of a remote.Selector, thanos.Store, and gRPC's health and reflection, on one port.
type Server struct {
	stridepb.UnimplementedEngineServer
	thanospb.UnimplementedInfoServer

	engine  remote.RemoteEngine
	opts    Options
	gate    *gate
	metrics *metrics
	grpc    *grpc.Server
	health  *health.Server
	unready atomic.Bool
}

// New makes a server of an engine. If the engine is a remote.Selector, its samples are served, too; they are sent as they are stored
// if it is a storage.ChunkQueryable as well. It panics if the metrics are
// registered already.
func New(engine remote.RemoteEngine, opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{engine: engine, opts: opts, health: health.NewServer()}
	s.metrics = newMetrics(opts)
	s.gate = newGate(opts.MaxQueries, opts.MaxQueued, s.metrics)
	s.grpc = grpc.NewServer(append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(opts.MaxMessageBytes),
		grpc.MaxSendMsgSize(math.MaxInt32),
		// As Thanos' servers, whose clients send a ping every 10 s.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		// A client that vanished without a word gives its place in the gate back.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.stream),
	}, opts.GRPC...)...)
	stridepb.RegisterEngineServer(s.grpc, s)
	thanospb.RegisterQueryServer(s.grpc, &thanosServer{s: s})
	thanospb.RegisterInfoServer(s.grpc, s)
	if from, ok := engine.(remote.Selector); ok {
		thanospb.RegisterStoreServer(s.grpc, &storeServer{s: s, from: from})
	}
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s
}

// NodeID is the id of the node.
func (s *Server) NodeID() string { return s.opts.NodeID }

// SetReady says whether the node knows what data it has, which it does until told otherwise. As long as it does not, it does not announce
// any, so that others neither take it for empty nor forget what it had, and its health is NOT_SERVING.
func (s *Server) SetReady(ready bool) {
	s.unready.Store(!ready)
	status := grpc_health_v1.HealthCheckResponse_SERVING
	if !ready {
		status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	s.health.SetServingStatus("", status)
}

// Serve answers what comes in on l until Shutdown, or fails. It closes l.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Shutdown lets requests that are being answered finish until ctx ends, and then ends them.
func (s *Server) Shutdown(ctx context.Context) {
	s.health.Shutdown()
	stop := context.AfterFunc(ctx, s.grpc.Stop)
	defer stop()
	s.grpc.GracefulStop()
}
