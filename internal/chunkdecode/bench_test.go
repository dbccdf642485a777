package chunkdecode

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

type shape struct {
	name string
	next func(r *rand.Rand, i int, t *int64, v *float64)
}

var benchShapes = []shape{
	{"counter", func(r *rand.Rand, _ int, t *int64, v *float64) {
		*t += 15000
		*v += float64(r.IntN(100))
	}},
	{"counter-jitter", func(r *rand.Rand, i int, t *int64, v *float64) {
		*t += 15000 + int64(r.IntN(11)) - 5
		*v += float64(r.IntN(100))
	}},
	{"counter-slow", func(r *rand.Rand, i int, t *int64, v *float64) {
		*t += 15000
		*v += float64(r.IntN(2))
	}},
	{"gauge-int", func(r *rand.Rand, i int, t *int64, v *float64) {
		*t += 15000
		*v = float64(r.IntN(1000))
	}},
	{"gauge-float", func(r *rand.Rand, i int, t *int64, v *float64) {
		*t += 15000
		*v = math.Abs(r.NormFloat64()) * 100
	}},
	{"constant", func(r *rand.Rand, i int, t *int64, v *float64) {
		*t += 15000
	}},
}

const (
	benchChunks  = 500
	benchSamples = 120
)

func benchData(newChunk func() chunkenc.Chunk, s shape, withST bool) []chunkenc.Chunk {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]chunkenc.Chunk, benchChunks)
	for c := range out {
		out[c] = newChunk()
		app, _ := out[c].Appender()
		t, v := int64(1700000000000)+int64(r.IntN(1000000)), float64(r.IntN(1000000))
		for i := range benchSamples {
			s.next(r, i, &t, &v)
			var st int64
			if withST {
				st = t - int64(i+1)*15000
			}
			app.Append(st, t, v)
		}
		out[c].Compact()
	}
	return out
}

func perSample(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(benchChunks*benchSamples), "ns/sample")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkXOR(b *testing.B) {
	for _, s := range benchShapes {
		chunks := benchData(func() chunkenc.Chunk { return chunkenc.NewXORChunk() }, s, false)
		b.Run(s.name+"/iterator", func(b *testing.B) { benchIterator(b, chunks) })
		b.Run(s.name+"/decoder", func(b *testing.B) {
			var t []int64
			var v []float64
			for b.Loop() {
				for _, c := range chunks {
					var err error
					if t, v, err = XOR(c.Bytes(), t[:0], v[:0], math.MaxInt64); err != nil {
						b.Fatal(err)
					}
				}
			}
			perSample(b)
		})
	}
}

func BenchmarkXOR2(b *testing.B) {
	for _, s := range benchShapes {
		for _, withST := range []bool{false, true} {
			chunks := benchData(func() chunkenc.Chunk { return chunkenc.NewXOR2Chunk() }, s, withST)
			name := s.name
			if withST {
				name += "-st"
			}
			b.Run(name+"/iterator", func(b *testing.B) { benchIterator(b, chunks) })
			b.Run(name+"/decoder", func(b *testing.B) {
				var t, st []int64
				var v []float64
				for b.Loop() {
					for _, c := range chunks {
						var err error
						if t, v, st, err = XOR2(c.Bytes(), t[:0], v[:0], st[:0], withST, math.MaxInt64); err != nil {
							b.Fatal(err)
						}
					}
				}
				perSample(b)
			})
		}
	}
}

func benchIterator(b *testing.B, chunks []chunkenc.Chunk) {
	t := make([]int64, 0, benchSamples)
	v := make([]float64, 0, benchSamples)
	var it chunkenc.Iterator
	for b.Loop() {
		for _, c := range chunks {
			t, v = t[:0], v[:0]
			it = c.Iterator(it)
			for it.Next() == chunkenc.ValFloat {
				ts, val := it.At()
				t, v = append(t, ts), append(v, val)
			}
		}
	}
	perSample(b)
}
