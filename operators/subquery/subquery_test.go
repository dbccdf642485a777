package subquery

import (
	"fmt"
	"math"
	"math/rand"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
	"github.com/stride-promql/stride/operators/window"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func randomSeries(rnd *rand.Rand, n, steps int) []operatortest.Series {
	series := make([]operatortest.Series, n)
	for i := range series {
		series[i] = operatortest.NewSeries(labels.FromStrings("__name__", "m_total", "i", strconv.Itoa(i)), steps)
		histograms, total := rnd.Intn(3) == 0, 0.0
		for k := range steps {
			// Whole numbers, so that sums do not depend on where they begin.
			switch total += float64(rnd.Intn(4)); {
			case rnd.Intn(5) == 0:
			case rnd.Intn(12) == 0:
				total = 0
			case histograms && rnd.Intn(3) == 0:
				series[i].Samples[k] = operatortest.Histogram(&histogram.FloatHistogram{
					CounterResetHint: histogram.CounterResetHint(rnd.Intn(4)), Schema: 1, Count: total, Sum: total * 2,
					PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []float64{total},
				})
			default:
				series[i].Samples[k] = operatortest.Float(total)
			}
		}
	}
	return series
}

// expressions stand around the subquery m%s.
var expressions = []string{
	"rate(m_total%s)", "increase(m_total%s)", "delta(m_total%s)", "irate(m_total%s)", "changes(m_total%s)", "resets(m_total%s)",
	"count_over_time(m_total%s)", "sum_over_time(m_total%s)", "max_over_time(m_total%s)", "min_over_time(m_total%s)",
	"last_over_time(m_total%s)", "first_over_time(m_total%s)", "ts_of_last_over_time(m_total%s)", "present_over_time(m_total%s)",
	"quantile_over_time(0.5, m_total%s)", "quantile_over_time((time() / 60) %% 2, m_total%s)", "predict_linear(m_total%s, 60)",
}

func TestWindowAgainstPrometheus(t *testing.T) {
	samples, annotated := 0, 0
	for seed := range operatortest.Rounds(400) {
		rnd := rand.New(rand.NewSource(int64(seed)))
		series := randomSeries(rnd, 1+rnd.Intn(8), 60)
		outer := operators.Grid{Start: operatortest.Interval * int64(rnd.Intn(20)), Interval: operatortest.Interval * int64(1+rnd.Intn(4)), Steps: 1 + rnd.Intn(9)}
		inner := operators.Grid{Interval: []int64{20_000, 60_000, 90_000, 600_000}[rnd.Intn(4)]}
		inner = operators.NewGrid(0, outer.End(), inner.Interval)
		length := time.Duration(1+rnd.Intn(900)) * time.Second
		offset := time.Duration(rnd.Intn(300)) * time.Second
		delayed := rnd.Intn(2) == 0
		query := fmt.Sprintf(expressions[rnd.Intn(len(expressions))],
			fmt.Sprintf("[%s:%s] offset %s", length, time.Duration(inner.Interval)*time.Millisecond, offset))
		expr, err := operatortest.Parser.ParseExpr(query)
		require.NoError(t, err, query)
		call := expr.(*parser.Call)
		inputs := []operatortest.Input{{
			Series: operatortest.Prometheus(t, series, operatortest.Query{Text: "m_total", Grid: inner, Delayed: delayed}).Series, Steps: inner.Steps,
		}}
		// The parameters of the function: constants, or values by step.
		var params []func() *operators.Scalar
		for _, a := range call.Args {
			switch a := a.(type) {
			case *parser.SubqueryExpr:
			case *parser.NumberLiteral:
				params = append(params, func() *operators.Scalar { return operators.ConstantScalar(a.Val) })
			default:
				params = append(params, operators.FoldedScalar)
				in := operatortest.Input{Scalar: true}
				in.Series = operatortest.Prometheus(t, series, operatortest.Query{Text: a.String(), Grid: outer}).Series
				inputs = append(inputs, in)
			}
		}
		f, ok := window.Lookup(call.Func.Name)
		require.True(t, ok)
		got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
			app := &window.Application{
				Function: f, Query: q,
				Spec: window.Spec{Grid: outer, Range: length.Milliseconds(), Offset: offset.Milliseconds()},
			}
			// Prometheus has replaced the subquery by a selector without a position when it annotates.
			at := make([]posrange.PositionRange, max(2, len(call.Args)))
			for i, a := range call.Args {
				if _, ok := a.(*parser.SubqueryExpr); !ok {
					at[i] = a.PositionRange()
				}
			}
			pos := window.Positions{First: at[0], Second: at[1], All: posrange.PositionRange{Start: at[0].Start, End: at[len(call.Args)-1].End}}
			for _, p := range params {
				app.Params = append(app.Params, p())
			}
			return NewWindow(q, in[0], inner, app, pos)
		}, operatortest.Options{
			Steps: outer.Steps, Seed: uint64(seed), Setup: func(q *operators.Query) { q.DelayedNameRemoval = delayed },
		}, inputs...)
		want := operatortest.Prometheus(t, series, operatortest.Query{Text: query, Grid: outer, Delayed: delayed})
		require.NoError(t, want.Err, query)
		require.NoError(t, got.Err, query)
		if delayed {
			got.Series, err = operatortest.DropNames(got.Series)
			require.NoError(t, err)
		}
		require.NoError(t, operatortest.Equal(want.Series, got.Series, false), query)
		require.Equal(t, want.Strings(query), got.Strings(query), query)
		samples += want.Samples()
		annotated += len(want.Annotations)
	}
	require.NotZero(t, samples)
	require.NotZero(t, annotated)
}

