package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/efficientgo/core/testutil"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
	"github.com/stride-promql/stride/internal/gendata"
	"github.com/stride-promql/stride/internal/tsdbdir"
)

func TestEnginesOnGeneratedBlocks(t *testing.T) { enginesOnGeneratedBlocks(testutil.NewTB(t)) }

func BenchmarkEngines(b *testing.B) { enginesOnGeneratedBlocks(testutil.NewTB(b)) }

// generatedQueries are the kinds of queries that dashboards and rules are made of.
var generatedQueries = []struct{ name, expr string }{
	{"selector", `http_requests_total`},
	{"rate", `sum by (pod) (rate(http_requests_total[5m]))`},
	{"sum_over_time", `sum by (namespace) (sum_over_time(memory_usage_bytes[1h]))`},
	{"max_over_time", `max_over_time(memory_usage_bytes[1h])`},
	{"quantile", `histogram_quantile(0.9, sum by (le, namespace) (rate(request_duration_seconds_bucket[5m])))`},
	{"native", `histogram_quantile(0.9, sum by (namespace) (rate(rpc_duration_seconds[5m])))`},
	{"topk", `topk(5, sum by (pod) (rate(http_requests_total[5m])))`},
	{"join", `rate(request_duration_seconds_sum[5m]) / rate(request_duration_seconds_count[5m])`},
	{"set", `http_requests_total and on (pod) memory_usage_bytes`},
	{"subquery", `max_over_time(sum by (job) (rate(http_requests_total[5m]))[30m:1m])`},
}

// enginesOnGeneratedBlocks runs queries on Prometheus' engine and on Stride over the same blocks. A test compares
// the answers, a benchmark the time.
func enginesOnGeneratedBlocks(tb testutil.TB) {
	p := gendata.DefaultProfile(time.Unix(1700006400, 0))
	p.Series, p.Duration = 300, 2*time.Hour
	if tb.IsBenchmark() {
		p.Series = 2000
	}
	dir := tb.TempDir()
	_, err := gendata.Generate(context.Background(), dir, p, nil)
	require.NoError(tb, err)
	db, err := tsdbdir.Open(dir)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, db.Close()) }()

	opts := promql.EngineOpts{
		MaxSamples:           1e9,
		Timeout:              time.Minute,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		Parser:               parser.NewParser(parser.Options{}),
	}
	engines := []struct {
		name string
		promql.QueryEngine
	}{
		{"prometheus", promql.NewEngine(opts)},
		{"stride-1", engine.New(engine.Opts{EngineOpts: opts, Workers: 1})},
		{"stride", engine.New(engine.Opts{EngineOpts: opts})},
	}
	end := time.UnixMilli(db.MaxTime())
	for _, times := range []difftest.Times{
		{Start: end.Add(-100 * time.Minute).UnixMilli(), End: end.UnixMilli(), Step: 30_000},
		{Start: end.UnixMilli(), End: end.UnixMilli(), Instant: true},
	} {
		for _, q := range generatedQueries {
			expr, err := opts.Parser.ParseExpr(q.expr)
			require.NoError(tb, err)
			kind := "/range/"
			if times.Instant {
				kind = "/instant/"
			}
			c := difftest.Case{Query: q.expr, Times: times}
			compare := difftest.NewComparer(expr, times, difftest.DefaultTolerance, false)
			var want *difftest.Outcome
			for _, e := range engines {
				tb.Run(q.name+kind+e.name, func(tb testutil.TB) {
					for range tb.N() {
						got := c.Run(context.Background(), e, db)
						require.NoError(tb, got.Err)
						if want == nil {
							want = got
						}
						if !tb.IsBenchmark() {
							require.Nil(tb, compare.Compare(want, got))
						}
						got.Close()
					}
				})
			}
		}
	}
}
