package binary

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

// benchmarkInput is the batches of n series with samples at all steps.
func benchmarkInput(name string, n, steps int) (*operators.Schema, []*operators.Batch) {
	s := operators.NewSchema()
	var batches []*operators.Batch
	size := (&operators.Query{}).MorselSize(steps)
	for first := 0; first < n; first += size {
		b := operators.NewBatch(first, min(size, n-first), 0, steps)
		for i := range b.F {
			b.F[i] = float64(i % 100)
		}
		b.Valid.SetRange(0, len(b.F))
		b.Shared = true
		batches = append(batches, b)
	}
	for i := range n {
		s.Append(labels.FromStrings("__name__", name, "job", "api", "pod", fmt.Sprint("pod-", i)), false)
	}
	s.SetComplete()
	return s, batches
}

func BenchmarkVectorVector(b *testing.B) {
	for _, steps := range []int{1, 600} {
		for _, op := range []parser.ItemType{parser.MUL, parser.GTR} {
			b.Run(fmt.Sprintf("%s/steps=%d", op, steps), func(b *testing.B) {
				const n = 5000
				grid := operatortest.Grid(steps)
				l, left := benchmarkInput("l", n, steps)
				r, right := benchmarkInput("r", n, steps)
				w := &operators.Worker{}
				for b.Loop() {
					q := &operators.Query{Workers: 1}
					v := NewVectorVector(q, op, l, r, &parser.VectorMatching{}, false, grid, grid.Steps > 1, posrange.PositionRange{})
					must(b, v.Open(grid.All()))
					must(b, v.Extend())
					for i, batches := range [][]*operators.Batch{left, right} {
						for _, batch := range batches {
							must(b, v.Fold(w, i, batch, operators.StepRange{To: steps}))
						}
						must(b, v.Finish(context.Background(), i))
					}
					for m := range v.Morsels() {
						out, err := v.Read(w, m)
						must(b, err)
						w.Release(out)
					}
					v.Close()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*steps), "ns/sample")
			})
		}
	}
}

func BenchmarkVectorScalar(b *testing.B) {
	for _, op := range []parser.ItemType{parser.MUL, parser.GTR} {
		b.Run(op.String(), func(b *testing.B) {
			const n, steps = 1000, 600
			s, batches := benchmarkInput("l", n, steps)
			w := &operators.Worker{}
			v := NewVectorScalar(&operators.Query{Workers: 1}, op, s, operators.ConstantScalar(2), false, false, posrange.PositionRange{})
			must(b, v.Open(operators.StepRange{To: steps}))
			for b.Loop() {
				for _, batch := range batches {
					out, err := v.Process(w, batch)
					must(b, err)
					w.Release(out)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*steps), "ns/sample")
		})
	}
}

func must(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}
