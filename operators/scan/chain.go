package scan

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// chain reads the iterators of consecutive chunks one after the other, forward by Next only.
type chain struct {
	chunkenc.Iterator // the one being read
	rest              []chunkenc.Iterator
}

// Next goes on in the next chunk where one ends.
func (c *chain) Next() chunkenc.ValueType {
	for {
		if c.Iterator != nil {
			if vt := c.Iterator.Next(); vt != chunkenc.ValNone || c.Iterator.Err() != nil {
				return vt
			}
		}
		if len(c.rest) == 0 {
			return chunkenc.ValNone
		}
		c.Iterator, c.rest = c.rest[0], c.rest[1:]
	}
}

// hinting gives histograms the reset hints that promql.HistogramStatsIterator would give them, and
// leaves their buckets alone. Nothing seeks it once a histogram was read.
type hinting struct {
	chunkenc.Iterator
	last *histogram.FloatHistogram
}

// AtFloatHistogram must be called once for each sample. The histogram is new.
func (h *hinting) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	t, fh := h.Iterator.AtFloatHistogram(nil)
	if value.IsStaleNaN(fh.Sum) {
		return t, fh
	}
	if fh.CounterResetHint == histogram.UnknownCounterReset && h.last != nil {
		if fh.DetectReset(h.last) {
			fh.CounterResetHint = histogram.CounterReset
		} else {
			fh.CounterResetHint = histogram.NotCounterReset
		}
	}
	h.last = fh
	return t, fh
}
