package engine_test

import (
	"context"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// hooks are called by a hooked storage before it does what it is asked. What is nil is skipped.
type hooks struct {
	querier  func(mint, maxt int64) error
	selected func(ctx context.Context, hints *storage.SelectHints, matchers []*labels.Matcher) error
	next     func(selector, n int) error // before Next is called the nth time, from 0
	iterator func(l labels.Labels)
	sample   func(l labels.Labels, n int) error // before an iterator's Next (of chunks: of a chunk) is called the nth time
	at       func(l labels.Labels)
	chunk    func(l labels.Labels, m chunks.Meta) chunks.Meta
	warnings annotations.Annotations // of every series set
	closing  func() error

	queriers, closed, selects atomic.Int64
}

// hookedSamples is a storage without chunk queriers.
type hookedSamples struct {
	from  storage.Queryable
	hooks *hooks
}

// hookedChunks is a storage with both.
type hookedChunks struct {
	hookedSamples
	chunks storage.ChunkQueryable
}

// hooked gives both kinds of storage over st, each with hooks of its own made by h.
func hooked(st storage.SampleAndChunkQueryable, h func() *hooks) map[string]hookedStorage {
	return map[string]hookedStorage{
		"samples": hookedSamples{st, h()},
		"chunks":  hookedChunks{hookedSamples{st, h()}, st},
	}
}

type hookedStorage interface {
	storage.Queryable
	of() *hooks
}

func (s hookedSamples) of() *hooks { return s.hooks }

func (h *hooks) open(mint, maxt int64) error {
	if h.querier != nil {
		if err := h.querier(mint, maxt); err != nil {
			return err
		}
	}
	h.queriers.Add(1)
	return nil
}

func (s hookedSamples) Querier(mint, maxt int64) (storage.Querier, error) {
	if err := s.hooks.open(mint, maxt); err != nil {
		return nil, err
	}
	q, err := s.from.Querier(mint, maxt)
	return hookedQuerier{q, s.hooks}, err
}

func (s hookedChunks) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	if err := s.hooks.open(mint, maxt); err != nil {
		return nil, err
	}
	q, err := s.chunks.ChunkQuerier(mint, maxt)
	return hookedChunkQuerier{q, s.hooks}, err
}

func (h *hooks) doSelect(ctx context.Context, hints *storage.SelectHints, ms []*labels.Matcher) (setHooks, error) {
	n := int(h.selects.Add(1)) - 1
	var err error
	if h.selected != nil {
		err = h.selected(ctx, hints, ms)
	}
	return setHooks{hooks: h, selector: n}, err
}

func (h *hooks) doClose(inner func() error) error {
	h.closed.Add(1)
	err := inner()
	if h.closing != nil {
		return h.closing()
	}
	return err
}

type hookedQuerier struct {
	storage.Querier
	hooks *hooks
}

func (q hookedQuerier) Close() error { return q.hooks.doClose(q.Querier.Close) }

func (q hookedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	h, err := q.hooks.doSelect(ctx, hints, ms)
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	return &hookedSet{q.Querier.Select(ctx, sorted, hints, ms...), h}
}

type hookedChunkQuerier struct {
	storage.ChunkQuerier
	hooks *hooks
}

func (q hookedChunkQuerier) Close() error { return q.hooks.doClose(q.ChunkQuerier.Close) }

func (q hookedChunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	h, err := q.hooks.doSelect(ctx, hints, ms)
	if err != nil {
		return storage.ErrChunkSeriesSet(err)
	}
	return &hookedChunkSet{q.ChunkQuerier.Select(ctx, sorted, hints, ms...), h}
}

type setHooks struct {
	*hooks
	selector, n int
	err         error
}

func (s *setHooks) doNext() bool {
	if s.next != nil {
		s.err = s.next(s.selector, s.n)
		s.n++
	}
	return s.err == nil
}

type hookedSet struct {
	storage.SeriesSet
	setHooks
}

func (s *hookedSet) Next() bool { return s.doNext() && s.SeriesSet.Next() }
func (s *hookedSet) At() storage.Series {
	return hookedSeries{s.SeriesSet.At(), s.hooks}
}
func (s *hookedSet) Warnings() annotations.Annotations { return s.hooks.warnings }
func (s *hookedSet) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.SeriesSet.Err()
}

type hookedChunkSet struct {
	storage.ChunkSeriesSet
	setHooks
}

func (s *hookedChunkSet) Next() bool { return s.doNext() && s.ChunkSeriesSet.Next() }
func (s *hookedChunkSet) At() storage.ChunkSeries {
	return hookedChunkSeries{s.ChunkSeriesSet.At(), s.hooks}
}
func (s *hookedChunkSet) Warnings() annotations.Annotations { return s.hooks.warnings }
func (s *hookedChunkSet) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.ChunkSeriesSet.Err()
}

type hookedSeries struct {
	storage.Series
	hooks *hooks
}

func (s hookedSeries) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	if s.hooks.iterator != nil {
		s.hooks.iterator(s.Labels())
	}
	return &hookedIterator{Iterator: s.Series.Iterator(nil), hooks: s.hooks, labels: s.Labels()}
}

type hookedIterator struct {
	chunkenc.Iterator
	hooks  *hooks
	labels labels.Labels
	n      int
	err    error
}

func (it *hookedIterator) Next() chunkenc.ValueType {
	if it.hooks.sample != nil {
		it.err = it.hooks.sample(it.labels, it.n)
		it.n++
		if it.err != nil {
			return chunkenc.ValNone
		}
	}
	return it.Iterator.Next()
}

func (it *hookedIterator) At() (int64, float64) {
	if it.hooks.at != nil {
		it.hooks.at(it.labels)
	}
	return it.Iterator.At()
}

func (it *hookedIterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	if it.hooks.at != nil {
		it.hooks.at(it.labels)
	}
	return it.Iterator.AtFloatHistogram(h)
}

func (it *hookedIterator) Err() error {
	if it.err != nil {
		return it.err
	}
	return it.Iterator.Err()
}

type hookedChunkSeries struct {
	storage.ChunkSeries
	hooks *hooks
}

func (s hookedChunkSeries) Iterator(chunks.Iterator) chunks.Iterator {
	if s.hooks.iterator != nil {
		s.hooks.iterator(s.Labels())
	}
	return &hookedChunkIterator{Iterator: s.ChunkSeries.Iterator(nil), hooks: s.hooks, labels: s.Labels()}
}

type hookedChunkIterator struct {
	chunks.Iterator
	hooks  *hooks
	labels labels.Labels
	n      int
	err    error
}

func (it *hookedChunkIterator) Next() bool {
	if it.hooks.sample != nil {
		it.err = it.hooks.sample(it.labels, it.n)
		it.n++
		if it.err != nil {
			return false
		}
	}
	return it.Iterator.Next()
}

func (it *hookedChunkIterator) At() chunks.Meta {
	if it.hooks.at != nil {
		it.hooks.at(it.labels)
	}
	m := it.Iterator.At()
	if it.hooks.chunk != nil {
		m = it.hooks.chunk(it.labels, m)
	}
	return m
}

func (it *hookedChunkIterator) Err() error {
	if it.err != nil {
		return it.err
	}
	return it.Iterator.Err()
}
