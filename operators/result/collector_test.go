package result

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func randomSeries(rnd *rand.Rand, n, steps int) []operatortest.Series {
	series := make([]operatortest.Series, n)
	for i := range series {
		series[i] = operatortest.NewSeries(labels.FromStrings("i", fmt.Sprint(i%5), "j", fmt.Sprint(i)), steps)
		series[i].DropName = rnd.Intn(2) == 0
		kinds := 1 + rnd.Intn(4)
		for k := range steps {
			switch rnd.Intn(kinds) {
			case 1, 2:
				series[i].Samples[k] = operatortest.Float(rnd.NormFloat64())
			case 3:
				series[i].Samples[k] = operatortest.Histogram(&histogram.FloatHistogram{Count: float64(k), ZeroCount: float64(k)})
			}
		}
	}
	return series
}

// present are the series that have samples.
func present(series []operatortest.Series) []operatortest.Series {
	var out []operatortest.Series
	for _, s := range series {
		if !s.Empty() {
			out = append(out, s)
		}
	}
	return out
}

func TestCollector(t *testing.T) {
	for seed := range operatortest.Rounds(150) {
		rnd := rand.New(rand.NewSource(int64(seed)))
		steps := []int{1, 2, 7, 64, 150}[rnd.Intn(5)]
		instant := steps == 1 && rnd.Intn(2) == 0
		series := randomSeries(rnd, rnd.Intn(12), steps)
		grid := operators.Grid{Start: 12_345, Interval: 7000, Steps: steps}
		var last *Collector
		got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
			last = NewCollector(q, in[0], grid, instant)
			return last
		}, operatortest.Options{
			Steps: steps, Seed: uint64(seed), Disjoint: true,
			Output: func(op operators.Operator) []operatortest.Series {
				if c := op.(*Collector); instant {
					return operatortest.Values(c.Vector(), grid)
				}
				return operatortest.Values(op.(*Collector).Matrix(), grid)
			},
		}, operatortest.Input{Series: series})
		require.NoError(t, got.Err)
		require.NoError(t, operatortest.Equal(present(series), got.Series, true))
	}
}

// DropName goes with the result, for the end of the query to act on.
func TestCollectorKeepsDropName(t *testing.T) {
	in := operators.NewSchema()
	in.Append(labels.FromStrings("a", "1"), true)
	in.Append(labels.FromStrings("a", "2"), false)
	b := operators.NewBatch(0, 2, 0, 1)
	b.SetFloat(0, 1)
	b.SetFloat(1, 2)
	for _, instant := range []bool{true, false} {
		c := NewCollector(&operators.Query{}, in, operators.Grid{Start: 5, Interval: 1, Steps: 1}, instant)
		require.NoError(t, c.Open(operators.StepRange{To: 1}))
		require.NoError(t, c.Extend())
		require.NoError(t, c.Prepare(&operators.Worker{}, 0, b))
		if instant {
			require.Equal(t, promql.Vector{
				{Metric: in.Labels(0), T: 5, F: 1, DropName: true}, {Metric: in.Labels(1), T: 5, F: 2},
			}, c.Vector())
		} else {
			require.Equal(t, promql.Matrix{
				{Metric: in.Labels(0), Floats: []promql.FPoint{{T: 5, F: 1}}, DropName: true},
				{Metric: in.Labels(1), Floats: []promql.FPoint{{T: 5, F: 2}}},
			}, c.Matrix())
		}
	}
}

func TestCollectorScalar(t *testing.T) {
	c := NewCollector(&operators.Query{}, operators.ConstantSchema(labels.EmptyLabels()), operators.Grid{Start: 5, Interval: 1, Steps: 1}, true)
	require.NoError(t, c.Open(operators.StepRange{To: 1}))
	require.NoError(t, c.Extend())
	b := operators.NewBatch(0, 1, 0, 1)
	b.SetFloat(0, 2.5)
	require.NoError(t, c.Prepare(&operators.Worker{}, 0, b))
	require.Equal(t, promql.Scalar{T: 5, V: 2.5}, c.Scalar())
}

// The result counts as samples held.
func TestCollectorCountsSamples(t *testing.T) {
	h := &histogram.FloatHistogram{Count: 1, PositiveBuckets: []float64{1}, PositiveSpans: []histogram.Span{{Length: 1}}}
	in := operators.ConstantSchema(labels.EmptyLabels())
	b := operators.NewBatch(0, 1, 0, 3)
	b.SetFloat(0, 2.5)
	b.SetHistogram(2, h)
	want := 1 + operators.HistogramSamples(h)

	q := &operators.Query{MaxSamples: want}
	c := NewCollector(q, in, operators.Grid{Interval: 1, Steps: 3}, false)
	require.NoError(t, c.Extend())
	require.NoError(t, c.Prepare(&operators.Worker{}, 0, b))
	require.Equal(t, want, q.PeakSamples())

	c = NewCollector(&operators.Query{MaxSamples: want - 1}, in, operators.Grid{Interval: 1, Steps: 3}, false)
	require.NoError(t, c.Extend())
	require.ErrorAs(t, c.Prepare(&operators.Worker{}, 0, b), new(promql.ErrTooManySamples))
}
