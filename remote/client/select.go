package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
	"github.com/stride-promql/stride/source/chunkseries"
	"github.com/stride-promql/stride/source/downsampled"
)

// Querier implements remote.Selector. Of downsampled data of Thanos nodes, which there is where the query's Request allows it, samples are what the
// function in the hints is about. Copies of a series that differ in replica labels are an error, unless Options.RawReplicas keeps these labels.
func (c *Client) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := c.newQuerier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &sampleQuerier{q}, nil
}

// ChunkQuerier implements storage.ChunkQueryable, as Querier. Chunks of downsampled data are a downsampled.Chunk, of which a downsampled.Reading
// makes samples, best of those of all nodes together.
func (c *Client) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := c.newQuerier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &chunkQuerier{q}, nil
}

func (c *Client) newQuerier(mint, maxt int64) (*querier, error) {
	said := c.said.Load()
	switch {
	case said.selects == none && said.queries == none:
		return nil, c.error(c.unknown())
	case said.selects == none:
		return nil, c.error(errors.New("it does not give samples"))
	}
	return &querier{client: c, api: said.selects, mint: mint, maxt: maxt}, nil
}

// querier reads the samples of a node. What it selects ends with it.
type querier struct {
	client     *Client
	api        api
	mint, maxt int64

	mu   sync.Mutex
	ends []context.CancelFunc
}

type sampleQuerier struct{ *querier }

// Select implements storage.Querier. Nothing is sent before the first Next.
func (q *sampleQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return &sampleSet{q.open(ctx, sorted, hints, matchers), reading(ctx, hints)}
}

type chunkQuerier struct{ *querier }

// Select implements storage.ChunkQuerier. Nothing is sent before the first Next.
func (q *chunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return &chunkSet{q.open(ctx, sorted, hints, matchers), remote.RequestFrom(ctx).MaxSourceResolution > 0}
}

func (q *querier) open(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers []*labels.Matcher) *seriesSet {
	ctx, cancel := context.WithCancel(ctx)
	q.mu.Lock()
	q.ends = append(q.ends, cancel)
	q.mu.Unlock()
	set := &seriesSet{client: q.client, end: cancel, sorted: sorted, signals: q.api == stride}
	if set.signals {
		set.open = func() (seriesSource, error) { return q.openStride(ctx, sorted, hints, matchers) }
	} else {
		set.open = func() (seriesSource, error) { return q.openThanos(ctx, hints, matchers) }
	}
	return set
}

// LabelValues implements storage.LabelQuerier.
func (q *querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	if slices.Contains(q.strips(), name) {
		return nil, nil, nil
	}
	disabled, strategy := partialResponse(ctx)
	res, err := q.client.store.LabelValues(wire.Outgoing(ctx), &thanospb.LabelValuesRequest{
		Label: []byte(name), PartialResponseDisabled: disabled, PartialResponseStrategy: strategy,
		Start: q.mint, End: q.maxt, Matchers: wire.EncodeThanosMatchers(matchers), WithoutReplicaLabels: q.strips(), Limit: limit(hints),
	})
	if err != nil {
		return nil, nil, cmp.Or(ctx.Err(), q.client.error(err))
	}
	return texts(res.Values), q.client.warnings(res.Warnings), nil
}

// LabelNames implements storage.LabelQuerier.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	disabled, strategy := partialResponse(ctx)
	res, err := q.client.store.LabelNames(wire.Outgoing(ctx), &thanospb.LabelNamesRequest{
		PartialResponseDisabled: disabled, PartialResponseStrategy: strategy,
		Start: q.mint, End: q.maxt, Matchers: wire.EncodeThanosMatchers(matchers), WithoutReplicaLabels: q.strips(), Limit: limit(hints),
	})
	if err != nil {
		return nil, nil, cmp.Or(ctx.Err(), q.client.error(err))
	}
	// Nodes of before v0.36 do not leave out the labels that they are told to.
	names := slices.DeleteFunc(texts(res.Names), func(name string) bool { return slices.Contains(q.strips(), name) })
	return names, q.client.warnings(res.Warnings), nil
}

// partialResponse says whether sources of a Thanos node that fail may become warnings of its answer.
func partialResponse(ctx context.Context) (disabled bool, strategy thanospb.PartialResponseStrategy) {
	if allowsPartial(ctx) {
		return false, thanospb.PartialResponseStrategy_WARN
	}
	return true, thanospb.PartialResponseStrategy_ABORT
}

// strips are the labels that series come without.
func (q *querier) strips() []string {
	if q.client.opts.RawReplicas {
		return nil
	}
	return q.client.opts.ReplicaLabels
}

func limit(hints *storage.LabelHints) int64 {
	if hints == nil {
		return 0
	}
	return int64(hints.Limit)
}

func texts(in [][]byte) []string {
	out := make([]string, len(in))
	for i, b := range in {
		out[i] = string(b)
	}
	return out
}

// warnings are those of a Thanos node.
func (c *Client) warnings(in [][]byte) (out annotations.Annotations) {
	for _, w := range in {
		out.Merge(wire.DecodeThanosWarnings(string(w), c.error))
	}
	return out
}

// Close implements storage.LabelQuerier.
func (q *querier) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, end := range q.ends {
		end()
	}
	q.ends = nil
	return nil
}

// seriesSource gives series one after another, and io.EOF behind the last one. Errors name the node.
type seriesSource interface {
	series() (*chunkseries.Series, error)
	warnings() annotations.Annotations
}

// seriesSet is an answer that is being read.
type seriesSet struct {
	client  *Client
	open    func() (seriesSource, error)
	end     context.CancelFunc
	sorted  bool
	signals bool         // the node shows signs of life
	source  seriesSource // nil before the first Next
	sign    func(remote.Sign)
	at      *chunkseries.Series
	err     error
}

// OnSign implements remote.Signaller.
func (s *seriesSet) OnSign(sign func(remote.Sign)) bool {
	s.sign = sign
	return s.signals
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	if s.err != nil {
		return false
	}
	if s.source == nil {
		if s.source, s.err = s.open(); s.err != nil {
			return false
		}
		if of, ok := s.source.(remote.Signaller); ok {
			of.OnSign(s.sign)
		}
	}
	before := s.at
	if s.at, s.err = s.source.series(); s.err == nil && s.sorted && before != nil && labels.Compare(before.Labels, s.at.Labels) >= 0 {
		s.err = s.client.error(fmt.Errorf("series are not in order: %s comes behind %s", s.at.Labels, before.Labels))
	}
	if s.err != nil {
		s.end()
	}
	return s.err == nil
}

// Err implements storage.SeriesSet.
func (s *seriesSet) Err() error {
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}

// Warnings implements storage.SeriesSet.
func (s *seriesSet) Warnings() annotations.Annotations {
	if s.source == nil {
		return nil
	}
	return s.source.warnings()
}

type sampleSet struct {
	*seriesSet
	reading downsampled.Reading
}

// At implements storage.SeriesSet.
func (s *sampleSet) At() storage.Series { return s.reading.Samples(s.at) }

type chunkSet struct {
	*seriesSet
	overlap bool // chunks may overlap, for who reads downsampled data
}

// At implements storage.ChunkSeriesSet.
func (s *chunkSet) At() storage.ChunkSeries {
	if s.overlap {
		return s.at.Stored()
	}
	return s.at.ChunkSeries()
}
