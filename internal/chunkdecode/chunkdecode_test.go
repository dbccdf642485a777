package chunkdecode

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

var encodings = []chunkenc.Encoding{chunkenc.EncXOR, chunkenc.EncXOR2}

// decode decodes a chunk after a sample that the slices already have, which must
// stay, and returns the rest.
func decode(tb testing.TB, enc chunkenc.Encoding, chunk []byte, wantST bool, maxT int64) ([]sample, error) {
	t, v, st := []int64{-1}, []float64{-2}, []int64{-3}
	before := slices.Clone(chunk)
	var err error
	if enc == chunkenc.EncXOR {
		t, v, err = XOR(chunk, t, v, maxT)
		if wantST {
			st = PadST(st, len(t))
		}
	} else {
		t, v, st, err = XOR2(chunk, t, v, st, wantST, maxT)
	}
	require.True(tb, bytes.Equal(before, chunk), "chunk was written to")
	require.Len(tb, v, len(t))
	require.True(tb, t[0] == -1 && v[0] == -2 && st[0] == -3, "samples before were overwritten")
	if wantST {
		require.Len(tb, st, len(t))
	} else {
		require.Len(tb, st, 1)
		st = make([]int64, len(t))
	}
	var out []sample
	for i := 1; i < len(t); i++ {
		out = append(out, sample{t[i], math.Float64bits(v[i]), st[i]})
	}
	return out, err
}

// requireEqual names the first sample that differs: a diff of all would take long.
func requireEqual(tb testing.TB, want, got []sample) {
	require.Equal(tb, len(want), len(got), "samples")
	for i, w := range want {
		if w != got[i] {
			require.Equal(tb, w, got[i], "sample %d", i)
		}
	}
}

func dropST(in []sample) []sample {
	out := slices.Clone(in)
	for i := range out {
		out[i].st = 0
	}
	return out
}

// check holds the decoder of enc to the iterator and the reference decoder.
func check(tb testing.TB, enc chunkenc.Encoding, chunk []byte, maxT int64) {
	want, ok := reference(enc, chunk)
	if len(chunk) >= 3 { // The iterators panic without their header.
		fromIterator, err := iterate(enc, chunk)
		require.GreaterOrEqual(tb, len(fromIterator), len(want))
		requireEqual(tb, want, fromIterator[:len(want)])
		if ok {
			require.NoError(tb, err)
			require.Len(tb, fromIterator, len(want))
		}
	}
	if cut := slices.IndexFunc(want, func(s sample) bool { return s.t > maxT }); cut >= 0 {
		want, ok = want[:cut], true
	}
	for _, wantST := range []bool{true, false} {
		if !wantST {
			want = dropST(want)
		}
		got, err := decode(tb, enc, chunk, wantST, maxT)
		if ok {
			require.NoError(tb, err)
		} else {
			require.ErrorIs(tb, err, ErrCorrupt)
		}
		requireEqual(tb, want, got)
	}
}

// series are named generators of timestamps, values or start timestamps. A
// generator is given the sample's index, the sample before and, for start
// timestamps, the sample's own timestamp.
type series[T any] struct {
	name string
	next func(r *rand.Rand, i int, prev T, t int64) T
}

var timestamps = []series[int64]{
	{"regular", func(_ *rand.Rand, _ int, prev, _ int64) int64 { return prev + 15000 }},
	{"jitter", func(r *rand.Rand, _ int, prev, _ int64) int64 { return prev + 15000 + r.Int64N(11) - 5 }},
	{"gaps", func(r *rand.Rand, _ int, prev, _ int64) int64 { return prev + 15000*(1+r.Int64N(40)/39*r.Int64N(500)) }},
	{"irregular", func(r *rand.Rand, _ int, prev, _ int64) int64 { return prev + 1<<r.IntN(40) }},
	{"sizeLimits", func(r *rand.Rand, _ int, prev, _ int64) int64 {
		limit := []int64{1 << 12, 1 << 13, 1 << 16, 1 << 19}[r.IntN(4)]
		return prev + 1<<21 + []int64{-1, 1}[r.IntN(2)]*limit + r.Int64N(5) - 2
	}},
	{"negative", func(r *rand.Rand, i int, prev, _ int64) int64 {
		return prev*int64(min(i, 1)) - 1e12*int64(1-min(i, 1)) + 30
	}},
	{"backwards", func(r *rand.Rand, _ int, prev, _ int64) int64 { return prev - r.Int64N(1000) }},
	{"extremes", func(r *rand.Rand, _ int, _, _ int64) int64 {
		return []int64{math.MinInt64, math.MaxInt64, 0, -1, 1}[r.IntN(5)]
	}},
	{"random", func(r *rand.Rand, _ int, _, _ int64) int64 { return int64(r.Uint64()) }},
}

