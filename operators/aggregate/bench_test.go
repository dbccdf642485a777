package aggregate

import (
	"context"
	"math/rand"
	"strconv"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

// benchmarkFold folds series x steps floats into groups; batches are made once.
func benchmarkFold(b *testing.B, series, steps, groups int, build func(q *operators.Query, in *operators.Schema, grid operators.Grid) operators.Operator) {
	q := &operators.Query{Workers: 1}
	in := operators.NewSchema()
	for i := range series {
		in.Append(labels.FromStrings("__name__", "m", "g", strconv.Itoa(i*7%groups), "i", strconv.Itoa(i)), false)
	}
	in.SetComplete()
	rnd := rand.New(rand.NewSource(1))
	var batches []*operators.Batch
	size := q.MorselSize(steps)
	for first := 0; first < series; first += size {
		batch := operators.NewBatch(first, min(size, series-first), 0, steps)
		batch.Shared = true
		for p := range batch.F {
			batch.SetFloat(p, rnd.NormFloat64())
		}
		batches = append(batches, batch)
	}
	op := build(q, in, operatortest.Grid(steps))
	defer op.Close()
	w := &operators.Worker{}
	// The groups of series are resolved once, which BenchmarkGrouping measures.
	if err := op.Extend(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := op.Open(operators.StepRange{To: steps}); err != nil {
			b.Fatal(err)
		}
		if err := op.Extend(); err != nil {
			b.Fatal(err)
		}
		for _, batch := range batches {
			if err := op.(operators.Sink).Fold(w, 0, batch, operators.StepRange{To: steps}); err != nil {
				b.Fatal(err)
			}
		}
		if err := op.(operators.Sink).Finish(context.Background(), 0); err != nil {
			b.Fatal(err)
		}
		src := op.(operators.Source)
		for m := range src.Morsels() {
			batch, err := src.Read(w, m)
			if err != nil {
				b.Fatal(err)
			}
			w.Release(batch)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(series*steps), "ns/point")
}

func BenchmarkFold(b *testing.B) {
	var pos posrange.PositionRange
	ops := map[string]func(q *operators.Query, in *operators.Schema, grid operators.Grid) operators.Operator{}
	for _, op := range []parser.ItemType{parser.SUM, parser.AVG, parser.COUNT, parser.MAX, parser.STDDEV} {
		ops[op.String()] = func(q *operators.Query, in *operators.Schema, grid operators.Grid) operators.Operator {
			return NewAccumulate(q, op, in, []string{"g"}, false, grid, pos)
		}
	}
	ops["topk"] = func(q *operators.Query, in *operators.Schema, grid operators.Grid) operators.Operator {
		return NewPick(q, parser.TOPK, in, operators.ConstantScalar(5), []string{"g"}, false, grid, pos, pos)
	}
	ops["quantile"] = func(q *operators.Query, in *operators.Schema, grid operators.Grid) operators.Operator {
		return NewQuantile(q, in, operators.ConstantScalar(0.9), []string{"g"}, false, grid, pos, pos)
	}
	for name, build := range ops {
		b.Run(name+"/1000x600", func(b *testing.B) { benchmarkFold(b, 1000, 600, 10, build) })
		b.Run(name+"/1Mx1", func(b *testing.B) { benchmarkFold(b, 1_000_000, 1, 1000, build) })
	}
}

func BenchmarkGrouping(b *testing.B) {
	const series = 100_000
	in := operators.NewSchema()
	for i := range series {
		in.Append(labels.FromStrings("__name__", "m", "g", strconv.Itoa(i%1000), "i", strconv.Itoa(i), "job", "some job"), false)
	}
	for _, without := range []bool{false, true} {
		b.Run(describe([]string{"g"}, without), func(b *testing.B) {
			for b.Loop() {
				newGrouping(in, []string{"g"}, without).extend()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/series, "ns/series")
		})
	}
}
