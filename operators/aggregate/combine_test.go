package aggregate

import (
	"math"
	"math/rand"
	"strconv"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

// Parts put together are what all samples at once are.
func TestCombine(t *testing.T) {
	for _, op := range []parser.ItemType{parser.AVG, parser.STDDEV, parser.STDVAR} {
		for seed := range operatortest.Rounds(100) {
			rnd := rand.New(rand.NewSource(int64(seed)))
			steps := []int{1, 3, 70}[rnd.Intn(3)]
			parts := 1 + rnd.Intn(4)
			scale := []float64{1, 1e9, 1e300, math.MaxFloat64}[rnd.Intn(4)]
			if op != parser.AVG {
				scale = min(scale, 1e9)
			}
			var input []operatortest.Series
			values := make([][][]float64, 2) // group, step
			for g := range values {
				values[g] = make([][]float64, steps)
			}
			for p := range parts {
				for g := range values {
					row := func(part string) operatortest.Series {
						return operatortest.NewSeries(labels.FromStrings("p", strconv.Itoa(p), "g", strconv.Itoa(g), "__part__", part), steps)
					}
					avg, count, stdvar := row("avg"), row("count"), row("stdvar")
					for step := range steps {
						n := rnd.Intn(4)
						if n == 0 {
							continue
						}
						var own []float64
						for range n {
							own = append(own, (rnd.Float64()-0.3)*scale)
						}
						values[g][step] = append(values[g][step], own...)
						mean, variance := moments(own)
						avg.Samples[step] = operatortest.Float(mean)
						count.Samples[step] = operatortest.Float(float64(n))
						stdvar.Samples[step] = operatortest.Float(variance)
					}
					input = append(input, avg, count)
					if op != parser.AVG {
						input = append(input, stdvar)
					}
				}
			}
			got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
				return NewCombine(q, op, in[0], "__part__", []string{"g"}, false, operatortest.Grid(steps), posrange.PositionRange{})
			}, operatortest.Options{Steps: steps, Seed: uint64(seed), Disjoint: true}, operatortest.Input{Series: input})
			require.NoError(t, got.Err)
			seen := 0
			for _, s := range got.Series {
				g, err := strconv.Atoi(s.Labels.Get("g"))
				require.NoError(t, err)
				for step, x := range s.Samples {
					require.Equal(t, len(values[g][step]) > 0, x.Present)
					if !x.Present {
						continue
					}
					seen++
					mean, variance := moments(values[g][step])
					want := map[parser.ItemType]float64{parser.AVG: mean, parser.STDVAR: variance, parser.STDDEV: math.Sqrt(variance)}[op]
					unit := scale
					if op == parser.STDVAR {
						unit *= scale
					}
					require.InDelta(t, want/unit, x.F/unit, 1e-9)
				}
			}
			wanted := 0
			for g := range values {
				for step := range steps {
					if len(values[g][step]) > 0 {
						wanted++
					}
				}
			}
			require.Equal(t, wanted, seen)
		}
	}
}

// combineParts puts together one group's averages and numbers of samples, of one step, in the order given.
func combineParts(t *testing.T, op parser.ItemType, avg, count []operatortest.Sample) operatortest.Result {
	t.Helper()
	var input []operatortest.Series
	for p := range avg {
		for part, x := range map[string]operatortest.Sample{"avg": avg[p], "count": count[p]} {
			s := operatortest.NewSeries(labels.FromStrings("p", strconv.Itoa(p), "__part__", part), 1)
			s.Samples[0] = x
			input = append(input, s)
		}
	}
	got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
		return NewCombine(q, op, in[0], "__part__", nil, false, operatortest.Grid(1), posrange.PositionRange{})
	}, operatortest.Options{Steps: 1, Disjoint: true}, operatortest.Input{Series: input})
	require.NoError(t, got.Err)
	return got
}

// Averages of finite samples are finite, whatever their sum is, and those of others are what the sum says.
func TestCombineOverflow(t *testing.T) {
	float, inf := operatortest.Float, math.Inf(1)
	for _, c := range []struct {
		avg, count []operatortest.Sample
		want       float64
	}{
		{[]operatortest.Sample{float(1.7e308), float(-1.7e308)}, []operatortest.Sample{float(2), float(2)}, 0},
		{[]operatortest.Sample{float(1.7e308), float(1.7e308)}, []operatortest.Sample{float(2), float(6)}, 1.7e308},
		{[]operatortest.Sample{float(-1.7e308), float(1.7e308), float(0)}, []operatortest.Sample{float(3), float(3), float(6)}, 0},
		{[]operatortest.Sample{float(inf), float(-inf)}, []operatortest.Sample{float(1), float(1)}, math.NaN()},
		{[]operatortest.Sample{float(inf), float(1.7e308)}, []operatortest.Sample{float(1), float(2)}, inf},
		{[]operatortest.Sample{float(math.NaN()), float(1.7e308)}, []operatortest.Sample{float(1), float(2)}, math.NaN()},
	} {
		got := combineParts(t, parser.AVG, c.avg, c.count)
		require.Len(t, got.Series, 1)
		switch x := got.Series[0].Samples[0].F; {
		case math.IsNaN(c.want):
			require.True(t, math.IsNaN(x), x)
		case math.IsInf(c.want, 0):
			require.Equal(t, c.want, x)
		default:
			require.InDelta(t, c.want/1e308, x/1e308, 1e-12, "%v", c)
		}
	}
}

// Histograms have an average, and no deviation or variance.
func TestCombineHistograms(t *testing.T) {
	h := operatortest.Histogram(tsdbutil.GenerateTestFloatHistogram(1))
	for op, want := range map[parser.ItemType]int{parser.AVG: 1, parser.STDDEV: 0, parser.STDVAR: 0} {
		got := combineParts(t, op, []operatortest.Sample{h}, []operatortest.Sample{operatortest.Float(1)})
		present := 0
		for _, s := range got.Series {
			if s.Samples[0].Present {
				present++
			}
		}
		require.Equal(t, want, present, parser.ItemTypeStr[op])
	}
}

// moments are the mean and population variance, as they are defined.
func moments(values []float64) (mean, variance float64) {
	for i, v := range values {
		mean += (v - mean) / float64(i+1)
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, variance
}
