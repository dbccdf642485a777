package remote

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

// Set operations on intervals are those on sets of times.
func TestIntervals(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	const times = 40
	some := func() (Intervals, map[int64]bool) {
		var in []Interval
		set := map[int64]bool{}
		for range rng.Intn(4) {
			i := Interval{Start: int64(rng.Intn(times)), End: int64(rng.Intn(times))}
			in = append(in, i)
			for x := i.Start; x <= i.End; x++ {
				set[x] = true
			}
		}
		return Union(in...), set
	}
	for range 3000 {
		a, as := some()
		b, bs := some()
		union, without := a.Union(b), a.Without(b)
		for x := int64(-1); x <= times; x++ {
			at := Interval{x, x}
			require.Equal(t, as[x], a.Meets(at))
			require.Equal(t, as[x] || bs[x], union.Meets(at))
			require.Equal(t, as[x] && !bs[x], without.Meets(at))
		}
		for _, s := range []Intervals{a, union, without} {
			for i := range s {
				require.False(t, s[i].Empty())
				require.True(t, i == 0 || s[i-1].End+1 < s[i].Start, "%v", s)
			}
		}
		i := Interval{int64(rng.Intn(times)), int64(rng.Intn(times))}
		all := true
		for x := i.Start; x <= i.End; x++ {
			all = all && as[x]
		}
		require.Equal(t, all, a.Contains(i), "%v %v", a, i)
	}
	require.Equal(t, Intervals{{Always.Start, -1}, {11, Always.End}}, Intervals{Always}.Without(Intervals{{0, 10}}))
	require.Equal(t, Intervals{Always}, Union(Interval{Always.Start, 5}, Interval{3, Always.End}))
}
