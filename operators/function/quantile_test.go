package function

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

// buckets adds classic histograms of which not all is well, and native ones with the same labels.
func (w *world) buckets(name string) {
	for i := range 4 {
		for _, le := range []string{"-1", "0.1", "0.10", "1", "2.5", "10", "+Inf", "NaN", "much"} {
			w.add(func(k int) any {
				if i == 3 && le == "+Inf" {
					return w.hole(2, 100.0)
				}
				v := math.Floor(w.rnd.Float64()*3) + float64(len(le)+k)
				if w.rnd.IntN(40) == 0 {
					v = 0
				}
				return w.hole(15, v)
			}, "__name__", name, "le", le, "i", fmt.Sprint(i))
		}
		w.add(func(k int) any {
			switch w.rnd.IntN(5) {
			case 0, 1:
				return w.anyHistogram(k)
			case 2:
				return w.anyFloat(k)
			}
			return nil
		}, "__name__", name, "i", fmt.Sprint(i))
		w.add(w.anyMix, "__name__", name, "i", fmt.Sprint(i), "le", "0.5")
	}
	w.add(w.anyHistogram, "__name__", name, "i", "native")
}

var quantileArgs = []string{"0", "0.5", "0.999", "1", "-1", "1.5", "NaN", "scalar(unit)", "scalar(single) / 10"}

func TestHistogramQuantile(t *testing.T) {
	for seed := range uint64(2) {
		w := newWorld(t, seed)
		w.gauges()
		w.buckets("b")
		w.buckets("c")
		for _, q := range quantileArgs {
			w.compare(false, `histogram_quantile(`+q+`, b)`, `histogram_quantile(`+q+`, {__name__=~"b|c", i="1", le!="much"})`,
				`histogram_quantile(`+q+`, b{i="native"})`, `histogram_quantile(`+q+`, b{le="",i="1"} and mixed)`)
		}
	}
}

func TestHistogramQuantiles(t *testing.T) {
	w := newWorld(t, 3)
	w.gauges()
	w.buckets("b")
	w.buckets("c")
	for _, qs := range []string{"0.5", "0.5, 0.9, 0.1", "0, 1", "0.25, 0.25", "NaN, 2, 0.5", "scalar(unit), 0.5", "0.5, scalar(single) / 10, scalar(unit)", "0.000001, -0.0, 0"} {
		w.compare(false, `histogram_quantiles(b, "q", `+qs+`)`, `histogram_quantiles({__name__=~"b|c", i=~"0|3"}, "q", `+qs+`)`,
			`histogram_quantiles(b{le=~".+"}, "i", `+qs+`)`, `histogram_quantiles(b{i="1"}, "__name__", `+qs+`)`)
	}
	w.compare(true, `histogram_quantiles(native, "q", 0.9, 0.1)`)
}

func TestHistogramFraction(t *testing.T) {
	w := newWorld(t, 4)
	w.gauges()
	w.buckets("b")
	for _, lower := range []string{"-Inf", "0", "0.2", "NaN", "scalar(unit)"} {
		for _, upper := range []string{"0", "3", "Inf", "NaN", "scalar(single) / 10"} {
			w.compare(false, `histogram_fraction(`+lower+`, `+upper+`, b)`, `histogram_fraction(`+lower+`, `+upper+`, b{le!~"much|NaN|", i="1"})`)
		}
	}
}

// Prometheus counts forced samples wrongly in range queries; this is the true number.
func TestForcedMonotonicityCount(t *testing.T) {
	const steps = 5
	var in operatortest.Input
	for le, v := range map[string]float64{"1": 5, "2": 3, "+Inf": 6} {
		in.Series = append(in.Series, operatortest.Series{
			Labels:  labels.FromStrings("__name__", "b", "le", le),
			Samples: slices.Repeat([]operatortest.Sample{operatortest.Float(v)}, steps),
		})
	}
	res := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
		return NewHistogramQuantile(q, in[0], operators.ConstantScalar(0.5), operatortest.Grid(steps), posrange.PositionRange{}, posrange.PositionRange{})
	}, operatortest.Options{Steps: steps, Shapes: 20}, in)
	require.NoError(t, res.Err)
	require.Len(t, res.Annotations, 1)
	require.Contains(t, res.Strings("x")[0], "over 5 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:04:00Z")
}

func BenchmarkHistogramQuantile(b *testing.B) {
	const groups, steps = 50, 240
	q := &operators.Query{Workers: 1}
	in := operators.NewSchema()
	batch := operators.NewBatch(0, groups*12, 0, steps)
	for g := range groups {
		for k := range 12 {
			le := fmt.Sprint(math.Pow(2, float64(k)))
			if k == 11 {
				le = "+Inf"
			}
			row := in.Append(labels.FromStrings("__name__", "b", "g", fmt.Sprint(g), "le", le), false)
			for i := range steps {
				batch.SetFloat(batch.Pos(row, i), float64(k*i))
			}
		}
	}
	in.SetComplete()
	batch.Shared = true
	grid := operators.Grid{Interval: 1000, Steps: steps}
	op := NewHistogramQuantile(q, in, operators.ConstantScalar(0.9), grid, posrange.PositionRange{}, posrange.PositionRange{})
	w := &operators.Worker{}
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, op.Open(grid.All()))
		require.NoError(b, op.Extend())
		require.NoError(b, op.Fold(w, 0, batch, grid.All()))
		require.NoError(b, op.Finish(context.Background(), 0))
		for m := range op.Morsels() {
			out, err := op.Read(w, m)
			require.NoError(b, err)
			w.Release(out)
		}
	}
}
