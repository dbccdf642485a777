package main

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/efficientgo/core/errors"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/bench/peer"
	"github.com/stride-promql/stride/bench/peers/promqlpeer"
	"github.com/stride-promql/stride/internal/chunkdecode"
)

// floor implements peer.Engine.
type floor struct {
	storage *promqlpeer.Storage
	workers int
}

// Open implements peer.Engine.
func (f *floor) Open(dir string, workers int) (err error) {
	f.workers = workers
	f.storage, err = promqlpeer.OpenStorage(dir)
	return err
}

// Close implements peer.Engine.
func (f *floor) Close() error { return f.storage.Close() }

// decoded is the number of samples decoded.
type decoded int64

// Answer implements peer.Result: there is none.
func (decoded) Answer() (*peer.Answer, error) { return nil, errors.New("the floor has no answers") }

// Close implements peer.Result.
func (decoded) Close() {}

// Decoded implements peer.Decoder.
func (d decoded) Decoded() int64 { return int64(d) }

// Execute implements peer.Engine.
func (f *floor) Execute(ctx context.Context, q peer.Query) (peer.Result, error) {
	all, err := selections(q)
	if err != nil {
		return nil, err
	}
	total := decoded(0)
	for _, s := range all {
		n, err := f.read(ctx, s)
		if err != nil {
			return nil, err
		}
		total += decoded(n)
	}
	return total, nil
}

// read decodes all chunks of a selection.
func (f *floor) read(ctx context.Context, s selection) (n int64, err error) {
	querier, err := f.storage.ChunkQuerier(s.mint, s.maxt)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := querier.Close(); err == nil {
			err = e
		}
	}()
	set := querier.Select(ctx, false, &storage.SelectHints{Start: s.mint, End: s.maxt, DisableTrimming: true}, s.matchers...)
	var series []storage.ChunkSeries
	for set.Next() {
		at := set.At()
		_ = at.Labels()
		series = append(series, at)
	}
	if err := set.Err(); err != nil {
		return 0, err
	}
	var (
		lock   sync.Mutex // a querier is for one goroutine at a time
		next   atomic.Int64
		count  atomic.Int64
		wg     sync.WaitGroup
		failed atomic.Pointer[error]
	)
	for range f.workers {
		wg.Go(func() {
			d := &decoder{selection: s, lock: &lock}
			for failed.Load() == nil {
				lo := int(next.Add(batch)) - batch
				if lo >= len(series) {
					break
				}
				if err := d.decode(series[lo:min(lo+batch, len(series))]); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
			count.Add(d.count)
		})
	}
	wg.Wait()
	if e := failed.Load(); e != nil {
		return 0, *e
	}
	return count.Load(), nil
}

// batch is the number of series whose chunks are fetched at once.
const batch = 64

// decoder is one worker.
type decoder struct {
	selection
	lock  *sync.Mutex
	count int64

	metas chunks.Iterator
	found []chunkenc.Chunk

	t, st      []int64
	v          []float64
	h          []*histogram.FloatHistogram
	histograms chunkdecode.Histograms
}

func (d *decoder) decode(series []storage.ChunkSeries) error {
	d.found = d.found[:0]
	d.lock.Lock()
	for _, s := range series {
		d.metas = s.Iterator(d.metas)
		for d.metas.Next() {
			if m := d.metas.At(); m.MaxTime >= d.mint && m.MinTime <= d.maxt {
				d.found = append(d.found, m.Chunk)
			}
		}
		if err := d.metas.Err(); err != nil {
			d.lock.Unlock()
			return err
		}
	}
	d.lock.Unlock()
	for _, c := range d.found {
		if err := d.chunk(c); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) chunk(c chunkenc.Chunk) (err error) {
	d.t, d.v, d.st, d.h = d.t[:0], d.v[:0], d.st[:0], d.h[:0]
	switch c.(type) {
	case *chunkenc.XORChunk:
		d.t, d.v, err = chunkdecode.XOR(c.Bytes(), d.t, d.v, d.maxt)
	case *chunkenc.XOR2Chunk:
		d.t, d.v, d.st, err = chunkdecode.XOR2(c.Bytes(), d.t, d.v, d.st, false, d.maxt)
	case *chunkenc.HistogramChunk, *chunkenc.HistogramSTChunk, *chunkenc.FloatHistogramChunk, *chunkenc.FloatHistogramSTChunk:
		d.histograms.Reset(false)
		d.t, d.h, d.st, err = d.histograms.Decode(c.Encoding(), c.Bytes(), d.t, d.h, d.st, false, d.mint, d.maxt)
	default: // of a head
		return d.iterate(c.Iterator(nil))
	}
	d.count += int64(len(d.t))
	return err
}

func (d *decoder) iterate(it chunkenc.Iterator) error {
	for it.Next() != chunkenc.ValNone && it.AtT() <= d.maxt {
		d.count++
	}
	return it.Err()
}
