package exchange

import (
	"context"
	"math/rand"
	"slices"
	"strconv"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/schema"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// randomSeries have their samples in runs of steps, so that equal labels do not always meet.
func randomSeries(rnd *rand.Rand, n, steps int) []operatortest.Series {
	series := make([]operatortest.Series, n)
	for i := range series {
		series[i] = operatortest.NewSeries(labels.FromStrings("__name__", "m"+strconv.Itoa(i%2), "g", strconv.Itoa(rnd.Intn(3)), "i", strconv.Itoa(i)), steps)
		from, to := rnd.Intn(steps+1), rnd.Intn(steps+1)
		for k := from; k < to; k++ {
			if rnd.Intn(4) == 0 {
				h := &histogram.FloatHistogram{Count: float64(i), Sum: float64(k), ZeroCount: float64(i), ZeroThreshold: 0.001, CounterResetHint: histogram.GaugeType}
				series[i].Samples[k] = operatortest.Histogram(h)
				continue
			}
			series[i].Samples[k] = operatortest.Float(rnd.NormFloat64())
		}
	}
	return series
}

func TestMerge(t *testing.T) {
	failed, merged, unique := 0, 0, 0
	for seed := range operatortest.Rounds(300) {
		rnd := rand.New(rand.NewSource(int64(seed)))
		steps := []int{2, 5, 70, 130}[rnd.Intn(4)]
		series := randomSeries(rnd, 1+rnd.Intn(5), steps)
		without := func(label string) {
			for i := range series {
				series[i].Labels = labels.NewBuilder(series[i].Labels).Del(label).Labels()
			}
		}
		delayed := seed%2 == 0
		// In one case metadata labels go at the end of the query, in the other a label goes in it.
		query := `label_replace({g!=""}, "i", "", "", "")`
		if delayed {
			query = `last_over_time({g!=""}[1ms]) * 1`
			for i := range series {
				series[i].Labels = labels.NewBuilder(series[i].Labels).Set("__name__", "m"+series[i].Labels.Get("i")).Labels()
			}
			without("i")
		}
		want := operatortest.Prometheus(t, series, operatortest.Query{Text: query, Grid: operatortest.Grid(steps), Delayed: delayed})
		if !delayed {
			without("i")
		}
		for i := range series {
			series[i].DropName = delayed
		}
		got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
			m := NewMerge(q, in[0], delayed, operatortest.Grid(steps))
			if in[0].Complete() {
				require.NoError(t, m.Extend())
				distinct := map[string]struct{}{}
				for i := range in[0].Len() {
					l := in[0].Labels(i)
					if delayed {
						l = l.DropReserved(schema.IsMetadataLabel)
					}
					distinct[l.String()] = struct{}{}
				}
				edge := operators.FoldRows
				if len(distinct) == in[0].Len() {
					edge = operators.Stream
					unique++
				}
				require.Equal(t, edge, m.Takes(0))
			}
			return m
		}, operatortest.Options{Steps: steps, Seed: uint64(seed), Adapts: true}, operatortest.Input{Series: series})
		if want.Err != nil {
			failed++
			require.EqualError(t, got.Err, want.Err.Error())
			continue
		}
		require.NoError(t, got.Err)
		if len(got.Series) < len(series) {
			merged++
		}
		require.NoError(t, operatortest.Equal(want.Series, got.Series, false))
	}
	require.Greater(t, failed, 10)
	require.Greater(t, merged, 10)
	require.Greater(t, unique, 10)
}

// DropName and the place in the output are those of samples, not of series without any.
func TestMergeSettlesDropNameBySteps(t *testing.T) {
	l := labels.FromStrings("a", "b")
	var series []operatortest.Series
	for _, x := range []operatortest.Series{{Labels: l}, {Labels: labels.FromStrings("c", "d")}, {Labels: l}, {Labels: l, DropName: true}} {
		x.Samples = make([]operatortest.Sample, 3)
		series = append(series, x)
	}
	series[1].Samples[0] = operatortest.Float(1)
	series[2].Samples[2] = operatortest.Float(2)
	series[3].Samples[1] = operatortest.Float(3)
	for seed := range uint64(20) {
		got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
			return NewMerge(q, in[0], false, operatortest.Grid(3))
		}, operatortest.Options{Steps: 3, Seed: seed, Adapts: true}, operatortest.Input{Series: series})
		require.NoError(t, got.Err)
		require.Len(t, got.Series, 2)
		require.Equal(t, `{c="d"}`, got.Series[0].Labels.String())
		require.False(t, got.Series[0].DropName)
		require.Equal(t, l, got.Series[1].Labels)
		require.True(t, got.Series[1].DropName)
	}
}

func TestMergeStopsWhenCancelled(t *testing.T) {
	m := NewMerge(&operators.Query{}, operators.ConstantSchema(labels.EmptyLabels(), labels.EmptyLabels()), false, operatortest.Grid(1))
	defer m.Close()
	require.NoError(t, m.Open(operators.StepRange{To: 1}))
	require.NoError(t, m.Extend())
	require.NoError(t, m.Fold(&operators.Worker{}, 0, operators.NewBatch(0, 2, 0, 1), operators.StepRange{To: 1}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, m.Finish(ctx, 0), "canceled")
}

func TestRepeat(t *testing.T) {
	for seed := range operatortest.Rounds(40) {
		rnd := rand.New(rand.NewSource(int64(seed)))
		one := randomSeries(rnd, rnd.Intn(8), 1)
		for _, steps := range []int{1, 2, 63, 130} {
			got := operatortest.Run(t, func(_ *operators.Query, in []*operators.Schema) operators.Operator {
				r := NewRepeat(in[0])
				require.Equal(t, operators.StepRange{To: 1}, r.InputRange(0, operators.StepRange{From: 3, To: 7}))
				return r
			}, operatortest.Options{Steps: steps, Seed: uint64(seed)}, operatortest.Input{Series: one, Steps: 1})
			require.NoError(t, got.Err)
			var want []operatortest.Series
			for _, s := range one {
				if s.Samples[0].Present {
					s.Samples = slices.Repeat(s.Samples, steps)
					want = append(want, s)
				}
			}
			require.NoError(t, operatortest.Equal(want, got.Series, true))
		}
	}
}
