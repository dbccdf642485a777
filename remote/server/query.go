package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// Query implements stride.v1.Engine.
func (s *Server) Query(req *stridepb.QueryRequest, out grpc.ServerStreamingServer[stridepb.QueryResponse]) error {
	type frame = *stridepb.QueryResponse
	return answer(out.Context(), s, out.Send, frames[frame]{
		header:   &stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Header{Header: &stridepb.Header{}}},
		progress: &stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Progress{Progress: &stridepb.Progress{}}},
		fail: func(e *stridepb.Error) frame {
			return &stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Error{Error: e}}
		},
	}, func(ctx context.Context, emit func(frame) error) (frame, error) {
		m := s.newMeter()
		t, err := s.evaluate(ctx, req, func(c *remote.Columns) error {
			if err := m.add(c); err != nil {
				return err
			}
			return wire.EncodeColumns(c, func(c *stridepb.Columns) error {
				return emit(&stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Columns{Columns: c}})
			})
		})
		if err != nil {
			return nil, err
		}
		return &stridepb.QueryResponse{Frame: &stridepb.QueryResponse_Trailer{Trailer: wire.EncodeTrailer(t)}}, nil
	})
}

// evaluate runs the query of a request and hands its columns out in order.
func (s *Server) evaluate(ctx context.Context, req *stridepb.QueryRequest, emit func(*remote.Columns) error) (remote.Trailer, error) {
	steps, err := s.check(req)
	if err != nil {
		return remote.Trailer{}, err
	}
	q, err := s.newQuery(ctx, req)
	if err != nil {
		return remote.Trailer{}, err
	}
	defer q.Close()
	streamer, ok := q.(remote.Streamer)
	if !ok {
		res := q.Exec(ctx)
		if res.Err != nil {
			return remote.Trailer{}, res.Err
		}
		return emitResult(res, q, req.StartMs, req.IntervalMs, steps, emit)
	}
	stream, err := streamer.Stream(ctx)
	if err != nil {
		return remote.Trailer{}, err
	}
	defer stream.Close()
	for {
		c, err := stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			return stream.Trailer(), nil
		}
		if err != nil {
			return remote.Trailer{}, err
		}
		if err := emit(c); err != nil {
			return remote.Trailer{}, err
		}
	}
}

// maxSteps is the most steps that a query may have: a column of them takes 128 MiB.
const maxSteps = 1 << 24

// check gives the number of steps of a request, or says what is wrong with it.
func (s *Server) check(req *stridepb.QueryRequest) (steps int, err error) {
	if known := s.engine.Capabilities().PlanVersion; int(req.PlanVersion) > known || req.PlanVersion < 0 {
		return 0, fmt.Errorf("the plan has version %d, the newest one known here is %d", req.PlanVersion, known)
	}
	if err := s.checkReplicaLabels(req.ReplicaLabels); err != nil {
		return 0, err
	}
	if req.LookbackMs < 0 || max(req.LookbackMs, req.IntervalMs) > math.MaxInt64/int64(time.Millisecond) {
		return 0, status.Error(codes.InvalidArgument, fmt.Sprintf("a lookback of %d ms and an interval of %d ms make no sense", req.LookbackMs, req.IntervalMs))
	}
	if !req.Range {
		return 1, nil
	}
	return rangeSteps(req.StartMs, req.EndMs, req.IntervalMs)
}

// rangeSteps is the number of steps from start to end, which are, as interval, in ms.
func rangeSteps(start, end, interval int64) (int, error) {
	if interval < 1 || end < start || end-start < 0 || (end-start)/interval >= maxSteps {
		return 0, status.Error(codes.InvalidArgument, fmt.Sprintf("from %d to %d by %d ms are no steps, or more than %d", start, end, interval, maxSteps))
	}
	return int((end-start)/interval) + 1, nil
}

// checkReplicaLabels refuses what the engine cannot do: it does not know which of its series differ only in labels that the answer must
// not have.
func (s *Server) checkReplicaLabels(names []string) error {
	for _, name := range names {
		if slices.Contains(s.engine.Labels(), name) {
			return status.Error(codes.FailedPrecondition, fmt.Sprintf("%q is to be removed as a replica label, but it is an external label of the data here, which is not deduplicated: configure it as a replica label of this node", name))
		}
		for _, c := range s.engine.Coverage() {
			if c.Labels.Has(name) {
				return status.Error(codes.FailedPrecondition, fmt.Sprintf("%q is to be removed as a replica label, but series here have it (%s), which are not deduplicated: configure it as a replica label of this node", name, c.Labels))
			}
		}
	}
	return nil
}

// newQuery makes the query of a request that was checked.
func (s *Server) newQuery(ctx context.Context, req *stridepb.QueryRequest) (promql.Query, error) {
	opts := promql.NewPrometheusQueryOpts(req.PerStepStats, milliseconds(req.LookbackMs), req.UseStartTimestamps)
	q := &remote.Text{Query: string(req.Query), Version: int(req.PlanVersion), Encoded: req.Plan}
	start := time.UnixMilli(req.StartMs)
	if !req.Range {
		return s.engine.NewInstantQuery(ctx, opts, q, start)
	}
	return s.engine.NewRangeQuery(ctx, opts, q, start, time.UnixMilli(req.EndMs), milliseconds(req.IntervalMs))
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// resultPositions is about how many positions of a result are made columns at once.
const resultPositions = 1 << 17

// emitResult hands out a result that came at once as columns.
func emitResult(res *promql.Result, q promql.Query, start, interval int64, steps int, emit func(*remote.Columns) error) (remote.Trailer, error) {
	next := func(value *promql.Result) (remote.ColumnStream, error) {
		cs, err := remote.ResultStream(value, q.Stats(), start, interval, 0, steps)
		if err != nil {
			return nil, err
		}
		c, err := cs.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return cs, nil
		}
		return cs, emit(c)
	}
	if m, ok := res.Value.(promql.Matrix); ok {
		for rows := range slices.Chunk(m, max(1, resultPositions/steps)) {
			if _, err := next(&promql.Result{Value: rows}); err != nil {
				return remote.Trailer{}, err
			}
		}
		res = &promql.Result{Value: promql.Matrix{}, Warnings: res.Warnings}
	}
	cs, err := next(res)
	if err != nil {
		return remote.Trailer{}, err
	}
	return cs.Trailer(), nil
}
