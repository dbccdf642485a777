package operators

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/internal/bitmap"
)

// Batch is a rectangle of a result: a run of series (rows) by a run of steps.
//
//	             step From   From+1  ...  From+Steps-1
//	row 0        F[0]        F[1]         F[Steps-1]        series First
//	row 1        F[Steps]    ...                            series First+1
//	...
//
// Position p = row*Steps + step - From has a float sample when bit p of Valid is set, a histogram
// sample when H is not nil and bit p of HValid is set, else no sample; never both. Values at
// positions without a sample are undefined. With one step the same arrays run over series.
//
// A *FloatHistogram in a batch is never written to: it may stand at several positions and in several
// batches. Who wants to change one copies it first. It may be of the batch's Arena and lasts as long as the batch
// is not released then: who puts it into another batch says so by Adopt, who keeps it otherwise by KeepHistograms.
type Batch struct {
	First int // index in the schema of the series of row 0
	Rows  int
	From  int // step of the grid of column 0
	Steps int

	F      []float64
	Valid  bitmap.Bitmap
	H      []*histogram.FloatHistogram // nil while the batch has no histogram
	HValid bitmap.Bitmap               // nil while the batch has no histogram

	Morsel int  // ordinal of the morsel in its pipeline; folding goes in this order
	Shared bool // several consumers see the batch: none may write to it
	Kept   bool // a sink has taken the batch over; it is not used again by its producer

	arena  *HistogramArena // of histograms of this batch, which end with it
	hspace []*histogram.FloatHistogram
	hbits  bitmap.Bitmap // memory of H and HValid, for when the batch is used again
}

// NewBatch makes an empty batch of the given shape.
func NewBatch(first, rows, from, steps int) *Batch {
	b := &Batch{}
	b.reset(first, rows, from, steps)
	return b
}

// reset gives the batch a new shape and removes all samples; arrays are reused where they are large enough.
func (b *Batch) reset(first, rows, from, steps int) {
	n := rows * steps
	b.First, b.Rows, b.From, b.Steps = first, rows, from, steps
	if cap(b.F) < n {
		b.F = make([]float64, n)
	}
	b.F = b.F[:n]
	words := bitmap.Words(n)
	if cap(b.Valid) < words {
		b.Valid = make(bitmap.Bitmap, words)
	} else {
		b.Valid = b.Valid[:words]
		clear(b.Valid)
	}
	b.H, b.HValid = nil, nil
	b.Morsel, b.Shared, b.Kept = 0, false, false
	if b.arena != nil {
		b.arena.reset()
	}
}

// Arena makes histograms that last as long as the batch is not released.
func (b *Batch) Arena() *HistogramArena {
	if b.arena == nil {
		b.arena = &HistogramArena{}
	}
	return b.arena
}

// KeepHistograms makes the batch's histograms last: it is called by who keeps one of them longer than the batch.
func (b *Batch) KeepHistograms() { b.arena = nil }

// Adopt makes the histograms of src last as long as b, which holds some of them now.
func (b *Batch) Adopt(src *Batch) {
	if b.arena == nil && !src.Shared {
		b.arena = src.arena
	}
	src.arena = nil
}

// poison overwrites what a given-back batch holds so that a use after that shows in the result.
func (b *Batch) poison() {
	f := b.F[:cap(b.F)]
	for i := range f {
		f[i] = math.Float64frombits(0x7ff8dead0badc0de)
	}
	v := b.Valid[:cap(b.Valid)]
	for i := range v {
		v[i] = 0xaaaaaaaaaaaaaaaa
	}
	b.H, b.HValid = nil, nil
	if b.arena != nil {
		b.arena.poison()
	}
	b.Rows, b.Steps = -1, -1
}

// Section is a copy of the steps r (of the grid) of a batch that has them all, histograms shared.
func (b *Batch) Section(w *Worker, r StepRange) *Batch {
	out := w.Batch(b.First, b.Rows, r.From, r.Len())
	out.Morsel = b.Morsel
	for row := range b.Rows {
		from, to := b.Pos(row, r.From-b.From), out.Pos(row, 0)
		copy(out.F[to:to+out.Steps], b.F[from:from+out.Steps])
		out.Valid.Copy(to, b.Valid, from, out.Steps)
		if b.H == nil {
			continue
		}
		for p := b.HValid.Next(from, from+out.Steps); p < from+out.Steps; p = b.HValid.Next(p+1, from+out.Steps) {
			out.SetHistogram(to+p-from, b.H[p])
		}
	}
	return out
}

