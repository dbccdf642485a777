package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// Querier implements remote.Selector. Samples of Thanos nodes are raw, not downsampled ones, and copies of a series that differ in replica labels
// are an error.
func (c *Client) Querier(mint, maxt int64) (storage.Querier, error) {
	said := c.said.Load()
	if said.selects == none {
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

// Select implements storage.Querier. Nothing is sent before the first Next.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	ctx, cancel := context.WithCancel(ctx)
	q.mu.Lock()
	q.ends = append(q.ends, cancel)
	q.mu.Unlock()
	set := &seriesSet{client: q.client, end: cancel, sorted: sorted}
	if q.api == stride {
		set.open = func() (seriesSource, error) { return q.openStride(ctx, sorted, hints, matchers) }
	} else {
		set.open = func() (seriesSource, error) { return q.openThanos(ctx, hints, matchers) }
	}
	return set
}

// errNoLabels is the error of what nodes are not asked.
var errNoLabels = errors.New("it is asked for samples only, not for the names and values of labels")

// LabelValues implements storage.Querier.
func (q *querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, q.client.error(errNoLabels)
}

// LabelNames implements storage.Querier.
func (q *querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, q.client.error(errNoLabels)
}

// Close implements storage.Querier.
func (q *querier) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, end := range q.ends {
		end()
	}
	q.ends = nil
	return nil
}

// series is one series of a node.
type series struct {
	labels labels.Labels
	chunks []chunks.Meta
}

// seriesSource gives series one after another, and io.EOF behind the last one. Errors name the node.
type seriesSource interface {
	series() (*series, error)
	warnings() annotations.Annotations
}

// seriesSet implements storage.SeriesSet.
type seriesSet struct {
	client *Client
	open   func() (seriesSource, error)
	end    context.CancelFunc
	sorted bool
	source seriesSource // nil before the first Next
	at     *series
	err    error
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
	}
	before := s.at
	if s.at, s.err = s.source.series(); s.err == nil && s.sorted && before != nil && labels.Compare(before.labels, s.at.labels) >= 0 {
		s.err = s.client.error(fmt.Errorf("series are not in order: %s comes behind %s", s.at.labels, before.labels))
	}
	if s.err != nil {
		s.end()
	}
	return s.err == nil
}

// At implements storage.SeriesSet.
func (s *seriesSet) At() storage.Series {
	if len(s.at.chunks) == 0 {
		return storage.NewListSeries(s.at.labels, nil)
	}
	parts := make([]storage.Series, len(s.at.chunks))
	for i, c := range s.at.chunks {
		parts[i] = &storage.SeriesEntry{Lset: s.at.labels, SampleIteratorFn: c.Chunk.Iterator}
	}
	return storage.ChainedSeriesMerge(parts...)
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
