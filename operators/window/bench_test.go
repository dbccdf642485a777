package window

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stride-promql/stride/operators"
)

// BenchmarkFunctions has 15 s samples, a step of 30 s, and windows of 20 or 240 samples; it reports the time per step.
func BenchmarkFunctions(b *testing.B) {
	const steps = 600
	for _, query := range []string{
		"rate(x%s)", "irate(x%s)", "resets(x%s)", "count_over_time(x%s)", "last_over_time(x%s)",
		"sum_over_time(x%s)", "avg_over_time(x%s)", "max_over_time(x%s)", "quantile_over_time(0.9, x%s)", "mad_over_time(x%s)", "stddev_over_time(x%s)", "deriv(x%s)",
	} {
		for _, window := range []string{"5m", "1h"} {
			q := fmt.Sprintf(query, "["+window+"]")
			b.Run(q, func(b *testing.B) {
				rng := rand.New(rand.NewSource(1))
				series := make([]testSample, steps*2+240)
				var v float64
				for i := range series {
					v += rng.Float64()
					if rng.Intn(200) == 0 {
						v = 0
					}
					series[i] = testSample{t: int64(i) * 15000, f: v}
				}
				g := operators.Grid{Start: 240 * 15000, Interval: 30000, Steps: steps}
				e := newEvaluation(b, q, g, metrics[0], series, false)
				w := e.app.NewEvaluator()
				out := operators.NewBatch(0, 1, 0, steps)
				for b.Loop() {
					if _, err := w.Eval(g.All(), e.in, e.metric, nil, out.Column(0)); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/steps, "ns/step")
			})
		}
	}
}
