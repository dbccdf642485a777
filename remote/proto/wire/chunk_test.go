package wire

import (
	"fmt"
	"math"
	"math/rand"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/thanospb"
)

type sample struct {
	st, t int64
	f     float64
	h     *histogram.Histogram
	fh    *histogram.FloatHistogram
}

func (s sample) ST() int64                     { return s.st }
func (s sample) T() int64                      { return s.t }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return s.h }
func (s sample) FH() *histogram.FloatHistogram { return s.fh }
func (s sample) Copy() chunks.Sample           { return s }
func (s sample) Type() chunkenc.ValueType {
	switch {
	case s.h != nil:
		return chunkenc.ValHistogram
	case s.fh != nil:
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// someChunks are chunks of every encoding.
func someChunks(t testing.TB, rng *rand.Rand) []chunks.Meta {
	t.Helper()
	var out []chunks.Meta
	for kind := range 3 {
		for _, st := range []int64{0, 1} {
			var samples []chunks.Sample
			for i := range 50 {
				s := sample{st: st, t: int64(i) * 15_000, f: rng.NormFloat64()}
				h := &histogram.Histogram{Count: 6, Sum: rng.Float64(), PositiveSpans: []histogram.Span{{Offset: -2, Length: 2}, {Offset: 1, Length: 1}}, PositiveBuckets: []int64{1, 1, int64(i)}}
				switch kind {
				case 1:
					s.h = h
				case 2:
					s.fh = h.ToFloat(nil)
				}
				samples = append(samples, s)
			}
			it := storage.NewSeriesToChunkEncoder(storage.NewListSeries(labels.EmptyLabels(), samples)).Iterator(nil)
			for it.Next() {
				out = append(out, it.At())
			}
			require.NoError(t, it.Err())
		}
	}
	return out
}

func TestChunks(t *testing.T) {
	encodings := map[chunkenc.Encoding]bool{}
	var r ChunkReader
	for _, want := range someChunks(t, rand.New(rand.NewSource(1))) {
		encodings[want.Chunk.Encoding()] = true
		b, err := proto.Marshal(EncodeChunk(want))
		require.NoError(t, err)
		var m stridepb.Chunk
		require.NoError(t, proto.Unmarshal(b, &m))
		got, err := r.Read(&m)
		require.NoError(t, err)
		require.Equal(t, want.Chunk.Bytes(), got.Chunk.Bytes())
		require.Equal(t, want.Chunk.Encoding(), got.Chunk.Encoding())
		require.Equal(t, [2]int64{want.MinTime, want.MaxTime}, [2]int64{got.MinTime, got.MaxTime})

		got, err = r.ReadThanos(&thanospb.AggrChunk{MinTime: 1, MaxTime: 2, Raw: &thanospb.Chunk{Type: int32(want.Chunk.Encoding()) - 1, Data: m.Data}})
		require.NoError(t, err)
		require.Equal(t, want.Chunk.Encoding(), got.Chunk.Encoding())
	}
	require.Len(t, encodings, 6, "%v", encodings)
}

func TestChunksOfNonsense(t *testing.T) {
	ok := func() *stridepb.Chunk {
		return &stridepb.Chunk{Encoding: uint32(chunkenc.EncXOR), Data: chunkenc.NewXORChunk().Bytes()}
	}
	var r ChunkReader
	for name, c := range map[string]func(m *stridepb.Chunk){
		"no bytes":              func(m *stridepb.Chunk) { m.Data = nil },
		"a byte":                func(m *stridepb.Chunk) { m.Data = m.Data[:1] },
		"far too many bytes":    func(m *stridepb.Chunk) { m.Data = make([]byte, maxChunkBytes+1) },
		"no encoding":           func(m *stridepb.Chunk) { m.Encoding = 0 },
		"an unknown encoding":   func(m *stridepb.Chunk) { m.Encoding = 99 },
		"one that wraps around": func(m *stridepb.Chunk) { m.Encoding = 256 + uint32(chunkenc.EncXOR) },
		"backwards":             func(m *stridepb.Chunk) { m.MinMs = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			m := ok()
			c(m)
			_, err := r.Read(m)
			require.Error(t, err)
		})
	}
	_, err := r.ReadThanos(&thanospb.AggrChunk{})
	require.ErrorContains(t, err, "downsampled")
	_, err = r.ReadThanosAggregates(&thanospb.AggrChunk{})
	require.ErrorContains(t, err, "neither samples nor aggregates")
	_, err = r.ReadThanosAggregates(&thanospb.AggrChunk{Sum: &thanospb.Chunk{Type: 99, Data: ok().Data}})
	require.Error(t, err)
	one := chunkenc.NewXORChunk()
	app, err := one.Appender()
	require.NoError(t, err)
	app.Append(0, 1, 1)
	parts, err := r.ReadThanosAggregates(&thanospb.AggrChunk{Sum: &thanospb.Chunk{Data: one.Bytes()}, Counter: &thanospb.Chunk{Data: one.Bytes()}})
	require.NoError(t, err)
	for i, p := range parts {
		require.Equal(t, i == 1 || i == 4, p != nil, i)
	}
	for _, enc := range []int32{-1, 255, math.MaxInt32, math.MinInt32} {
		_, err = r.ReadThanos(&thanospb.AggrChunk{Raw: &thanospb.Chunk{Type: enc, Data: ok().Data}})
		require.Error(t, err)
	}

	// Histograms that say they have four billion buckets: one sample, the zero threshold and the schema 0, one span and its length.
	bits := "0000000000000001" + "00000000" + "00000000" + "0" + "10001" + "11111111" + fmt.Sprintf("%064b", math.MaxUint32) + strings.Repeat("0", 800)
	var b []byte
	for ; len(bits) >= 8; bits = bits[8:] {
		x, err := strconv.ParseUint(bits[:8], 2, 8)
		require.NoError(t, err)
		b = append(b, byte(x))
	}
	for _, enc := range []chunkenc.Encoding{chunkenc.EncHistogram, chunkenc.EncFloatHistogram} {
		_, err = r.Read(&stridepb.Chunk{Encoding: uint32(enc), Data: b})
		require.ErrorContains(t, err, "corrupt")
	}
}

// FuzzChunk reads any bytes: what is accepted can be iterated over.
func FuzzChunk(f *testing.F) {
	for _, c := range someChunks(f, rand.New(rand.NewSource(1))) {
		f.Add(uint32(c.Chunk.Encoding()), c.Chunk.Bytes())
	}
	f.Fuzz(func(_ *testing.T, enc uint32, b []byte) {
		var r ChunkReader
		c, err := r.Read(&stridepb.Chunk{Encoding: enc, Data: b})
		if err != nil {
			return
		}
		it := c.Chunk.Iterator(nil)
		for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
			if typ != chunkenc.ValFloat {
				_, h := it.AtFloatHistogram(nil)
				for b := h.AllBucketIterator(); b.Next(); {
					b.At()
				}
			}
		}
	})
}
