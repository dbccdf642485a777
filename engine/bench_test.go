package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/gendata"
	"github.com/stride-promql/stride/internal/tsdbdir"
)

// BenchmarkEngines times Stride and Prometheus' engine on the same generated blocks.
func BenchmarkEngines(b *testing.B) {
	p := gendata.DefaultProfile(time.Unix(1700006400, 0))
	p.Series = 2000
	p.Duration = 2 * time.Hour
	dir := b.TempDir()
	_, err := gendata.Generate(context.Background(), dir, p, nil)
	require.NoError(b, err)
	db, err := tsdbdir.Open(dir)
	require.NoError(b, err)
	defer func() { require.NoError(b, db.Close()) }()

	opts := promql.EngineOpts{
		MaxSamples:           1e9,
		Timeout:              time.Minute,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		Parser:               parser.NewParser(parser.Options{EnableExperimentalFunctions: true}),
	}
	engines := []struct {
		name string
		promql.QueryEngine
	}{
		{"prometheus", promql.NewEngine(opts)},
		{"stride-1", engine.New(engine.Opts{EngineOpts: opts, Workers: 1})},
		{"stride", engine.New(engine.Opts{EngineOpts: opts})},
	}
	start, end := time.UnixMilli(db.MaxTime()).Add(-100*time.Minute), time.UnixMilli(db.MaxTime())
	for _, q := range []struct{ name, expr string }{
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
	} {
		for _, e := range engines {
			b.Run(q.name+"/range/"+e.name, func(b *testing.B) {
				for b.Loop() {
					qry, err := e.NewRangeQuery(context.Background(), db, nil, q.expr, start, end, 30*time.Second)
					require.NoError(b, err)
					require.NoError(b, qry.Exec(context.Background()).Err)
					qry.Close()
				}
			})
		}
		for _, e := range engines {
			b.Run(q.name+"/instant/"+e.name, func(b *testing.B) {
				for b.Loop() {
					qry, err := e.NewInstantQuery(context.Background(), db, nil, q.expr, end)
					require.NoError(b, err)
					require.NoError(b, qry.Exec(context.Background()).Err)
					qry.Close()
				}
			})
		}
	}
}
