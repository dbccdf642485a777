package client

import (
	"context"
	"errors"
	"io"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

const (
	// thanosBatch is how many series a Thanos node is asked to send at once, as Thanos' own queriers ask.
	thanosBatch = 64
	// thanosPositions is about how many positions columns have.
	thanosPositions = 1 << 17
)

// thanosStream is the answer of a Thanos node.
type thanosStream struct {
	*call[thanospb.QueryResponse]
	steps   wire.Steps
	builder labels.ScratchBuilder
	series  [][]byte // received, not given
	trailer remote.Trailer
	ended   bool
	// warned is what the node warns of, as one text, and answered whether anything else has come.
	warned   string
	answered bool
}

// openThanos sends a query to a Thanos node.
func (c *Client) openThanos(ctx context.Context, steps wire.Steps, send func(context.Context) (func() (*thanospb.QueryResponse, error), error)) (remote.ColumnStream, error) {
	s, err := start(ctx, c, 0, send)
	if err != nil {
		return nil, err
	}
	return &thanosStream{call: s, steps: steps, builder: labels.NewScratchBuilder(16)}, nil
}

// Next implements remote.ColumnStream.
func (s *thanosStream) Next(ctx context.Context) (*remote.Columns, error) {
	rows := min(thanosBatch, max(1, thanosPositions/s.steps.N))
	for {
		for len(s.series) < rows && !s.ended {
			if err := s.receive(ctx); err != nil {
				return nil, s.error(err)
			}
		}
		if len(s.series) == 0 {
			return nil, io.EOF
		}
		n := min(rows, len(s.series))
		c, err := wire.DecodeThanosSeries(s.series[:n], s.steps, &s.builder)
		if err != nil {
			return nil, s.error(err)
		}
		clear(s.series[:n])
		s.series = s.series[n:]
		if len(c.Series) > 0 {
			return c, nil
		}
	}
}

// receive takes in the next message, or notes the end. Where a partial response is allowed, Thanos says why an instant query failed as if it
// were a warning of an empty answer: it is told from one by the statistics that come with every answer.
func (s *thanosStream) receive(ctx context.Context) error {
	res, err := s.next(ctx)
	if errors.Is(err, io.EOF) {
		s.ended = true
		if s.warned != "" && !s.answered {
			return errors.New(s.warned)
		}
		return nil
	}
	if err != nil {
		return err
	}
	_, warns := res.Result.(*thanospb.QueryResponse_Warnings)
	s.answered = s.answered || !warns
	switch r := res.Result.(type) {
	case *thanospb.QueryResponse_Timeseries:
		s.series = append(s.series, r.Timeseries)
	case *thanospb.QueryResponse_TimeseriesBatch:
		s.series = append(s.series, r.TimeseriesBatch.Series...)
	case *thanospb.QueryResponse_Warnings:
		s.warned = string(r.Warnings)
		s.trailer.Annotations.Merge(wire.DecodeThanosWarnings(string(r.Warnings), s.client.error))
	case *thanospb.QueryResponse_Stats:
		s.trailer.Stats = remote.Stats{Total: []int64{r.Stats.SamplesTotal}, PeakSamples: r.Stats.PeakSamples}
	default: // a newer node may say more
	}
	return nil
}

// Trailer implements remote.ColumnStream. Of annotations only the texts are left.
func (s *thanosStream) Trailer() remote.Trailer { return s.trailer }

// Close implements remote.ColumnStream.
func (s *thanosStream) Close() error {
	s.close()
	return nil
}