// Results of the inner query that are staleness markers are no samples, of either kind.
func TestWindowSkipsStaleMarkers(t *testing.T) {
	stale := math.Float64frombits(value.StaleNaN)
	s := operatortest.NewSeries(labels.FromStrings("a", "b"), 4)
	s.Samples[0] = operatortest.Float(1)
	s.Samples[1] = operatortest.Float(stale)
	s.Samples[2] = operatortest.Histogram(&histogram.FloatHistogram{Sum: stale})
	s.Samples[3] = operatortest.Histogram(&histogram.FloatHistogram{Sum: 1})
	f, _ := window.Lookup("count_over_time")
	inner := operators.Grid{Interval: 1000, Steps: 4}
	got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
		return NewWindow(q, in[0], inner, &window.Application{Function: f, Query: q, Spec: window.Spec{Grid: inner, Range: 4000}}, window.Positions{})
	}, operatortest.Options{Steps: 4}, operatortest.Input{Series: []operatortest.Series{s}})
	require.NoError(t, got.Err)
	for k, want := range []float64{1, 1, 1, 2} {
		require.Equal(t, want, got.Series[0].Samples[k].F)
	}
}

func TestInputRange(t *testing.T) {
	f, _ := window.Lookup("count_over_time")
	inner := operators.Grid{Start: 0, Interval: 10, Steps: 20}  // 0 to 190
	outer := operators.Grid{Start: 100, Interval: 30, Steps: 5} // 100 to 220
	w := NewWindow(&operators.Query{}, operators.NewSchema(), inner, &window.Application{Function: f, Spec: window.Spec{Grid: outer, Range: 25, Offset: 5}}, window.Positions{})
	for _, c := range []struct{ outer, inner operators.StepRange }{
		{operators.StepRange{From: 0, To: 1}, operators.StepRange{From: 8, To: 10}},  // (70, 95]
		{operators.StepRange{From: 1, To: 3}, operators.StepRange{From: 11, To: 16}}, // (100, 155]
		{operators.StepRange{From: 4, To: 5}, operators.StepRange{From: 20, To: 20}}, // (190, 215]
		{operators.StepRange{From: 2, To: 2}, operators.StepRange{}},
	} {
		got := w.InputRange(0, c.outer)
		require.Equal(t, c.inner.Len(), got.Len(), "%v", c.outer)
		if c.inner.Len() > 0 {
			require.Equal(t, c.inner, got)
		}
		require.Equal(t, c.outer, w.InputRange(1, c.outer))
	}
}
