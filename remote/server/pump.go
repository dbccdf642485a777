package server

import (
	"context"
	"time"

	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// frames are what a method of stride.v1.Engine sends besides its answer.
type frames[T any] struct {
	header, progress T
	fail             func(*stridepb.Error) T
}

// answer lets a request in, and sends what work emits and at last what it returns.
func answer[T any](ctx context.Context, s *Server, send func(T) error, f frames[T], work func(ctx context.Context, emit func(T) error) (last T, err error)) error {
	return pump(ctx, s, send, f.progress, func(ctx context.Context, emit func(T) error) error {
		ctx, cancel := s.limitTime(ctx, 0)
		defer cancel()
		leave, err := s.gate.enter(ctx, remote.RequestFrom(ctx).ID)
		if err == nil {
			defer leave()
			if err := emit(f.header); err != nil {
				return err
			}
			var last T
			if last, err = work(ctx, emit); err == nil {
				return emit(last)
			}
		}
		if isStatus(err) {
			return err
		}
		failed(ctx, err)
		return emit(f.fail(wire.EncodeError(err)))
	})
}

// isStatus tells whether an error is the call's, and not the query's.
func isStatus(err error) bool {
	_, ok := err.(interface{ GRPCStatus() *status.Status })
	return ok
}

// limitTime bounds a request to the server's timeout, and to its own if that is not 0.
func (s *Server) limitTime(ctx context.Context, own time.Duration) (context.Context, context.CancelFunc) {
	limit := s.opts.Timeout
	if own > 0 && (limit <= 0 || own < limit) {
		limit = own
	}
	if limit <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// pump sends what produce emits, and progress whenever nothing else went out for remote.SignEvery: by it the other side tells a node that works
// from one that hangs. It returns once produce has. produce runs on a
// goroutine of its own, one item ahead of what gRPC's flow control lets out.
func pump[T any](ctx context.Context, s *Server, send func(T) error, progress T, produce func(ctx context.Context, emit func(T) error) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	items := make(chan T)
	var produced error // once items is closed
	go func() {
		defer close(items)
		defer s.recover(&produced)
		produced = produce(ctx, func(item T) error {
			select {
			case items <- item:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	ticker := time.NewTicker(remote.SignEvery)
	defer ticker.Stop()
	var sent error
	for {
		select {
		case item, ok := <-items:
			if !ok {
				if sent != nil {
					return sent
				}
				return produced
			}
			if sent == nil {
				sent = send(item)
			}
			ticker.Reset(remote.SignEvery)
		case <-ticker.C:
			if sent == nil {
				sent = send(progress)
			}
		}
		if sent != nil {
			cancel()
		}
	}
}
