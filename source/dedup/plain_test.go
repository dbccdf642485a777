package dedup

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
)

// Columns of floats alone are merged in runs. They become what they become sample by sample, as which others are merged.
func TestRunsAreSamples(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	random := func() *column {
		c := &column{}
		at, v, interval := r.Int64N(80)*500, 0.0, []int64{1000, 15_000, 15_000, 60_000}[r.IntN(4)]
		for range r.IntN(60) {
			at += interval
			switch r.IntN(12) {
			case 0:
				at += interval * r.Int64N(8)
			case 1:
				at += 500 * r.Int64N(interval/500)
			case 2:
				v = 0
			}
			v += float64(r.IntN(9))
			f := v
			switch r.IntN(30) {
			case 0:
				f = math.NaN()
			case 1:
				f = math.Float64frombits(value.StaleNaN)
			}
			c.t, c.f = append(c.t, at), append(c.f, f)
		}
		return c
	}
	bits := func(c column) (out []uint64) {
		for _, f := range c.f {
			out = append(out, math.Float64bits(f))
		}
		return out
	}
	for range 20_000 {
		a, b := random(), random()
		if r.IntN(4) == 0 && len(a.t) > 0 { // times of both are equal
			b.t = slices.Clone(a.t[:min(len(a.t), len(b.t))])
			b.f = b.f[:len(b.t)]
		}
		for name, merge := range map[string]func(a, b, to *column){
			"penalty":         func(a, b, to *column) { newPenalty(a, b, false).merge(to) },
			"penalty counter": func(a, b, to *column) { newPenalty(a, b, true).merge(to) },
			"interval":        func(a, b, to *column) { newInterval(a, b, false).merge(to) },
			"interval counter": func(a, b, to *column) {
				newInterval(a, b, true).merge(to)
			},
			"chain": func(a, b, to *column) { newChain(a, b).merge(to) },
		} {
			slow := func(c *column) *column { return &column{t: c.t, f: c.f, st: make([]int64, len(c.t))} }
			var want, got column
			merge(slow(a), slow(b), &want)
			merge(a, b, &got)
			require.Equal(t, want.t, got.t, "%s of %v and %v", name, a, b)
			require.Equal(t, bits(want), bits(got), "%s of %v and %v", name, a, b)
		}
	}
}
