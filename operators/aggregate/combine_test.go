package aggregate

import (
	"math"
	"math/rand"
	"strconv"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
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
					require.InDelta(t, want/scale, x.F/scale, 1e-9*max(1, scale))
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
