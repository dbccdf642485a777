package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// call is a call with many answers that is under way.
type call[T any] struct {
	client   *Client
	ctx      context.Context
	cancel   context.CancelCauseFunc
	span     trace.Span
	patience time.Duration // 0 is endless
	recv     func() (*T, error)
}

// signs passes on the signs of life of a Stride node.
type signs struct {
	sign func(remote.Sign) // nil: nobody looks at them
}

// OnSign implements remote.Signaller.
func (s *signs) OnSign(sign func(remote.Sign)) bool {
	s.sign = sign
	return true
}

func (s *signs) show(sign remote.Sign) {
	if s.sign != nil {
		s.sign(sign)
	}
}

// start begins a call. Close has to be called on it. Calls that know of no query are one of their own.
func start[T any](ctx context.Context, c *Client, patience time.Duration, open func(context.Context) (func() (*T, error), error)) (*call[T], error) {
	if r := remote.RequestFrom(ctx); r.ID == "" {
		r.ID = rand.Text()
		ctx = remote.WithRequest(ctx, r)
	}
	ctx, span := otel.Tracer("").Start(ctx, "remoteCall", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("node", c.opts.Name)))
	ctx, cancel := context.WithCancelCause(wire.Outgoing(ctx))
	if span.IsRecording() {
		context.AfterFunc(ctx, func() { span.End() }) // also where whoever asks wants no more and does not say so
	}
	recv, err := open(ctx)
	s := &call[T]{client: c, ctx: ctx, cancel: cancel, span: span, patience: patience, recv: recv}
	if err != nil {
		defer s.close()
		return nil, s.error(err)
	}
	return s, nil
}

// errSilent is the error of a node that hangs.
type errSilent time.Duration

// Error says for how long.
func (e errSilent) Error() string {
	return fmt.Sprintf("it has not given a sign of life for %s", time.Duration(e))
}

// next waits for the next answer. Other errors than io.EOF end the call.
func (s *call[T]) next(ctx context.Context) (*T, error) {
	stop := context.AfterFunc(ctx, func() { s.cancel(ctx.Err()) })
	defer stop()
	if s.patience > 0 {
		t := time.AfterFunc(s.patience, func() { s.cancel(errSilent(s.patience)) })
		defer t.Stop()
	}
	return s.recv()
}

// error ends the call, and is what an error of next, or of what came, is to whoever asked. If that one's own context has ended, no
// node is to blame.
func (s *call[T]) error(err error) error {
	s.span.RecordError(err)
	s.span.SetStatus(otelcodes.Error, err.Error())
	defer s.end(err)
	if ended := s.ctx.Err(); ended != nil {
		var silent errSilent
		switch cause := context.Cause(s.ctx); {
		case errors.As(cause, &silent):
			return s.client.error(cause)
		case errors.Is(cause, context.DeadlineExceeded):
			return cause
		}
		return ended
	}
	if _, bounded := s.ctx.Deadline(); bounded && status.Code(err) == codes.DeadlineExceeded {
		return context.DeadlineExceeded // which the node keeps as well, and may see first
	}
	return s.client.error(err)
}

// finish waits for the end of a call whose answer is there, which comes right behind it: without it the call would count as cancelled.
func (s *call[T]) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = s.next(ctx)
}

// close ends the call.
func (s *call[T]) close() { s.end(context.Canceled) }

func (s *call[T]) end(cause error) {
	s.cancel(cause)
	s.span.End()
}
