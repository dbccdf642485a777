package bitmap

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// model is the set as one bool a bit.
type model []bool

func (m model) word(i, n int) uint64 {
	var w uint64
	for k := range n {
		if m[i+k] {
			w |= 1 << k
		}
	}
	return w
}

func (m model) fill(from, to int, v bool) {
	for i := from; i < to; i++ {
		m[i] = v
	}
}

func (m model) next(from, to int) int {
	if i := slices.Index(m[from:to], true); i >= 0 {
		return from + i
	}
	return to
}

func random(rnd *rand.Rand, n int) (Bitmap, model) {
	b, m := make(Bitmap, Words(n)), make(model, n)
	density := rnd.IntN(4)
	for i := range m {
		if m[i] = rnd.IntN(4) < density; m[i] {
			b.Set(i)
		}
	}
	return b, m
}

// requireSame also holds that bits behind the last one are zero.
func requireSame(t *testing.T, m model, b Bitmap) {
	t.Helper()
	require.Len(t, b, Words(len(m)))
	for w := range b {
		require.Equal(t, m.word(w*64, min(64, len(m)-w*64)), b[w], "word %d", w)
	}
}

func TestAgainstBools(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := 1 + rnd.IntN([]int{1, 64, 130, 400}[rnd.IntN(4)])
		b, m := random(rnd, n)
		src, srcModel := random(rnd, n)
		requireSame(t, m, b)
		for range 60 {
			i := rnd.IntN(n)
			from := rnd.IntN(n + 1)
			to := from + rnd.IntN(n+1-from)
			size := 1 + rnd.IntN(min(64, n-i))
			switch rnd.IntN(7) {
			case 0:
				b.Set(i)
				m[i] = true
			case 1:
				b.Clear(i)
				m[i] = false
			case 2:
				v := rnd.Uint64() // bits above size must not matter
				b.Store(i, size, v)
				for k := range size {
					m[i+k] = v>>k&1 != 0
				}
			case 3:
				b.SetRange(from, to)
				m.fill(from, to, true)
			case 4:
				b.ClearRange(from, to)
				m.fill(from, to, false)
			case 5:
				at := rnd.IntN(n + 1 - (to - from))
				b.Copy(at, src, from, to-from)
				copy(m[at:], srcModel[from:to])
			case 6:
				b.Copy(from, src, from, to-from)
				copy(m[from:to], srcModel[from:to])
			}
			requireSame(t, m, b)
			requireSame(t, srcModel, src)

			require.Equal(t, m[i], b.Get(i))
			require.Equal(t, m.word(i, size), b.Load(i, size))
			require.Equal(t, m.next(from, to), b.Next(from, to))
			count := 0
			for _, v := range m[from:to] {
				if v {
					count++
				}
			}
			require.Equal(t, count, b.Count(from, to))
			require.Equal(t, count > 0, b.Any(from, to))
			require.Equal(t, count == to-from, b.All(from, to))
		}
	}
}

func TestNextVisitsAllBits(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		b, m := random(rnd, 1+rnd.IntN(300))
		var got, want []int
		for i := b.Next(0, len(m)); i < len(m); i = b.Next(i+1, len(m)) {
			got = append(got, i)
		}
		for i, v := range m {
			if v {
				want = append(want, i)
			}
		}
		require.Equal(t, want, got)
	}
}

func TestMask(t *testing.T) {
	for n := range 65 {
		require.Equal(t, model(slices.Repeat([]bool{true}, n)).word(0, n), Mask(n))
	}
	require.Equal(t, ^uint64(0), Mask(64))
}

func TestWords(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 63: 1, 64: 1, 65: 2, 128: 2, 129: 3} {
		require.Equal(t, want, Words(n))
	}
}
