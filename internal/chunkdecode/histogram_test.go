package chunkdecode

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

var histogramEncodings = []chunkenc.Encoding{chunkenc.EncHistogram, chunkenc.EncHistogramST, chunkenc.EncFloatHistogram, chunkenc.EncFloatHistogramST}

// histogramSample is a decoded sample, printed so that NaNs and empty slices compare.
type histogramSample struct {
	t, st int64
	h     string
}

func printed(h *histogram.FloatHistogram) string {
	bits := func(v []float64) (out []uint64) {
		for _, f := range v {
			out = append(out, math.Float64bits(f))
		}
		return out
	}
	return fmt.Sprint(h.CounterResetHint, h.Schema, h.ZeroThreshold, h.ZeroCount, h.Count, math.Float64bits(h.Sum),
		h.PositiveSpans, h.NegativeSpans, bits(h.PositiveBuckets), bits(h.NegativeBuckets), bits(h.CustomValues))
}

func iterateHistograms(enc chunkenc.Encoding, chunk []byte, maxT int64) (out []histogramSample, err error) {
	c, err := chunkenc.FromData(enc, chunk)
	if err != nil {
		return nil, err
	}
	it := c.Iterator(nil)
	for it.Next() != chunkenc.ValNone {
		if it.AtT() > maxT {
			return out, nil
		}
		t, h := it.AtFloatHistogram(nil)
		out = append(out, histogramSample{t, it.AtST(), printed(h)})
	}
	return out, it.Err()
}

// checkHistograms holds the decoder to the iterator, which must not panic on the chunk.
func checkHistograms(tb testing.TB, d *Histograms, enc chunkenc.Encoding, chunk []byte, minT, maxT int64) {
	want, wantErr := iterateHistograms(enc, chunk, maxT)
	want = slices.DeleteFunc(want, func(s histogramSample) bool { return s.t < minT })
	before := slices.Clone(chunk)
	for _, wantST := range []bool{true, false} {
		d.Reset(true)
		keep := &histogram.FloatHistogram{}
		t, h, st, err := d.Decode(enc, chunk, []int64{-1}, []*histogram.FloatHistogram{keep}, []int64{-3}, wantST, minT, maxT)
		require.True(tb, bytes.Equal(before, chunk), "chunk was written to")
		require.True(tb, t[0] == -1 && h[0] == keep && st[0] == -3)
		if err != nil {
			require.ErrorIs(tb, err, ErrUseIterator)
			require.True(tb, len(t) == 1 && len(h) == 1 && len(st) == 1, "samples were appended")
			continue
		}
		require.NoError(tb, wantErr)
		require.Len(tb, t, len(want)+1)
		for i, w := range want {
			got := histogramSample{t: t[i+1], h: printed(h[i+1])}
			if wantST {
				got.st = st[i+1]
			} else {
				w.st = 0
			}
			require.Equal(tb, w, got, "sample %d", i)
		}
	}
}

// randomHistogramChunk appends histograms of a random kind until the chunk is full or there are n.
func randomHistogramChunk(tb testing.TB, r *rand.Rand, enc chunkenc.Encoding, n int) []byte {
	c, err := chunkenc.NewEmptyChunk(enc)
	require.NoError(tb, err)
	app, err := c.Appender()
	require.NoError(tb, err)
	h := histogram.Histogram{Schema: int32(r.IntN(9) - 4), ZeroThreshold: []float64{0, 0x1p-128, 0.001, 1}[r.IntN(4)]}
	custom := r.IntN(4) == 0
	side := func() (spans []histogram.Span) {
		for range r.IntN(4) {
			spans = append(spans, histogram.Span{Offset: int32(1 + r.IntN(3)), Length: uint32(1 + r.IntN(8))})
		}
		return spans
	}
	h.PositiveSpans = side()
	if custom {
		h.Schema, h.ZeroThreshold = histogram.CustomBucketsSchema, 0
		h.PositiveSpans = []histogram.Span{{Length: 5}}
		h.CustomValues = []float64{-1, 0.005, 0.1, 1e9}
	} else {
		h.NegativeSpans = side()
	}
	absolute := func(spans []histogram.Span) []int64 {
		n := 0
		for _, s := range spans {
			n += int(s.Length)
		}
		return make([]int64, n)
	}
	positive, negative := absolute(h.PositiveSpans), absolute(h.NegativeSpans)
	size := r.IntN(40)
	if r.IntN(3) == 0 {
		h.CounterResetHint = histogram.GaugeType
	}
	withST := enc == chunkenc.EncHistogramST || enc == chunkenc.EncFloatHistogramST
	push := func(st, t int64, h *histogram.Histogram) {
		var err error
		if enc == chunkenc.EncHistogram || enc == chunkenc.EncHistogramST {
			_, _, _, err = app.AppendHistogram(nil, st, t, h, true)
		} else {
			fh := h.ToFloat(nil)
			if !value.IsStaleNaN(h.Sum) && size%2 == 1 {
				fh.Mul(0.7)
			}
			_, _, _, err = app.AppendFloatHistogram(nil, st, t, fh, true)
		}
		require.NoError(tb, err)
	}
	t, st := int64(1600000000000), int64(0)
	if withST && r.IntN(2) == 0 {
		st = t - r.Int64N(1e9)
	}
	for i := range n {
		t += 15000 + r.Int64N(3)*r.Int64N(20)
		if withST && r.IntN(20) == 0 {
			st = t - r.Int64N(1e7)
		}
		if i == n-1 && r.IntN(2) == 0 {
			stale := &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN), CounterResetHint: h.CounterResetHint}
			push(st, t, stale)
			break
		}
		h.Count = 0
		grow := func(v []int64) (deltas []int64) {
			prev := int64(0)
			for b := range v {
				if r.IntN(3) == 0 {
					v[b] += r.Int64N(1 << size)
				}
				h.Count += uint64(v[b])
				deltas = append(deltas, v[b]-prev)
				prev = v[b]
			}
			return deltas
		}
		h.PositiveBuckets, h.NegativeBuckets = grow(positive), grow(negative)
		if !custom {
			h.ZeroCount += uint64(r.IntN(3))
		}
		h.Count += h.ZeroCount
		h.Sum += r.NormFloat64()
		push(st, t, h.Copy())
	}
	return c.Bytes()
}

