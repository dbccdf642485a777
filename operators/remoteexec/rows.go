package remoteexec

import (
	"fmt"
	"sync/atomic"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/remote"
)

// rows are the series received, with their samples at all steps of the grid.
type rows struct {
	q       *operators.Query
	steps   int
	series  []remote.Series
	batches []*operators.Batch

	// Series of columns that do not have all steps come again with others. Several may have equal labels.
	index map[string][]int // labels -> series
	buf   []byte

	samples, bytes atomic.Int64 // accounted for
}

const (
	// seriesBytes is about what a series takes besides its labels and samples.
	seriesBytes = 64
	// histogramBytes is what a histogram takes for each sample that it counts as.
	histogramBytes = 16
)

// check refuses columns that are none of these steps.
func (r *rows) check(c *remote.Columns) error {
	n := len(c.Series) * c.Steps
	if c.From < 0 || c.Steps < 0 || c.From+c.Steps > r.steps || len(c.F) != n || len(c.Valid) != bitmap.Words(n) ||
		c.H != nil && (len(c.H) != n || len(c.HValid) != bitmap.Words(n)) {
		return fmt.Errorf("columns of %d series at steps %d..%d make no sense for %d steps", len(c.Series), c.From, c.From+c.Steps-1, r.steps)
	}
	return nil
}

// add takes columns over.
func (r *rows) add(c *remote.Columns) error {
	if len(c.Series) == 0 {
		return nil
	}
	if c.From == 0 && c.Steps == r.steps && r.index == nil {
		return r.whole(c)
	}
	return r.partial(c)
}

// whole takes over columns with all steps.
func (r *rows) whole(c *remote.Columns) error {
	b := &operators.Batch{First: len(r.series), Rows: len(c.Series), Steps: r.steps, F: c.F, Valid: c.Valid, H: c.H, HValid: c.HValid}
	r.series = append(r.series, c.Series...)
	r.batches = append(r.batches, b)
	return r.account(c.Series, b)
}

// account counts series and, unless it is nil, a batch.
func (r *rows) account(series []remote.Series, b *operators.Batch) error {
	bytes, samples := int64(0), int64(0)
	for _, s := range series {
		bytes += seriesBytes + int64(s.Labels.ByteSize())
	}
	if b != nil {
		bytes += b.Footprint()
		samples = b.CountSamples()
	}
	return r.take(samples, bytes)
}

// take accounts for samples and bytes.
func (r *rows) take(samples, bytes int64) error {
	r.bytes.Add(bytes)
	r.samples.Add(samples)
	held, grown := r.q.Hold(samples), r.q.Grow(bytes)
	if held != nil {
		return held
	}
	return grown
}

// partial copies columns with some of the steps.
func (r *rows) partial(c *remote.Columns) error {
	if r.index == nil {
		r.index = map[string][]int{}
		for i, s := range r.series {
			r.buf = s.Labels.Bytes(r.buf[:0])
			r.index[string(r.buf)] = append(r.index[string(r.buf)], i)
		}
	}
	var fresh []remote.Series
	at := make([]int, len(c.Series))
	taken := map[int]bool{} // series that these columns have already
	for row, s := range c.Series {
		r.buf = s.Labels.Bytes(r.buf[:0])
		i := r.free(c, row, taken)
		if i < 0 {
			i = len(r.series) + len(fresh)
			r.index[string(r.buf)] = append(r.index[string(r.buf)], i)
			fresh = append(fresh, s)
		}
		taken[i] = true
		at[row] = i
	}
	if len(fresh) > 0 {
		b := operators.NewBatch(len(r.series), len(fresh), 0, r.steps)
		r.series, r.batches = append(r.series, fresh...), append(r.batches, b)
		if err := r.account(fresh, b); err != nil {
			return err
		}
	}
	samples, bytes := int64(0), int64(0)
	for row, i := range at {
		b := r.batch(i)
		to, from := b.Pos(i-b.First, c.From), row*c.Steps
		copy(b.F[to:to+c.Steps], c.F[from:from+c.Steps])
		b.Valid.Copy(to, c.Valid, from, c.Steps)
		samples += int64(c.Valid.Count(from, from+c.Steps))
		if c.H == nil {
			continue
		}
		if b.H == nil {
			before := b.Bytes()
			b.EnsureHistograms()
			bytes += b.Bytes() - before
		}
		for p := c.HValid.Next(from, from+c.Steps); p < from+c.Steps; p = c.HValid.Next(p+1, from+c.Steps) {
			b.SetHistogram(to+p-from, c.H[p])
			n := operators.HistogramSamples(c.H[p])
			samples += n
			bytes += histogramBytes * n
		}
	}
	return r.take(samples, bytes)
}

// free is a series with the labels in buf that has no sample where a row of the columns has one, or -1.
func (r *rows) free(c *remote.Columns, row int, taken map[int]bool) int {
	for _, i := range r.index[string(r.buf)] {
		if taken[i] || i >= len(r.series) {
			continue
		}
		b := r.batch(i)
		known, new := b.Column(i-b.First), row*c.Steps
		meet := false
		for k := 0; k < c.Steps && !meet; k += 64 {
			n := min(64, c.Steps-k)
			w := c.Valid.Load(new+k, n)
			if c.H != nil {
				w |= c.HValid.Load(new+k, n)
			}
			meet = w&known.Presence(c.From+k, n) != 0
		}
		if !meet {
			return i
		}
	}
	return -1
}

// batch is the one with series i.
func (r *rows) batch(i int) *operators.Batch {
	lo, hi := 0, len(r.batches)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; r.batches[mid].First <= i {
			lo = mid
		} else {
			hi = mid
		}
	}
	return r.batches[lo]
}

// give hands a batch out for good: whoever keeps it accounts for it.
func (r *rows) give(m int) *operators.Batch {
	b := r.batches[m]
	r.batches[m] = nil
	bytes, samples := b.Footprint(), b.CountSamples()
	r.bytes.Add(-bytes)
	r.samples.Add(-samples)
	r.q.Free(samples)
	_ = r.q.Grow(-bytes)
	return b
}

// drop lets all samples go.
func (r *rows) drop() {
	r.q.Free(r.samples.Swap(0))
	_ = r.q.Grow(-r.bytes.Swap(0))
	r.series, r.batches, r.index = nil, nil, nil
}
