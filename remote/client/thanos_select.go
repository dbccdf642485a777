package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
	"github.com/stride-promql/stride/source/chunkseries"
	"github.com/stride-promql/stride/source/downsampled"
)

// thanosSeries are the series of a Thanos node.
type thanosSeries struct {
	*call[thanospb.SeriesResponse]
	of      context.Context
	builder labels.ScratchBuilder
	chunks  wire.ChunkReader

	aggregates bool // were asked for
	meter      meter
	pending    []*thanospb.Series // received, not given
	ended      bool
	said       annotations.Annotations

	replicas []string
	stripped []copied // all series without replica labels, in order; nil before they were read
}

// copied is a series without replica labels.
type copied struct {
	chunkseries.Series
	whole labels.Labels // with them
}

func (q *querier) openThanos(ctx context.Context, hints *storage.SelectHints, matchers []*labels.Matcher) (seriesSource, error) {
	c := q.client
	req := &thanospb.SeriesRequest{
		MinTime: q.mint, MaxTime: q.maxt,
		Matchers:          wire.EncodeThanosMatchers(q.withName(matchers)),
		ResponseBatchSize: thanosBatch,
	}
	req.PartialResponseDisabled, req.PartialResponseStrategy = partialResponse(ctx)
	if hints != nil {
		req.MinTime, req.MaxTime, req.Limit = hints.Start, hints.End, int64(hints.Limit)
		req.SkipChunks = hints.Func == "series" // as Prometheus says that it needs no samples
	}
	if req.SkipChunks {
		req.MaxResolutionWindow = math.MaxInt64 // also series of which there is downsampled data alone
	} else if of := reading(ctx, hints); of.Resolution > 0 {
		req.MaxResolutionWindow = of.Resolution.Milliseconds()
		for _, a := range of.Aggregates {
			req.Aggregates = append(req.Aggregates, thanospb.Aggr_COUNT+thanospb.Aggr(a))
		}
	}
	s, err := start(ctx, c, c.opts.SampleTimeout, func(ctx context.Context) (func() (*thanospb.SeriesResponse, error), error) {
		in, err := c.store.Series(ctx, req)
		if err != nil {
			return nil, err
		}
		return in.Recv, nil
	})
	if err != nil {
		return nil, err
	}
	return &thanosSeries{call: s, of: ctx, builder: labels.NewScratchBuilder(16), meter: meter{client: c, ctx: ctx}, aggregates: len(req.Aggregates) > 0, replicas: q.strips()}, nil
}

// reading is what a selector is read of, as far as the query allows downsampled data.
func reading(ctx context.Context, hints *storage.SelectHints) downsampled.Reading {
	return downsampled.ReadingFor(remote.RequestFrom(ctx).MaxSourceResolution, hints)
}

var anyName = labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+")

// withName adds a matcher that all series pass if there may be none but of external labels: Thanos' stores and Prometheus take those off and refuse a
// request with nothing left, or with matchers that pass what is empty.
func (q *querier) withName(matchers []*labels.Matcher) []*labels.Matcher {
	external := q.client.Labels()
	for _, m := range matchers {
		if !m.Matches("") && !slices.Contains(external, m.Name) && !slices.Contains(q.client.opts.ReplicaLabels, m.Name) {
			return matchers
		}
	}
	return append(slices.Clone(matchers), anyName)
}

// series implements seriesSource.
func (s *thanosSeries) series() (*chunkseries.Series, error) {
	var out *chunkseries.Series
	var err error
	if len(s.replicas) == 0 {
		out, err = s.read()
	} else {
		out, err = s.strip()
	}
	switch {
	case errors.Is(err, io.EOF):
		s.close()
	case err != nil:
		err = s.error(err)
	}
	return out, err
}

// read puts a series together. It may come in parts, one behind the other.
func (s *thanosSeries) read() (out *chunkseries.Series, err error) {
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
		l, err := wire.ReadThanosSeriesLabels(m.Labels, &s.builder)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = &chunkseries.Series{Labels: l}
			if err := s.meter.addSeries(int(l.ByteSize())); err != nil {
				return nil, err
			}
		} else if !labels.Equal(out.Labels, l) {
			return out, nil
		}
		s.pending = s.pending[1:]
		for _, m := range m.Chunks {
			c, err := s.chunk(m)
			if err != nil {
				return nil, fmt.Errorf("series %s: %w", l, err)
			}
			if err := s.meter.addChunk(c); err != nil {
				return nil, err
			}
			out.Chunks = append(out.Chunks, c)
		}
	}
}

// chunk reads a chunk of samples or, if they were asked for, of aggregates.
func (s *thanosSeries) chunk(m *thanospb.AggrChunk) (chunks.Meta, error) {
	if m.Raw != nil || !s.aggregates {
		return s.chunks.ReadThanos(m)
	}
	parts, err := s.chunks.ReadThanosAggregates(m)
	return chunks.Meta{MinTime: m.MinTime, MaxTime: m.MaxTime, Chunk: downsampled.NewChunk(parts)}, err
}

// strip gives the next series without replica labels. All are read before the first: without these labels their order is another.
func (s *thanosSeries) strip() (*chunkseries.Series, error) {
	if s.stripped == nil {
		s.stripped = []copied{}
		b := labels.NewBuilder(labels.EmptyLabels())
		for {
			one, err := s.read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			b.Reset(one.Labels)
			b.Del(s.replicas...)
			s.stripped = append(s.stripped, copied{chunkseries.Series{Labels: b.Labels(), Chunks: one.Chunks}, one.Labels})
		}
		slices.SortFunc(s.stripped, func(a, b copied) int { return labels.Compare(a.Labels, b.Labels) })
	}
	if len(s.stripped) == 0 {
		return nil, io.EOF
	}
	out := s.stripped[0]
	s.stripped = s.stripped[1:]
	if len(s.stripped) > 0 && labels.Equal(out.Labels, s.stripped[0].Labels) {
		return nil, fmt.Errorf("%s and %s are copies of one series, and a query that needs samples of copies cannot be evaluated here", out.whole, s.stripped[0].whole)
	}
	return &out.Series, nil
}

// receive takes in the next message, or notes the end.
func (s *thanosSeries) receive() error {
	res, err := s.next(s.of)
	if errors.Is(err, io.EOF) {
		s.ended = true
		return nil
	}
	if err != nil {
		return err
	}
	switch r := res.Result.(type) {
	case *thanospb.SeriesResponse_Series:
		s.pending = []*thanospb.Series{r.Series}
	case *thanospb.SeriesResponse_Batch:
		s.pending = r.Batch.Series
	case *thanospb.SeriesResponse_Warning:
		s.said.Merge(s.client.warnings([][]byte{r.Warning}))
	default: // a newer node may say more
	}
	return nil
}

// warnings implements seriesSource.
func (s *thanosSeries) warnings() annotations.Annotations { return s.said }
