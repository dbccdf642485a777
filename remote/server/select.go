package server

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// Select implements stride.v1.Engine. Samples are sent as chunks.
func (s *Server) Select(req *stridepb.SelectRequest, out grpc.ServerStreamingServer[stridepb.SelectResponse]) error {
	type frame = *stridepb.SelectResponse
	selector, ok := s.engine.(remote.Selector)
	if !ok {
		return status.Error(codes.Unimplemented, "this node does not give samples")
	}
	return answer(out.Context(), s, out.Send, frames[frame]{
		header:   &stridepb.SelectResponse{Frame: &stridepb.SelectResponse_Header{Header: &stridepb.Header{}}},
		progress: &stridepb.SelectResponse{Frame: &stridepb.SelectResponse_Progress{Progress: &stridepb.Progress{}}},
		fail: func(e *stridepb.Error) frame {
			return &stridepb.SelectResponse{Frame: &stridepb.SelectResponse_Error{Error: e}}
		},
	}, func(ctx context.Context, emit func(frame) error) (frame, error) {
		t, err := s.selectSeries(ctx, selector, req, func(b *stridepb.SeriesBatch) error {
			return emit(&stridepb.SelectResponse{Frame: &stridepb.SelectResponse_Series{Series: b}})
		})
		if err != nil {
			return nil, err
		}
		return &stridepb.SelectResponse{Frame: &stridepb.SelectResponse_Trailer{Trailer: t}}, nil
	})
}

// batchBytes is about the size of what is sent at once.
const batchBytes = 1 << 20

// selectSeries hands out the series that a request selects.
func (s *Server) selectSeries(ctx context.Context, selector remote.Selector, req *stridepb.SelectRequest, emit func(*stridepb.SeriesBatch) error) (t *stridepb.SelectTrailer, err error) {
	matchers, err := wire.DecodeMatchers(req.Matchers)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	set, err := selectSamples(ctx, selector, req.MinMs, req.MaxMs, req.Sorted, wire.DecodeHints(req.Hints), matchers)
	if err != nil {
		return nil, err
	}
	defer set.finish(&err)
	var (
		meter = s.newMeter()
		batch = &stridepb.SeriesBatch{}
		size  int
		it    chunks.Iterator
	)
	flush := func() error {
		if len(batch.Series) == 0 {
			return nil
		}
		out := batch
		batch, size = &stridepb.SeriesBatch{}, 0
		return emit(out)
	}
	for set.Next() {
		series := set.At()
		m := &stridepb.Series{Labels: wire.AppendSeries(nil, remote.Series{Labels: series.Labels()})}
		batch.Series = append(batch.Series, m)
		size += len(m.Labels)
		if err := meter.count(0, 1, 0); err != nil {
			return nil, err
		}
		for it = series.Iterator(it); it.Next(); {
			c := it.At()
			if err := meter.count(0, 0, int64(c.Chunk.NumSamples())); err != nil {
				return nil, err
			}
			if size > batchBytes {
				if err := flush(); err != nil {
					return nil, err
				}
				m = &stridepb.Series{} // more of the same
				batch.Series = append(batch.Series, m)
			}
			m.Chunks = append(m.Chunks, wire.EncodeChunk(c))
			size += len(c.Chunk.Bytes())
		}
		if err := it.Err(); err != nil {
			return nil, promql.ErrStorage{Err: fmt.Errorf("series %s: %w", series.Labels(), err)}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if err := set.Err(); err != nil {
		return nil, promql.ErrStorage{Err: err}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return &stridepb.SelectTrailer{Annotations: wire.EncodeAnnotations(set.Warnings())}, nil
}
