package scan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators/scan"
)

func TestVectorEqualsBruteForce(t *testing.T) {
	const start, span = 1_000_000, 100_000
	seen := 0
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			st := randomStore(r, r.IntN(12), start, span)
			l, done := randomLayout(t, r, st, start, span)
			defer done()
			kind := []scan.Kind{scan.Value, scan.Value, scan.Timestamp}[r.IntN(3)]
			v := scan.NewVector(l.q, l.sel, l.grid, l.offset, l.at, kind)
			got := run(t, r, l.q, v, l.grid.Steps, l.scope)

			require.Len(t, got, len(st.labels))
			counts := make([]int64, l.grid.Steps)
			for i, samples := range st.samples {
				require.Equal(t, st.labels[i].Get("i"), v.Schema().Labels(i).Get("i"))
				for step := range l.grid.Steps {
					ref := l.grid.Time(step) - l.offset
					if l.at != nil {
						ref = *l.at - l.offset
					}
					var newest *sample
					for k := range samples {
						if p := &samples[k]; p.t <= ref && p.t > ref-l.q.Lookback {
							newest = p
						}
					}
					p, ok := got[i][step]
					if newest == nil || newest.stale() {
						require.False(t, ok, "series %d, step %d", i, step)
						continue
					}
					require.True(t, ok, "series %d, step %d", i, step)
					seen++
					if kind == scan.Timestamp {
						require.Equal(t, float64(newest.t)/1000, p.f)
						counts[step]++
						continue
					}
					counts[step] += newest.size()
					require.Equal(t, newest.f, p.f)
					require.Equal(t, newest.h == nil, p.h == nil)
					if p.h != nil {
						require.True(t, newest.h.Equals(p.h))
					}
				}
			}
			l.requireCounts(t, counts, counts, len(st.labels))
		})
	}
	require.Greater(t, seen, 10_000)
}
