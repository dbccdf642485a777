package scan_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/scan"
	"github.com/stride-promql/stride/operators/window"
)

// TestSelectBeforeNext binds two selectors of a storage that panics where the second is selected after the first
// was read, as Prometheus' fanout does.
func TestSelectBeforeNext(t *testing.T) {
	for _, chunkAccess := range []bool{true, false} {
		st := randomStore(rand.New(rand.NewPCG(1, 3)), 5, 0, 1000)
		st.panics = true
		s, err := scan.Open(st, 0, 1000, chunkAccess)
		require.NoError(t, err)
		q := &operators.Query{Workers: 1, Lookback: 100}
		grid := operators.Grid{Start: 500, Interval: 1, Steps: 1}
		selector := func() *scan.Selector {
			return &scan.Selector{Storage: s, Uses: []*scan.Use{{Scope: operators.NewScope(1, 1, false)}}}
		}
		f, _ := window.Lookup("count_over_time")
		sources := []operators.Source{
			scan.NewVector(q, selector(), grid, 0, nil, scan.Value),
			scan.NewWindow(q, selector(), &window.Application{Function: f, Spec: window.Spec{Grid: grid, Range: 100}, Query: q}),
		}
		for _, src := range sources {
			src.(scan.Leaf).Announce()
		}
		for _, src := range sources {
			require.NoError(t, src.Bind(t.Context()))
			require.Equal(t, 5, src.Schema().Len())
		}

		lookup := &scan.Lookup{Query: q, Storage: s, Scope: operators.NewScope(1, 1, false)}
		for range 2 {
			matcher := labels.MustNewMatcher(labels.MatchEqual, "i", "x")
			schema, b, err := lookup.Select(t.Context(), storage.SelectHints{Start: 0, End: 1000}, []*labels.Matcher{matcher}, grid, grid.All(), 0, nil)
			require.NoError(t, err)
			require.Zero(t, schema.Len())
			require.Zero(t, b.Rows)
			require.EqualValues(t, 1, st.open.Load())
		}
		require.EqualValues(t, 3, st.ever.Load())
		require.NoError(t, s.Close())
		require.Zero(t, st.open.Load())
	}
}

// TestCommittedLater reads a head to which samples are committed after its querier was opened: between all of
// bind and read, and from a transaction that was open before.
func TestCommittedLater(t *testing.T) {
	for _, samples := range []int{1, 60, 119, 120, 121, 250} {
		for _, histograms := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d,%t", samples, histograms), func(t *testing.T) {
				const series = 12
				st := teststorage.New(t)
				grow := func(app storage.AppenderV2, from, n int) {
					for id := range series {
						l := labels.FromStrings("__name__", "m", "i", fmt.Sprint(id))
						for i := from; i < from+n; i++ {
							var err error
							if histograms {
								_, err = app.Append(0, l, 0, int64(i)*1000, 0, nil, tsdbutil.GenerateTestFloatHistogram(int64(i)), storage.AppendV2Options{})
							} else {
								_, err = app.Append(0, l, 0, int64(i)*1000, float64(i), nil, nil, storage.AppendV2Options{})
							}
							require.NoError(t, err)
						}
					}
				}
				commit := func(app storage.AppenderV2, n int) {
					grow(app, samples, n)
					require.NoError(t, app.Commit())
					samples += n
				}
				app := st.AppenderV2(t.Context())
				grow(app, 0, samples)
				require.NoError(t, app.Commit())
				visible := samples
				early := st.AppenderV2(t.Context())

				s, err := scan.Open(st, math.MinInt64, math.MaxInt64, true)
				require.NoError(t, err)
				defer func() { require.NoError(t, s.Close()) }()
				commit(early, 1)
				commit(st.AppenderV2(t.Context()), 2)

				q := &operators.Query{Workers: 4, MorselRows: 1}
				f, _ := window.Lookup("count_over_time")
				grid := operators.Grid{Start: 10_000_000, Interval: 1000, Steps: 3}
				scope := operators.NewScope(4, 3, false)
				w := scan.NewWindow(q, &scan.Selector{
					Storage:  s,
					Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "m")},
					Hints:    storage.SelectHints{Start: math.MinInt64, End: math.MaxInt64, Step: 1000},
					Uses:     []*scan.Use{{Scope: scope}},
				}, &window.Application{Function: f, Spec: window.Spec{Grid: grid, Range: 20_000_000}, Query: q})
				source := committing{Window: w, commit: func() { commit(st.AppenderV2(t.Context()), 3) }}
				for i, got := range run(t, rand.New(rand.NewPCG(9, 9)), q, source, grid.Steps, scope) {
					for step := range grid.Steps {
						require.EqualValues(t, visible, got[step].f, "series %d, step %d", i, step)
					}
				}
				require.Greater(t, samples, visible+3)
			})
		}
	}
}

// committing commits samples at the start of every step range.
type committing struct {
	*scan.Window
	commit func()
}

func (c committing) Open(r operators.StepRange) error {
	c.commit()
	return c.Window.Open(r)
}