var values = []series[float64]{
	{"constant", func(_ *rand.Rand, _ int, _ float64, _ int64) float64 { return 42.5 }},
	{"zero", func(_ *rand.Rand, _ int, _ float64, _ int64) float64 { return 0 }},
	{"rareChanges", func(r *rand.Rand, _ int, prev float64, _ int64) float64 { return prev + float64(1-min(1, r.IntN(50))) }},
	{"counter", func(r *rand.Rand, _ int, prev float64, _ int64) float64 { return prev + float64(r.IntN(100)) }},
	{"resets", func(r *rand.Rand, i int, prev float64, _ int64) float64 {
		if i%17 == 16 {
			return 0
		}
		return prev + float64(r.IntN(2))*1e9
	}},
	{"gauge", func(r *rand.Rand, _ int, _ float64, _ int64) float64 { return r.NormFloat64() }},
	{"decimals", func(r *rand.Rand, _ int, prev float64, _ int64) float64 {
		return math.Round(prev*100+r.NormFloat64()*10) / 100
	}},
	{"bits", func(r *rand.Rand, _ int, _ float64, _ int64) float64 { return math.Float64frombits(r.Uint64()) }},
	{"special", func(r *rand.Rand, _ int, _ float64, _ int64) float64 {
		return []float64{
			math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64,
			math.Float64frombits(value.StaleNaN), math.Float64frombits(value.NormalNaN), 1, 1.5,
		}[r.IntN(11)]
	}},
	{"stale", func(_ *rand.Rand, _ int, _ float64, _ int64) float64 { return math.Float64frombits(value.StaleNaN) }},
	{"someStale", func(r *rand.Rand, _ int, prev float64, _ int64) float64 {
		switch {
		case r.IntN(3) == 0:
			return math.Float64frombits(value.StaleNaN)
		case value.IsStaleNaN(prev):
			return 7
		}
		return prev + float64(r.IntN(2))
	}},
}

var startTimestamps = []series[int64]{
	{"unset", func(_ *rand.Rand, _ int, _, _ int64) int64 { return 0 }},
	{"fixed", func(_ *rand.Rand, _ int, _, _ int64) int64 { return 1234567 }},
	{"setLater", func(_ *rand.Rand, i int, _, _ int64) int64 { return int64(i) / 20 * 1e9 }},
	{"delta", func(_ *rand.Rand, _ int, _, t int64) int64 { return t - 15000 }},
	{"changing", func(r *rand.Rand, _ int, prev, t int64) int64 {
		if r.IntN(10) == 0 {
			return t - r.Int64N(100)
		}
		return prev
	}},
	{"random", func(r *rand.Rand, _ int, _, _ int64) int64 { return int64(r.Uint64() >> r.IntN(64)) }},
}

// build makes a chunk of n samples.
func build(tb testing.TB, enc chunkenc.Encoding, n int, ts series[int64], vs series[float64], sts series[int64]) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	c, err := chunkenc.NewEmptyChunk(enc)
	require.NoError(tb, err)
	app, err := c.Appender()
	require.NoError(tb, err)
	t, v, st := int64(1_700_000_000_000), 1e6, int64(0)
	for i := range n {
		t = ts.next(r, i, t, 0)
		v = vs.next(r, i, v, 0)
		st = sts.next(r, i, st, t)
		app.Append(st, t, v)
	}
	return slices.Clip(c.Bytes())
}

// forEachShape calls f with chunks of n samples in every combination of
// timestamps, values and start timestamps.
func forEachShape(t *testing.T, n int, f func(t *testing.T, enc chunkenc.Encoding, chunk []byte)) {
	for _, enc := range encodings {
		for _, ts := range timestamps {
			for _, vs := range values {
				for _, sts := range startTimestamps {
					if enc == chunkenc.EncXOR && sts.name != "unset" {
						continue // The appender drops them.
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%s/%d", enc, ts.name, vs.name, sts.name, n), func(t *testing.T) {
						f(t, enc, build(t, enc, n, ts, vs, sts))
					})
				}
			}
		}
	}
}

func TestShapes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 120, 127, 128, 129, 500} {
		forEachShape(t, n, func(t *testing.T, enc chunkenc.Encoding, chunk []byte) {
			fromIterator, err := iterate(enc, chunk)
			require.NoError(t, err)
			require.Len(t, fromIterator, n)
			check(t, enc, chunk, math.MaxInt64)
		})
	}
}

// TestRuns has changes after runs of the same value of every length, that start
// at every bit of a byte.
func TestRuns(t *testing.T) {
	for _, enc := range encodings {
		for n := range 150 {
			for width := 1; width <= 8; width++ {
				runs := series[float64]{next: func(_ *rand.Rand, i int, _ float64, _ int64) float64 {
					return float64(i / (n + 1) % 2 * (1<<width - 1))
				}}
				check(t, enc, build(t, enc, 3*(n+1)+1, timestamps[0], runs, startTimestamps[0]), math.MaxInt64)
			}
		}
	}
}

func TestMaxSamples(t *testing.T) {
	for _, enc := range encodings {
		for _, vs := range values {
			check(t, enc, build(t, enc, math.MaxUint16, timestamps[1], vs, startTimestamps[4]), math.MaxInt64)
		}
	}
}

