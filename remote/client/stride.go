package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// strideStream is the answer of a Stride node.
type strideStream struct {
	*call[stridepb.QueryResponse]
	signs
	steps   int
	series  *wire.SeriesReader
	trailer remote.Trailer
	ended   bool
}

var _ remote.Signaller = (*strideStream)(nil)

// openStride sends a query to a Stride node.
func (c *Client) openStride(ctx context.Context, req *stridepb.QueryRequest, steps int) (remote.ColumnStream, error) {
	s, err := start(ctx, c, c.opts.Patience, func(ctx context.Context) (func() (*stridepb.QueryResponse, error), error) {
		in, err := c.stride.Query(ctx, req)
		if err != nil {
			return nil, err
		}
		return in.Recv, nil
	})
	if err != nil {
		return nil, err
	}
	return &strideStream{call: s, steps: steps, series: wire.NewSeriesReader()}, nil
}

// errCutOff is the error of an answer that has no end.
var errCutOff = errors.New("the answer broke off")

// Next implements remote.ColumnStream.
func (s *strideStream) Next(ctx context.Context) (*remote.Columns, error) {
	if s.ended {
		return nil, io.EOF
	}
	c, err := s.columns(ctx)
	if err != nil {
		return nil, s.error(err)
	}
	if c == nil {
		s.ended = true
		return nil, io.EOF
	}
	return c, nil
}

// columns are the next ones, nil once the trailer is there.
func (s *strideStream) columns(ctx context.Context) (*remote.Columns, error) {
	for {
		res, err := s.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil, errCutOff
		}
		if err != nil {
			return nil, err
		}
		switch f := res.Frame.(type) {
		case *stridepb.QueryResponse_Header:
			s.show(remote.Begun)
		case *stridepb.QueryResponse_Progress:
			s.show(remote.Alive)
		case *stridepb.QueryResponse_Columns:
			c, err := wire.DecodeColumns(f.Columns, s.steps, s.series)
			if err != nil {
				return nil, err
			}
			if len(c.Series) > 0 {
				return c, nil
			}
			s.show(remote.Alive)
		case *stridepb.QueryResponse_Trailer:
			if s.trailer, err = wire.DecodeTrailer(f.Trailer, s.steps); err == nil {
				s.finish(ctx)
			}
			return nil, err
		case *stridepb.QueryResponse_Error:
			return nil, wire.DecodeError(f.Error)
		default:
			return nil, fmt.Errorf("the answer has a frame of an unknown kind (%T)", f)
		}
	}
}

// Trailer implements remote.ColumnStream.
func (s *strideStream) Trailer() remote.Trailer { return s.trailer }

// Close implements remote.ColumnStream.
func (s *strideStream) Close() error {
	s.close()
	return nil
}
