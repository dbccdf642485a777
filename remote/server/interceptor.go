package server

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// unary is around every call that has one answer.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (res any, err error) {
	err = s.call(ctx, info.FullMethod, func(ctx context.Context) error {
		var err error
		res, err = handler(ctx, req)
		return err
	})
	return res, err
}

// stream is around every call that has many answers.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return s.call(ss.Context(), info.FullMethod, func(ctx context.Context) error {
		return handler(srv, streamWithContext{ss, ctx})
	})
}

type streamWithContext struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s streamWithContext) Context() context.Context { return s.ctx }

// call runs a handler with the Request and the trace of the call in its context. It refuses what has been here before.
func (s *Server) call(ctx context.Context, method string, handler func(context.Context) error) (err error) {
	began := time.Now()
	defer func() { s.metrics.request(method, status.Code(err), began) }()
	defer s.recover(&err)
	ctx, r := wire.Incoming(ctx)
	if slices.Contains(r.Path, s.opts.NodeID) {
		return status.Error(codes.FailedPrecondition, fmt.Sprintf("the request has been at node %s before: nodes ask each other in a circle (%s)",
			s.opts.NodeID, strings.Join(append(r.Path, s.opts.NodeID), " -> ")))
	}
	r.Path = append(slices.Clone(r.Path), s.opts.NodeID)
	ctx = remote.WithRequest(ctx, r)
	if method == thanospb.Info_Info_FullMethodName || strings.HasPrefix(method, "/grpc.") {
		return handler(ctx) // asked time and again, and part of no query
	}
	ctx, span := otel.Tracer("").Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	err = handler(ctx)
	failed(ctx, err)
	return err
}

// failed notes an error, if there is one, in the trace.
func failed(ctx context.Context, err error) {
	if err != nil {
		span := trace.SpanFromContext(ctx)
		span.RecordError(err)
		span.SetStatus(otelcodes.Error, err.Error())
	}
}

// recover makes an error of a panic, with its stack in the log.
func (s *Server) recover(err *error) {
	if p := recover(); p != nil {
		s.opts.Logger.Error("panic while answering another node", "err", p, "stacktrace", string(debug.Stack()))
		*err = status.Error(codes.Internal, fmt.Sprintf("panic: %v", p))
	}
}
