package chunkdecode

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

func FuzzXOR(f *testing.F)  { fuzz(f, chunkenc.EncXOR) }
func FuzzXOR2(f *testing.F) { fuzz(f, chunkenc.EncXOR2) }

// fuzz holds decoder, iterator and reference decoder equal on any bytes.
func fuzz(f *testing.F, enc chunkenc.Encoding) {
	for i, ts := range timestamps {
		for j, vs := range values {
			chunk := build(f, enc, 3+13*j, ts, vs, startTimestamps[(i+j)%len(startTimestamps)])
			f.Add(chunk, int64(math.MaxInt64))
			f.Add(chunk, int64(1_700_000_100_000))
		}
	}
	f.Fuzz(func(t *testing.T, chunk []byte, maxT int64) {
		check(t, enc, chunk, maxT)
	})
}
