package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/efficientgo/core/testutil"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/gendata"
	"github.com/stride-promql/stride/internal/tsdbdir"
)

func TestAllocations(t *testing.T) { allocations(testutil.NewTB(t)) }

func BenchmarkAllocations(b *testing.B) { allocations(testutil.NewTB(b)) }

// allocations runs queries over few steps and over ten times as many. Nothing is allocated for a sample or a step, so the number of
// allocations may grow by what a series' larger columns and results take, and not with the steps.
func allocations(tb testutil.TB) {
	p := gendata.DefaultProfile(time.Unix(1700006400, 0))
	p.Series, p.Duration, p.PodLifetime = 400, 2*time.Hour, 0
	dir := tb.TempDir()
	sum, err := gendata.Generate(context.Background(), dir, p, nil)
	require.NoError(tb, err)
	db, err := tsdbdir.Open(dir)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, db.Close()) }()
	end := time.UnixMilli(db.MaxTime())
	opts := baseOpts()
	opts.Workers = 1 // no goroutines come and go
	e := engine.New(opts)
	for _, query := range []string{
		`http_requests_total`,
		`sum by (pod) (rate(http_requests_total[5m]))`,
		`max_over_time(memory_usage_bytes[30m])`,
		`quantile_over_time(0.9, memory_usage_bytes[30m])`,
		`stddev_over_time(memory_usage_bytes[5m])`,
		`avg by (namespace) (memory_usage_bytes * 2 > 0)`,
		`rate(request_duration_seconds_sum[5m]) / rate(request_duration_seconds_count[5m])`,
		`histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket[5m])))`,
	} {
		run := func(step time.Duration) {
			q, err := e.NewRangeQuery(context.Background(), db, nil, query, end.Add(-time.Hour), end, step)
			require.NoError(tb, err)
			require.NoError(tb, q.Exec(context.Background()).Err)
			q.Close()
		}
		tb.Run(query, func(tb testutil.TB) {
			if tb.IsBenchmark() {
				for range tb.N() {
					run(10 * time.Second)
				}
				return
			}
			few := testing.AllocsPerRun(5, func() { run(100 * time.Second) })
			many := testing.AllocsPerRun(5, func() { run(10 * time.Second) })
			require.Less(tb, many, few+2*float64(sum.Series), "%v allocations over 37 steps, %v over 361", few, many)
			require.Less(tb, many, 60*float64(sum.Series), "allocations for each series")
		})
	}
}
