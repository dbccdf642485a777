package scan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators/scan"
	"github.com/stride-promql/stride/operators/window"
)

func TestWindowEqualsBruteForce(t *testing.T) {
	const start, span = 1_000_000, 100_000
	seen := 0
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			st := randomStore(r, r.IntN(12), start, span)
			l, done := randomLayout(t, r, st, start, span)
			defer done()
			name := []string{"count_over_time", "last_over_time", "present_over_time"}[r.IntN(3)]
			f, ok := window.Lookup(name)
			require.True(t, ok)
			spec := window.Spec{Grid: l.grid, Range: 1 + r.Int64N(span/2), Offset: l.offset, Fixed: l.at != nil}
			w := scan.NewWindow(l.q, l.sel, &window.Application{Function: f, Spec: spec, Query: l.q})
			got := run(t, r, l.q, w, l.grid.Steps, l.scope)

			require.Len(t, got, len(st.labels))
			total, read := make([]int64, l.grid.Steps), make([]int64, l.grid.Steps)
			for i, samples := range st.samples {
				for step := range l.grid.Steps {
					hi := l.grid.Time(step) - l.offset
					if spec.Fixed {
						hi = l.grid.Start - l.offset
					}
					n := 0
					var last sample
					for _, p := range samples {
						if p.t <= hi-spec.Range || p.t > hi || p.stale() {
							continue
						}
						n++
						last = p
						total[step] += p.size()
						if step == 0 || !spec.Fixed && p.t > hi-l.grid.Interval {
							read[step] += p.size()
						}
					}
					p, ok := got[i][step]
					require.Equal(t, n > 0, ok, "series %d, step %d", i, step)
					if !ok {
						continue
					}
					seen++
					switch name {
					case "count_over_time":
						require.EqualValues(t, n, p.f)
					case "present_over_time":
						require.EqualValues(t, 1, p.f)
					default:
						require.Equal(t, last.f, p.f)
						require.Equal(t, last.h == nil, p.h == nil)
						if p.h != nil {
							require.True(t, last.h.Equals(p.h))
						}
					}
				}
			}
			l.requireCounts(t, total, read, len(st.labels))
		})
	}
	require.Greater(t, seen, 10_000)
}
