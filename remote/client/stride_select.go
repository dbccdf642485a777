package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/wire"
	"github.com/stride-promql/stride/source/chunkseries"
)

// strideSeries are the series of a Stride node.
type strideSeries struct {
	*call[stridepb.SelectResponse]
	signs
	of      context.Context
	labels  *wire.SeriesReader
	chunks  wire.ChunkReader
	meter   meter
	pending []*stridepb.Series // received, not given
	ended   bool
	said    annotations.Annotations
}

func (q *querier) openStride(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers []*labels.Matcher) (seriesSource, error) {
	c := q.client
	s, err := start(ctx, c, c.opts.Patience, func(ctx context.Context) (func() (*stridepb.SelectResponse, error), error) {
		in, err := c.stride.Select(ctx, &stridepb.SelectRequest{
			MinMs: q.mint, MaxMs: q.maxt, Sorted: sorted, Matchers: wire.EncodeMatchers(matchers), Hints: wire.EncodeHints(hints),
		})
		if err != nil {
			return nil, err
		}
		return in.Recv, nil
	})
	if err != nil {
		return nil, err
	}
	return &strideSeries{call: s, of: ctx, labels: wire.NewSeriesReader(), meter: meter{client: c, ctx: ctx}}, nil
}

// series implements seriesSource.
func (s *strideSeries) series() (*chunkseries.Series, error) {
	out, err := s.read()
	switch {
	case errors.Is(err, io.EOF):
		s.close()
	case err != nil:
		err = s.error(err)
	}
	return out, err
}

// read puts a series together. Only what follows it tells that it is whole.
func (s *strideSeries) read() (out *chunkseries.Series, err error) {
	for {
		switch {
		case len(s.pending) == 0 && s.ended:
			if out == nil {
				return nil, io.EOF
			}
			return out, nil
		case len(s.pending) == 0:
			if err := s.receive(); err != nil {
				return nil, err
			}
			continue
		}
		m := s.pending[0]
		if len(m.Labels) > 0 {
			if out != nil {
				return out, nil
			}
			l, rest, err := s.labels.Read(m.Labels)
			if err != nil {
				return nil, err
			}
			if len(rest) > 0 {
				return nil, errors.New("something follows the labels of a series")
			}
			out = &chunkseries.Series{Labels: l.Labels}
			if err := s.meter.addSeries(len(m.Labels)); err != nil {
				return nil, err
			}
		}
		if out == nil {
			return nil, errors.New("a series has no labels")
		}
		s.pending = s.pending[1:]
		for _, m := range m.Chunks {
			c, err := s.chunks.Read(m)
			if err != nil {
				return nil, fmt.Errorf("series %s: %w", out.Labels, err)
			}
			if err := s.meter.addChunk(c); err != nil {
				return nil, err
			}
			out.Chunks = append(out.Chunks, c)
		}
	}
}

// receive takes in the next frame.
func (s *strideSeries) receive() error {
	res, err := s.next(s.of)
	if errors.Is(err, io.EOF) {
		return errCutOff
	}
	if err != nil {
		return err
	}
	switch f := res.Frame.(type) {
	case *stridepb.SelectResponse_Header:
		s.show(remote.Begun)
	case *stridepb.SelectResponse_Progress:
		s.show(remote.Alive)
	case *stridepb.SelectResponse_Series:
		s.pending = f.Series.Series
		s.show(remote.Alive) // it may be a part of a series
	case *stridepb.SelectResponse_Trailer:
		s.ended = true
		if s.said, err = wire.DecodeAnnotations(f.Trailer.Annotations); err == nil {
			s.finish(s.of)
		}
		return err
	case *stridepb.SelectResponse_Error:
		return wire.DecodeError(f.Error)
	default:
		return fmt.Errorf("the answer has a frame of an unknown kind (%T)", f)
	}
	return nil
}

// warnings implements seriesSource.
func (s *strideSeries) warnings() annotations.Annotations { return s.said }
