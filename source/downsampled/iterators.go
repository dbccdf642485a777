package downsampled

import (
	"cmp"
	"errors"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// chain is the samples of all chunks, one chunk after another: times may go back from one to the next.
type chain struct {
	chunkenc.Iterator // of the chunk at hand; nil before the first
	reading           Reading
	rest              []chunks.Meta
}

func (c *chain) next() chunkenc.ValueType {
	for {
		if c.Iterator != nil {
			if typ := c.Iterator.Next(); typ != chunkenc.ValNone || c.Iterator.Err() != nil {
				return typ
			}
		}
		if len(c.rest) == 0 {
			return chunkenc.ValNone
		}
		c.Iterator = c.reading.open(c.rest[0].Chunk)
		c.rest = c.rest[1:]
	}
}

// Err implements chunkenc.Iterator.
func (c *chain) Err() error {
	if c.Iterator == nil {
		return nil
	}
	return c.Iterator.Err()
}

// forward leaves out what goes back in time.
type forward struct {
	*chain
	typ   chunkenc.ValueType
	last  int64
	begun bool
}

// Next implements chunkenc.Iterator.
func (f *forward) Next() chunkenc.ValueType {
	for {
		if f.typ = f.next(); f.typ == chunkenc.ValNone {
			return f.typ
		}
		if t := f.AtT(); !f.begun || t > f.last {
			f.begun, f.last = true, t
			return f.typ
		}
	}
}

// Seek implements chunkenc.Iterator.
func (f *forward) Seek(t millis) chunkenc.ValueType { return seek(f, f.typ, t) }

// seek is Seek by way of all samples. at is the type of the current one.
func seek(it chunkenc.Iterator, at chunkenc.ValueType, t int64) chunkenc.ValueType {
	for at == chunkenc.ValNone || it.AtT() < t {
		if at = it.Next(); at == chunkenc.ValNone {
			return at
		}
	}
	return at
}

// counter is a counter that does not fall: what it rises by within chunks of aggregates, and from one chunk to the next, is added up. Stale
// markers are left out, and histograms are as they are.
type counter struct {
	*chain
	typ     chunkenc.ValueType
	last    int64
	begun   bool
	counted bool    // there was a float
	value   float64 // that was stored last
	total   float64
}

// Next implements chunkenc.Iterator.
func (c *counter) Next() chunkenc.ValueType {
	for {
		if c.typ = c.next(); c.typ == chunkenc.ValNone {
			return c.typ
		}
		if c.typ != chunkenc.ValFloat {
			if t := c.chain.AtT(); !c.begun || t > c.last {
				c.begun, c.last = true, t
				return c.typ
			}
			continue
		}
		t, v := c.chain.At()
		switch {
		case math.IsNaN(v):
		case !c.begun || t > c.last:
			switch {
			case !c.counted:
				c.total = v
			case v >= c.value:
				c.total += v - c.value
			default:
				c.total += v
			}
			c.begun, c.counted, c.last, c.value = true, true, t, v
			return c.typ
		case t == c.last:
			c.value = v // at the end of a chunk of aggregates: without what was added up
		}
	}
}

// Seek implements chunkenc.Iterator.
func (c *counter) Seek(t millis) chunkenc.ValueType { return seek(c, c.typ, t) }

// At implements chunkenc.Iterator.
func (c *counter) At() (int64, float64) { return c.last, c.total }

// AtT implements chunkenc.Iterator.
func (c *counter) AtT() int64 { return c.last }

// average is the average of each window, of the iterators of sums and of counts.
type average struct {
	chunkenc.Iterator // sums
	count             chunkenc.Iterator
	typ               chunkenc.ValueType
	err               error
}

var errUneven = errors.New("a downsampled chunk has sums and counts of different windows")

// Next implements chunkenc.Iterator.
func (a *average) Next() chunkenc.ValueType {
	if a.err != nil {
		return chunkenc.ValNone
	}
	counts := a.count.Next()
	a.typ = a.Iterator.Next()
	uneven := (a.typ == chunkenc.ValNone) != (counts == chunkenc.ValNone) || a.typ != chunkenc.ValNone && a.AtT() != a.count.AtT()
	switch {
	case uneven || counts != chunkenc.ValNone && counts != chunkenc.ValFloat:
		a.typ, a.err = chunkenc.ValNone, errUneven
	case a.typ == chunkenc.ValHistogram:
		a.typ = chunkenc.ValFloatHistogram // divided, it is none of integers
	}
	return a.typ
}

// Seek implements chunkenc.Iterator.
func (a *average) Seek(t millis) chunkenc.ValueType { return seek(a, a.typ, t) }

// At implements chunkenc.Iterator.
func (a *average) At() (int64, float64) {
	t, sum := a.Iterator.At()
	_, count := a.count.At()
	return t, sum / count
}

// AtFloatHistogram implements chunkenc.Iterator.
func (a *average) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	if h == nil {
		h = &histogram.FloatHistogram{} // else it shares memory with the iterator, which reads on from what is in it
	}
	t, sum := a.Iterator.AtFloatHistogram(h)
	_, count := a.count.At()
	return t, sum.Div(count)
}

// Err implements chunkenc.Iterator.
func (a *average) Err() error { return cmp.Or(a.Iterator.Err(), a.count.Err(), a.err) }