func TestHistograms(t *testing.T) {
	var d Histograms
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		for _, enc := range histogramEncodings {
			chunk := randomHistogramChunk(t, r, enc, 1+r.IntN(150))
			for _, maxT := range []int64{math.MaxInt64, 0, 1600000000000 + r.Int64N(2e6)} {
				checkHistograms(t, &d, enc, chunk, math.MinInt64, maxT)
				checkHistograms(t, &d, enc, chunk, 1600000000000+r.Int64N(2e6), maxT)
			}
			_, _, _, err := d.Decode(enc, chunk, nil, nil, nil, false, math.MinInt64, math.MaxInt64)
			require.NoError(t, err, "a good chunk is decoded")
		}
	}
}

func TestHistogramsOfDamagedChunks(t *testing.T) {
	var d Histograms
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		for _, enc := range histogramEncodings {
			chunk := randomHistogramChunk(t, r, enc, 1+r.IntN(40))
			_, _, _, err := d.Decode(enc, chunk[:r.IntN(len(chunk))], nil, nil, nil, true, math.MinInt64, math.MaxInt64)
			if err != nil {
				require.ErrorIs(t, err, ErrUseIterator)
			}
			for range 20 {
				damaged := slices.Clone(chunk)
				damaged[r.IntN(len(damaged))] ^= 1 << r.IntN(8)
				d.Reset(false)
				_, _, _, err := d.Decode(enc, damaged, nil, nil, nil, true, math.MinInt64, math.MaxInt64)
				if err != nil {
					require.ErrorIs(t, err, ErrUseIterator)
				}
			}
		}
	}
}

func FuzzHistograms(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 3))
		for i, enc := range histogramEncodings {
			f.Add(randomHistogramChunk(f, r, enc, 1+r.IntN(20)), uint8(i), int64(math.MaxInt64))
		}
	}
	f.Fuzz(func(t *testing.T, chunk []byte, kind uint8, maxT int64) {
		enc := histogramEncodings[int(kind)%len(histogramEncodings)]
		var d Histograms
		// Of arbitrary bytes the iterator may make more buckets than there is memory for, or panic: the decoder
		// must not, and where it gives samples they are the iterator's.
		if _, _, _, err := d.Decode(enc, chunk, nil, nil, nil, true, math.MinInt64, maxT); err == nil {
			checkHistograms(t, &d, enc, chunk, math.MinInt64, maxT)
		}
	})
}

func TestHistogramAllocations(t *testing.T) {
	chunk := randomHistogramChunk(t, rand.New(rand.NewPCG(1, 4)), chunkenc.EncHistogram, 120)
	var d Histograms
	ts, hs := make([]int64, 0, 200), make([]*histogram.FloatHistogram, 0, 200)
	allocs := testing.AllocsPerRun(100, func() {
		d.Reset(false)
		_, _, _, _ = d.Decode(chunkenc.EncHistogram, chunk, ts, hs, nil, false, math.MinInt64, math.MaxInt64)
	})
	// Spans and custom values, which are never used again.
	require.LessOrEqual(t, allocs, 4.0)
}
