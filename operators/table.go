package operators

import (
	"math/bits"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/internal/bitmap"
)

// Table keeps all batches of an input for an operator that needs them whole.
type Table struct {
	q       *Query
	batches []*Batch
	rowOf   []int32 // series -> batch
	samples int64
	bytes   int64
}

// NewTable is an empty table whose content is accounted for in q.
func NewTable(q *Query) *Table { return &Table{q: q} }

// Add keeps a batch (FoldRows, in morsel order). It takes the batch over or, if it is shared, a copy of it.
func (t *Table) Add(b *Batch) error {
	return t.add(b, b.CountSamples())
}

// AddSome keeps those rows of a batch without histograms that keep wants. Samples of the others count all the same, so that
// what a query holds does not depend on how early it is known what will be needed.
func (t *Table) AddSome(b *Batch, keep func(row int) bool) error {
	n := b.CountSamples()
	for row := 0; row < b.Rows; {
		from := row
		for row < b.Rows && keep(row) {
			row++
		}
		if row-from == b.Rows {
			return t.add(b, n)
		}
		if row > from {
			if err := t.add(b.rows(from, row), n); err != nil {
				return err
			}
			n = 0
		}
		row++ // the one that is not wanted
	}
	t.samples += n
	return t.q.Hold(n)
}

// rows is a copy of the rows [from, to) of a batch without histograms.
func (b *Batch) rows(from, to int) *Batch {
	out := NewBatch(b.First+from, to-from, b.From, b.Steps)
	out.Morsel = b.Morsel
	copy(out.F, b.F[from*b.Steps:])
	out.Valid.Copy(0, b.Valid, from*b.Steps, len(out.F))
	return out
}

// add keeps a batch that stands for n samples.
func (t *Table) add(b *Batch, n int64) error {
	if b.Shared {
		b = b.Clone()
	} else {
		b.Kept = true
		b.trim()
	}
	for len(t.rowOf) < b.First {
		t.rowOf = append(t.rowOf, -1)
	}
	for range b.Rows {
		t.rowOf = append(t.rowOf, int32(len(t.batches)))
	}
	t.batches = append(t.batches, b)
	bytes := b.Footprint()
	t.samples += n
	t.bytes += bytes
	held, grown := t.q.Hold(n), t.q.Grow(bytes)
	if held != nil {
		return held
	}
	return grown
}

// Reset lets all batches go.
func (t *Table) Reset() {
	t.q.Free(t.samples)
	_ = t.q.Grow(-t.bytes)
	t.batches, t.rowOf, t.samples, t.bytes = nil, t.rowOf[:0], 0, 0
}

// Len is the number of series kept, counted from series 0.
func (t *Table) Len() int { return len(t.rowOf) }

// Batches are the batches kept, in morsel order. They must not be written to.
func (t *Table) Batches() []*Batch { return t.batches }

// Column is the row of series i.
func (t *Table) Column(i int) Column {
	b := t.batches[t.rowOf[i]]
	return b.Column(i - b.First)
}

// Column is a view of one row of a batch; steps count from the batch's first.
type Column struct {
	F   []float64
	H   []*histogram.FloatHistogram // nil: no histogram
	b   *Batch
	off int
}

// Column is a view of row r.
func (b *Batch) Column(r int) Column {
	lo, hi := r*b.Steps, (r+1)*b.Steps
	c := Column{F: b.F[lo:hi:hi], b: b, off: lo}
	if b.H != nil {
		c.H = b.H[lo:hi:hi]
	}
	return c
}

// Len is the number of steps.
func (c Column) Len() int { return len(c.F) }

// Float tells whether step i has a float sample.
func (c Column) Float(i int) bool { return c.b.Valid.Get(c.off + i) }

// Histogram tells whether step i has a histogram sample.
func (c Column) Histogram(i int) bool { return c.H != nil && c.b.HValid.Get(c.off+i) }

// Has tells whether step i has a sample.
func (c Column) Has(i int) bool { return c.Float(i) || c.Histogram(i) }

// Floats are n (1 to 64) validity bits of float samples from step i on.
func (c Column) Floats(i, n int) uint64 { return c.b.Valid.Load(c.off+i, n) }

// Histograms are n (1 to 64) validity bits of histogram samples from step i on.
func (c Column) Histograms(i, n int) uint64 {
	if c.H == nil {
		return 0
	}
	return c.b.HValid.Load(c.off+i, n)
}

// Presence are n (1 to 64) bits that say which steps from i on have a sample of either kind.
func (c Column) Presence(i, n int) uint64 { return c.Floats(i, n) | c.Histograms(i, n) }

// Empty tells whether the column has no sample.
func (c Column) Empty() bool {
	for i := 0; i < c.Len(); i += 64 {
		if c.Presence(i, min(64, c.Len()-i)) != 0 {
			return false
		}
	}
	return true
}

// First is the first step with a sample, or Len.
func (c Column) First() int {
	for i := 0; i < c.Len(); i += 64 {
		if w := c.Presence(i, min(64, c.Len()-i)); w != 0 {
			return i + bits.TrailingZeros64(w)
		}
	}
	return c.Len()
}

// SetFloat puts a float sample at step i.
func (c Column) SetFloat(i int, v float64) { c.b.SetFloat(c.off+i, v) }

// SetFloats says that the n (1 to 64) steps from i on have float samples where mask has bits set,
// and none elsewhere; the values stand in F already.
func (c Column) SetFloats(i, n int, mask uint64) { c.b.Valid.Store(c.off+i, n, mask) }

// Arena is the batch's, see there.
func (c Column) Arena() *HistogramArena { return c.b.Arena() }

// SetHistogram puts a histogram sample at step i.
func (c Column) SetHistogram(i int, h *histogram.FloatHistogram) { c.b.SetHistogram(c.off+i, h) }

// Present sets the bits of dst, from bit at on, to the column's presence.
func (c Column) Present(dst bitmap.Bitmap, at int) {
	for i := 0; i < c.Len(); i += 64 {
		n := min(64, c.Len()-i)
		dst.Store(at+i, n, c.Presence(i, n))
	}
}
