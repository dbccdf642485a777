package window

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSlidingSumStaysExact(t *testing.T) {
	for n, p := range profiles {
		if p.hist != nil {
			continue
		}
		for _, size := range []int{3, 60, 1000} {
			rng := rand.New(rand.NewSource(int64(n)))
			f := make([]float64, 30_000)
			var v float64
			for i := range f {
				v = p.value(rng, v)
				f[i] = v
			}
			var k sum
			k.s.reset()
			for lo, hi := 0, 0; hi < len(f); {
				hi = min(len(f), hi+rng.Intn(5))
				lo = max(lo, hi-size)
				if lo == hi {
					continue
				}
				want := k.inOrder(f[lo:hi])
				if s, comp, ok := k.s.move(f, lo, hi); ok {
					require.True(t, sameFloat(want, k.finish(s, comp, hi-lo), 1e-12), "%s [%d, %d): want %v, got %v", p.name, lo, hi, want, s+comp)
				}
			}
		}
	}
}

func TestSlidingSumMoves(t *testing.T) {
	f := make([]float64, 2000)
	for i := range f {
		f[i] = 1e9 + math.Sin(float64(i))
	}
	var w slidingSum
	w.reset()
	for lo := 0; lo+100 <= len(f); lo++ {
		_, _, ok := w.move(f, lo, lo+100)
		require.True(t, ok)
	}
	require.EqualValues(t, 100+2*1900, w.ops, "ordinary values must not be added up afresh")
}