func TestMaxT(t *testing.T) {
	forEachShape(t, 40, func(t *testing.T, enc chunkenc.Encoding, chunk []byte) {
		samples, err := iterate(enc, chunk)
		require.NoError(t, err)
		for _, s := range samples {
			check(t, enc, chunk, s.t)
			check(t, enc, chunk, s.t-1)
		}
		check(t, enc, chunk, math.MinInt64)
	})
}

func TestTruncated(t *testing.T) {
	forEachShape(t, 14, func(t *testing.T, enc chunkenc.Encoding, chunk []byte) {
		for n := range chunk {
			_, err := decode(t, enc, chunk[:n:n], true, math.MaxInt64)
			require.ErrorIs(t, err, ErrCorrupt)
			check(t, enc, chunk[:n:n], math.MaxInt64)
		}
		// The same bytes, with more of them behind the slice's end.
		_, err := decode(t, enc, chunk[:len(chunk)-1], true, math.MaxInt64)
		require.ErrorIs(t, err, ErrCorrupt)
	})
}

func TestBitFlips(t *testing.T) {
	for _, enc := range encodings {
		for _, ts := range timestamps[1:3] {
			for _, vs := range values {
				for _, sts := range startTimestamps[1:4] {
					chunk := build(t, enc, 14, ts, vs, sts)
					for bit := range 8 * len(chunk) {
						chunk[bit/8] ^= 1 << (bit % 8)
						check(t, enc, chunk, math.MaxInt64)
						chunk[bit/8] ^= 1 << (bit % 8)
					}
				}
			}
		}
	}
}

func TestRandomBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		chunk := make([]byte, 3+r.IntN(400))
		for i := range chunk {
			chunk[i] = byte(r.Uint32())
		}
		for _, enc := range encodings {
			check(t, enc, chunk, math.MaxInt64)
		}
	}
}

// TestManyChunks puts the chunks of one series in one array.
func TestManyChunks(t *testing.T) {
	for _, enc := range encodings {
		var (
			ts, st, wantT []int64
			vs, wantV     []float64
			err           error
		)
		for n := range 50 {
			chunk := build(t, enc, n, timestamps[1], values[3], startTimestamps[0])
			if enc == chunkenc.EncXOR {
				ts, vs, err = XOR(chunk, ts, vs, math.MaxInt64)
			} else {
				ts, vs, st, err = XOR2(chunk, ts, vs, st, false, math.MaxInt64)
			}
			require.NoError(t, err)
			samples, err := iterate(enc, chunk)
			require.NoError(t, err)
			for _, s := range samples {
				wantT, wantV = append(wantT, s.t), append(wantV, math.Float64frombits(s.v))
			}
		}
		require.Equal(t, wantT, ts)
		require.Equal(t, wantV, vs)
		require.Nil(t, st)
	}
}

func TestAllocations(t *testing.T) {
	for _, enc := range encodings {
		chunk := build(t, enc, 120, timestamps[1], values[3], startTimestamps[3])
		run := func(ts []int64, vs []float64, st []int64) func() {
			return func() {
				if enc == chunkenc.EncXOR {
					_, _, _ = XOR(chunk, ts, vs, math.MaxInt64)
				} else {
					_, _, _, _ = XOR2(chunk, ts, vs, st, true, math.MaxInt64)
				}
			}
		}
		slicesGrown := 2.0
		if enc == chunkenc.EncXOR2 {
			slicesGrown = 3
		}
		require.LessOrEqual(t, testing.AllocsPerRun(10, run(nil, nil, nil)), slicesGrown)
		ts, vs, st := make([]int64, 0, 120), make([]float64, 0, 120), make([]int64, 0, 120)
		require.Zero(t, testing.AllocsPerRun(10, run(ts, vs, st)))
	}
}

func TestLyingCount(t *testing.T) {
	for _, enc := range encodings {
		chunk := build(t, enc, 3, timestamps[0], values[0], startTimestamps[0])
		chunk[0], chunk[1] = 0xff, 0xff
		var ts []int64
		var vs []float64
		var err error
		if enc == chunkenc.EncXOR {
			ts, vs, err = XOR(chunk, nil, nil, math.MaxInt64)
		} else {
			ts, vs, _, err = XOR2(chunk, nil, nil, nil, false, math.MaxInt64)
		}
		require.ErrorIs(t, err, ErrCorrupt)
		require.LessOrEqual(t, cap(ts), 16*len(chunk))
		require.LessOrEqual(t, cap(vs), 16*len(chunk))
	}
}

func TestPadST(t *testing.T) {
	require.Equal(t, []int64{5, 0, 0}, PadST([]int64{5}, 3))
	require.Equal(t, []int64{5, 6}, PadST([]int64{5, 6}, 1))
	dirty := []int64{5, 6, 7}
	require.Equal(t, []int64{5, 0, 0}, PadST(dirty[:1], 3))
}