// Pos is the position of a row's step, the step counted from the batch's first.
func (b *Batch) Pos(row, step int) int { return row*b.Steps + step }

// EnsureHistograms gives the batch room for histograms.
func (b *Batch) EnsureHistograms() {
	if b.H != nil {
		return
	}
	n := b.Rows * b.Steps
	if words := bitmap.Words(n); cap(b.hspace) < n || cap(b.hbits) < words {
		b.hspace, b.hbits = make([]*histogram.FloatHistogram, n), make(bitmap.Bitmap, words)
	} else {
		b.hspace, b.hbits = b.hspace[:n], b.hbits[:words]
		clear(b.hspace)
		clear(b.hbits)
	}
	b.H, b.HValid = b.hspace, b.hbits
}

// SetFloat puts a float sample at position p.
func (b *Batch) SetFloat(p int, v float64) {
	b.F[p] = v
	b.Valid.Set(p)
}

// SetHistogram puts a histogram sample at position p. The batch does not own h: see Batch.
func (b *Batch) SetHistogram(p int, h *histogram.FloatHistogram) {
	b.EnsureHistograms()
	b.H[p] = h
	b.HValid.Set(p)
}

// HasHistogram tells whether position p has a histogram sample.
func (b *Batch) HasHistogram(p int) bool { return b.H != nil && b.HValid.Get(p) }

// Has tells whether position p has a sample of either kind.
func (b *Batch) Has(p int) bool { return b.Valid.Get(p) || b.HasHistogram(p) }

// Remove removes the sample at position p, if there is one.
func (b *Batch) Remove(p int) {
	b.Valid.Clear(p)
	if b.H != nil {
		b.HValid.Clear(p)
		b.H[p] = nil
	}
}

// RemoveHistograms removes all histogram samples.
func (b *Batch) RemoveHistograms() { b.H, b.HValid = nil, nil }

// Empty tells whether a row has no sample.
func (b *Batch) Empty(row int) bool {
	lo, hi := row*b.Steps, (row+1)*b.Steps
	return !b.Valid.Any(lo, hi) && (b.H == nil || !b.HValid.Any(lo, hi))
}

// Present sets in dst, from bit i on, the bits of the steps at which the row has a sample of either kind, and clears the others.
func (b *Batch) Present(dst bitmap.Bitmap, i, row int) {
	lo := row * b.Steps
	for k := 0; k < b.Steps; k += 64 {
		n := min(64, b.Steps-k)
		w := b.Valid.Load(lo+k, n)
		if b.H != nil {
			w |= b.HValid.Load(lo+k, n)
		}
		dst.Store(i+k, n, w)
	}
}

// CountSamples is the size of all samples in Prometheus' unit: 1 for a float, (Size()+8)/16 for a histogram.
func (b *Batch) CountSamples() int64 {
	n := b.Rows * b.Steps
	total := int64(b.Valid.Count(0, n))
	if b.H != nil {
		for p := b.HValid.Next(0, n); p < n; p = b.HValid.Next(p+1, n) {
			total += HistogramSamples(b.H[p])
		}
	}
	return total
}

// Bytes is the memory that the batch's arrays take, without the histograms themselves and without what is left from earlier ones.
func (b *Batch) Bytes() int64 {
	return int64(cap(b.F))*8 + int64(cap(b.Valid))*8 + int64(cap(b.H))*8 + int64(cap(b.HValid))*8
}

// Footprint is Bytes with the histograms at all positions.
func (b *Batch) Footprint() int64 {
	const sampleBytes = 16 // of a histogram, in the unit in which its size is given
	n := b.Bytes()
	if b.H != nil {
		n += sampleBytes * (b.CountSamples() - int64(b.Valid.Count(0, b.Rows*b.Steps)))
	}
	return n
}

// trim lets go of memory that was for histograms, where there are none any more, of a batch that is kept.
func (b *Batch) trim() {
	if b.H == nil {
		b.arena, b.hspace, b.hbits = nil, nil, nil
	}
}

// HistogramSamples is the size of a histogram in samples, as promql.HPoint counts it.
func HistogramSamples(h *histogram.FloatHistogram) int64 { return int64((h.Size() + 8) / 16) }
