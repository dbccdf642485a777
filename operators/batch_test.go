package operators

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/internal/bitmap"
)

// point is the content of a position in a model of a batch.
type point struct {
	f float64
	h *histogram.FloatHistogram
	// has is 'f' for a float, 'h' for a histogram, 0 for nothing.
	has byte
}

func randomBatch(rnd *rand.Rand, b *Batch) []point {
	points := make([]point, b.Rows*b.Steps)
	kinds := 1 + rnd.IntN(3)
	for p := range points {
		switch rnd.IntN(kinds) {
		case 1:
			points[p] = point{f: rnd.NormFloat64(), has: 'f'}
			b.SetFloat(p, points[p].f)
		case 2:
			points[p] = point{h: &histogram.FloatHistogram{Count: rnd.Float64(), PositiveBuckets: make([]float64, rnd.IntN(9))}, has: 'h'}
			b.SetHistogram(p, points[p].h)
		}
	}
	return points
}

func requirePoints(t *testing.T, want []point, b *Batch) {
	t.Helper()
	require.Len(t, want, b.Rows*b.Steps)
	var samples int64
	for row := range b.Rows {
		c := b.Column(row)
		require.Equal(t, b.Steps, c.Len())
		first, any := b.Steps, false
		for k := range b.Steps {
			p := b.Pos(row, k)
			w := want[p]
			require.Equal(t, w.has != 0, b.Has(p))
			require.Equal(t, w.has == 'h', b.HasHistogram(p))
			require.Equal(t, w.has != 0, c.Has(k))
			require.Equal(t, w.has == 'f', c.Float(k))
			require.Equal(t, w.has == 'h', c.Histogram(k))
			switch w.has {
			case 'f':
				require.Equal(t, w.f, b.F[p])
				require.Equal(t, w.f, c.F[k])
				samples++
			case 'h':
				require.Same(t, w.h, b.H[p])
				require.Same(t, w.h, c.H[k])
				samples += HistogramSamples(w.h)
			}
			if w.has != 0 && !any {
				first, any = k, true
			}
			n := min(64, b.Steps-k)
			for i := range n {
				x := want[b.Pos(row, k+i)].has
				require.Equal(t, x == 'f', c.Floats(k, n)>>i&1 != 0)
				require.Equal(t, x == 'h', c.Histograms(k, n)>>i&1 != 0)
				require.Equal(t, x != 0, c.Presence(k, n)>>i&1 != 0)
			}
		}
		require.Equal(t, !any, b.Empty(row))
		require.Equal(t, !any, c.Empty())
		require.Equal(t, first, c.First())

		for at := range 3 {
			byBatch, byColumn := make(bitmap.Bitmap, bitmap.Words(b.Steps+at)), make(bitmap.Bitmap, bitmap.Words(b.Steps+at))
			byBatch.SetRange(0, b.Steps+at)
			byColumn.SetRange(0, b.Steps+at)
			b.Present(byBatch, at, row)
			c.Present(byColumn, at)
			require.Equal(t, byBatch, byColumn)
			for k := range b.Steps {
				require.Equal(t, want[b.Pos(row, k)].has != 0, byBatch.Get(at+k))
			}
			require.True(t, byBatch.All(0, at), "bits before stay")
		}
	}
	require.Equal(t, samples, b.CountSamples())
}

func TestBatchAgainstModel(t *testing.T) {
	w := &Worker{Poison: true}
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		rows, steps := rnd.IntN(5), rnd.IntN([]int{2, 20, 140}[rnd.IntN(3)])
		// Batches that others have used before come as new ones.
		b := w.Batch(3, rows, 7, steps)
		require.Equal(t, []int{3, rows, 7, steps, 0}, []int{b.First, b.Rows, b.From, b.Steps, b.Morsel})
		require.False(t, b.Shared || b.Kept)
		requirePoints(t, make([]point, rows*steps), b)
		want := randomBatch(rnd, b)
		requirePoints(t, want, b)
		require.GreaterOrEqual(t, b.Bytes(), int64(rows*steps*8))

		before := slices.Clone(want)
		b.Morsel, b.Shared = 5, true
		clone := b.Clone()
		own := w.Own(b)
		require.NotSame(t, b, own)
		require.False(t, clone.Shared || own.Shared)
		require.Equal(t, 5, clone.Morsel)
		require.Equal(t, 5, own.Morsel)
		b.Shared = false
		require.Same(t, b, w.Own(b))

		for p := range want {
			switch rnd.IntN(6) {
			case 0:
				b.Remove(p)
				want[p] = point{}
			case 1:
				b.Remove(p)
				b.SetFloat(p, 1)
				want[p] = point{f: 1, has: 'f'}
			}
		}
		requirePoints(t, want, b)
		b.RemoveHistograms()
		for p := range want {
			if want[p].has == 'h' {
				want[p] = point{}
			}
		}
		requirePoints(t, want, b)

		// What was done to b has not reached the copies.
		requirePoints(t, before, clone)
		requirePoints(t, before, own)
		w.Release(b)
		w.Release(own)
	}
}

func TestColumnWrites(t *testing.T) {
	b := NewBatch(0, 3, 0, 70)
	c := b.Column(1)
	h := &histogram.FloatHistogram{Count: 1}
	c.SetFloat(2, 1.5)
	c.SetHistogram(69, h)
	require.Equal(t, 1.5, b.F[b.Pos(1, 2)])
	require.Same(t, h, b.H[b.Pos(1, 69)])
	require.EqualValues(t, 1+HistogramSamples(h), b.CountSamples())
	require.True(t, b.Column(1).Histogram(69), "a column taken anew sees histograms")

	c.SetFloats(60, 10, 0b11)
	require.True(t, c.Float(60) && c.Float(61))
	require.False(t, c.Float(62) || c.Float(69))
	c.SetFloats(0, 64, ^uint64(0))
	c.SetFloats(64, 6, 1<<6-1)
	require.Equal(t, 70, b.Valid.Count(b.Pos(1, 0), b.Pos(2, 0)))
	require.True(t, b.Empty(0) && b.Empty(2))
}

func TestRelease(t *testing.T) {
	w := &Worker{Poison: true}
	shared, kept := NewBatch(0, 1, 0, 2), NewBatch(0, 1, 0, 2)
	shared.Shared, kept.Kept = true, true
	for _, b := range []*Batch{shared, kept} {
		b.SetFloat(0, 1)
		w.Release(b)
		require.Equal(t, 1.0, b.F[0], "a batch that is someone else's is left alone")
		require.NotSame(t, b, w.Batch(0, 1, 0, 2))
	}
	w.Release(nil)

	b := NewBatch(0, 1, 0, 2)
	b.SetFloat(0, 1)
	f := b.F
	w.Release(b)
	require.True(t, math.IsNaN(f[0]), "what was given back is poisoned")
	require.Equal(t, -1, b.Rows)
	require.Same(t, b, w.Batch(0, 2, 0, 1))
	require.False(t, b.Valid.Any(0, 2))

	for range maxFree + 3 {
		w.Release(NewBatch(0, 1, 0, 1))
	}
	require.Len(t, w.free, maxFree)
}
