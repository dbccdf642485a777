package dedup

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/internal/chunkdecode"
	"github.com/stride-promql/stride/source/chunkseries"
)

// column is all samples of a series, in the order of time:
//
//	t   1000  2000  3000
//	f      5     7     -
//	h      -     -   {…}
//
// Chunks of floats are decoded whole, so that replicas are merged without a call for each sample.
type column struct {
	t  []int64 // ms
	f  []float64
	st []int64 // start timestamps; nil without any
	// Histograms, of which one at most is at a place; nil without any.
	h  []*histogram.Histogram
	fh []*histogram.FloatHistogram
}

// plain tells whether columns have floats alone, without start timestamps.
func plain(a, b *column) bool {
	return a.st == nil && b.st == nil && a.h == nil && b.h == nil && a.fh == nil && b.fh == nil
}

func (c *column) reset() {
	c.t, c.f = c.t[:0], c.f[:0]
	c.st, c.h, c.fh = nil, nil, nil
}

// typ is what the sample at a place is.
func (c *column) typ(i int) chunkenc.ValueType {
	switch {
	case c.h != nil && c.h[i] != nil:
		return chunkenc.ValHistogram
	case c.fh != nil && c.fh[i] != nil:
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// read makes the samples of a series those of the column.
func (c *column) read(r replica) error {
	c.reset()
	if r.chunks == nil {
		return c.iterate(r.series.Iterator(nil))
	}
	var metas []chunks.Meta
	overlap := false
	it := r.chunks.Iterator(nil)
	for it.Next() {
		m := it.At()
		overlap = overlap || len(metas) > 0 && m.MinTime <= metas[len(metas)-1].MaxTime
		metas = append(metas, m)
	}
	if err := it.Err(); err != nil {
		return err
	}
	if overlap { // samples of several chunks have to be put in order
		whole := chunkseries.Series{Labels: r.labels, Chunks: metas}
		return c.iterate(whole.Samples().Iterator(nil))
	}
	return c.readChunks(metas)
}

// readChunks makes the samples of chunks that do not overlap those of the column.
func (c *column) readChunks(metas []chunks.Meta) error {
	c.reset()
	for _, m := range metas {
		if err := c.decode(m.Chunk); err != nil {
			return err
		}
	}
	return nil
}

// decode appends the samples of a chunk.
func (c *column) decode(chunk chunkenc.Chunk) (err error) {
	from := len(c.t)
	switch chunk.(type) {
	case *chunkenc.XORChunk:
		c.t, c.f, err = chunkdecode.XOR(chunk.Bytes(), c.t, c.f, math.MaxInt64)
	case *chunkenc.XOR2Chunk:
		c.startTimestamps(from)
		c.t, c.f, c.st, err = chunkdecode.XOR2(chunk.Bytes(), c.t, c.f, c.st, true, math.MaxInt64)
	default: // histograms, and chunks that are still written to
		return c.iterate(chunk.Iterator(nil))
	}
	c.fill(from)
	return err
}

// iterate appends the samples of an iterator.
func (c *column) iterate(it chunkenc.Iterator) error {
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		from := len(c.t)
		f := 0.0
		switch typ {
		case chunkenc.ValFloat:
			_, f = it.At()
		case chunkenc.ValHistogram:
			if c.h == nil {
				c.h = make([]*histogram.Histogram, from)
			}
			_, h := it.AtHistogram(nil)
			c.h = append(c.h, h)
		default:
			if c.fh == nil {
				c.fh = make([]*histogram.FloatHistogram, from)
			}
			_, h := it.AtFloatHistogram(nil)
			c.fh = append(c.fh, h)
		}
		c.t, c.f = append(c.t, it.AtT()), append(c.f, f)
		if st := it.AtST(); st != 0 {
			c.startTimestamps(from)
			c.st = append(c.st, st)
		}
		c.fill(from)
	}
	return it.Err()
}

// startTimestamps makes the column have them, unknown ones for samples so far.
func (c *column) startTimestamps(n int) {
	if c.st == nil {
		c.st = make([]int64, n)
	}
}

// fill lets what only some samples have be as long as the column.
func (c *column) fill(from int) {
	n := len(c.t)
	if c.st != nil {
		c.st = chunkdecode.PadST(c.st, n)
	}
	if c.h != nil && len(c.h) < n {
		c.h = append(c.h, make([]*histogram.Histogram, n-len(c.h))...)
	}
	if c.fh != nil && len(c.fh) < n {
		c.fh = append(c.fh, make([]*histogram.FloatHistogram, n-len(c.fh))...)
	}
}

// add appends a sample of another column, with its value lifted. If it is no neighbour of the one before, nobody knows whether a counter of
// histograms was reset between them.
func (c *column) add(o *column, i int, f float64, neighbour bool) {
	from := len(c.t)
	c.t, c.f = append(c.t, o.t[i]), append(c.f, f)
	if o.st != nil && o.st[i] != 0 {
		c.startTimestamps(from)
		c.st = append(c.st, o.st[i])
	}
	if o.h != nil && o.h[i] != nil {
		if c.h == nil {
			c.h = make([]*histogram.Histogram, from)
		}
		if !neighbour && o.h[i].CounterResetHint != histogram.GaugeType {
			o.h[i].CounterResetHint = histogram.UnknownCounterReset
		}
		c.h = append(c.h, o.h[i])
	}
	if o.fh != nil && o.fh[i] != nil {
		if c.fh == nil {
			c.fh = make([]*histogram.FloatHistogram, from)
		}
		if !neighbour && o.fh[i].CounterResetHint != histogram.GaugeType {
			o.fh[i].CounterResetHint = histogram.UnknownCounterReset
		}
		c.fh = append(c.fh, o.fh[i])
	}
	if c.st != nil || c.h != nil || c.fh != nil {
		c.fill(from)
	}
}

// samples iterates over the merged samples of replicas. What it holds is used again for the next series.
type samples struct {
	column
	a, b column // what is merged
	i    int
	err  error
}

var _ chunkenc.Iterator = (*samples)(nil)

// Next implements chunkenc.Iterator.
func (s *samples) Next() chunkenc.ValueType {
	if s.i++; s.i >= len(s.t) {
		s.i = len(s.t)
		return chunkenc.ValNone
	}
	return s.typ(s.i)
}

// millis is a time in ms. Its name keeps vet from taking Seek for io.Seeker's.
type millis = int64

// Seek implements chunkenc.Iterator.
func (s *samples) Seek(t millis) chunkenc.ValueType {
	from := max(s.i, 0)
	i, _ := slices.BinarySearch(s.t[from:], t)
	s.i = from + i - 1
	return s.Next()
}

// At implements chunkenc.Iterator.
func (s *samples) At() (int64, float64) { return s.t[s.i], s.f[s.i] }

// AtHistogram implements chunkenc.Iterator.
func (s *samples) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	if h == nil {
		return s.t[s.i], s.h[s.i].Copy()
	}
	s.h[s.i].CopyTo(h)
	return s.t[s.i], h
}

// AtFloatHistogram implements chunkenc.Iterator.
func (s *samples) AtFloatHistogram(fh *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	if s.typ(s.i) == chunkenc.ValHistogram {
		return s.t[s.i], s.h[s.i].ToFloat(fh)
	}
	if fh == nil {
		return s.t[s.i], s.fh[s.i].Copy()
	}
	s.fh[s.i].CopyTo(fh)
	return s.t[s.i], fh
}

// AtT implements chunkenc.Iterator.
func (s *samples) AtT() int64 { return s.t[s.i] }

// AtST implements chunkenc.Iterator.
func (s *samples) AtST() int64 {
	if s.st == nil {
		return 0
	}
	return s.st[s.i]
}

// Err implements chunkenc.Iterator.
func (s *samples) Err() error { return s.err }
