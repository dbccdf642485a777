package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/e2e/observe"
	"github.com/stride-promql/stride/e2e/oracle"
)

// downsampledQueries read every aggregate, alone and beside others, and what none of them is for.
var downsampledQueries = []string{
	`http_requests_total`, `cpu_utilization_ratio`, `up`,
	`sum_over_time(cpu_utilization_ratio[1h])`, `count_over_time(cpu_utilization_ratio[1h])`, `avg_over_time(cpu_utilization_ratio[1h])`,
	`min_over_time(cpu_utilization_ratio[1h])`, `max_over_time(cpu_utilization_ratio[1h])`, `last_over_time(queue_length[20m])`,
	`min(cpu_utilization_ratio)`, `max by (instance) (cpu_utilization_ratio)`, `sum(cpu_utilization_ratio)`, `avg(memory_usage_bytes)`, `count(http_requests_total)`,
	`rate(http_requests_total[30m])`, `increase(http_requests_total[1h])`, `irate(http_requests_total[15m])`, `sum by (job) (rate(http_requests_total[20m]))`,
	`delta(temperature_celsius[1h])`, `deriv(temperature_celsius[1h])`, `changes(queue_length[1h])`, `quantile_over_time(0.9, queue_length[2h])`,
	`sum_over_time(cpu_utilization_ratio[1h]) / count_over_time(cpu_utilization_ratio[1h])`,
	`max_over_time(cpu_utilization_ratio[1h]) - min_over_time(cpu_utilization_ratio[1h])`,
	`cpu_utilization_ratio - min_over_time(cpu_utilization_ratio[10m])`,
	`rate(http_requests_total[5m])`, // two windows do not fit into the range
	`max_over_time(rate(http_requests_total[20m])[2h:10m])`, `avg_over_time(cpu_utilization_ratio[1h] offset 3h)`, `cpu_utilization_ratio @ 1767400000`,
	`histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket[30m])))`,
	// Buckets of an average are not compared: Thanos divides them in the memory of the iterator that the next ones are read from.
	`histogram_count(rpc_duration_seconds)`, `histogram_sum(rpc_duration_seconds)`, `count_over_time(rpc_duration_seconds[1h])`, `rate(rpc_duration_seconds[30m])`, `sum(increase(rpc_duration_seconds[1h]))`,
	`histogram_quantile(0.5, rate(rpc_duration_seconds[30m]))`, `histogram_avg(sum_over_time(rpc_duration_seconds[1h]))`,
}

// Stride nodes read downsampled blocks of a bucket, beside younger ones that are not, as a Thanos querier does.
func TestDownsampled(t *testing.T) {
	end := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	bucket, resolution := downsampledBucket(t, end)
	store := storeGateway(t, bucket)
	thanos := thanosQuery(t, []string{store.grpc})
	nodes := map[string]*node{
		"distributed":      stride(t, "--endpoint="+store.grpc, "--query.replica-label=replica"),
		"local":            stride(t, "--endpoint="+store.grpc, "--query.mode=local", "--query.replica-label=replica"),
		"two stores":       stride(t, "--endpoint="+store.grpc, "--endpoint="+storeGateway(t, bucket).grpc, "--query.replica-label=replica"),
		"a Thanos querier": stride(t, "--endpoint="+thanos.grpc, "--query.replica-label=replica"),
		"by itself":        stride(t, "--endpoint="+store.grpc, "--query.replica-label=replica", "--query.auto-downsampling"),
	}
	nodes["a Stride node"] = stride(t, "--endpoint="+nodes["distributed"].grpc)
	over := thanosQuery(t, []string{nodes["distributed"].grpc})

	ask := func(url string, params string, q client.Query) (*client.Answer, error) {
		c, err := client.New(url+params, nil)
		require.NoError(t, err)
		defer c.Close()
		return c.Query(t.Context(), q)
	}
	// Before, across and behind the end of what is downsampled.
	cut := end.Add(-6 * time.Hour)
	questions := func(expr string) []client.Query {
		return []client.Query{
			{Expr: expr, Start: cut.Add(-30 * time.Hour), End: cut.Add(5 * time.Hour), Step: 25 * time.Minute},
			{Expr: expr, Instant: true, End: cut.Add(-10*time.Hour - 123*time.Second)},
			{Expr: expr, Instant: true, End: cut.Add(7 * time.Minute)},
		}
	}
	compare := func(t *testing.T, want, got *node, params, own string) {
		samples := 0
		for _, expr := range downsampledQueries {
			for _, q := range questions(expr) {
				right, err := ask(want.url, params, q)
				require.NoError(t, err, expr)
				answer, err := ask(got.url, own, q)
				if err != nil {
					t.Errorf("%s (%v): %v", expr, q.Instant, err)
					continue
				}
				if diff := oracle.Difference(right.Value, answer.Value); diff != "" {
					t.Errorf("%s (instant: %t) at %s: %s", expr, q.Instant, q.End, diff)
				}
				samples += oracle.Size(right.Value)
			}
		}
		require.Greater(t, samples, 1000)
	}
	for name, n := range nodes {
		t.Run(name, func(t *testing.T) {
			if name == "by itself" {
				compare(t, thanos, n, "?max_source_resolution=auto", "")
				return
			}
			for _, params := range []string{"?max_source_resolution=5m", "?max_source_resolution=1h", "?max_source_resolution=auto", "?max_source_resolution=0s"} {
				compare(t, thanos, n, params, params)
			}
		})
	}
	t.Run("copies as they are", func(t *testing.T) {
		params := "?max_source_resolution=5m&dedup=false"
		compare(t, thanos, nodes["distributed"], params, params)
	})
	t.Run("under a Thanos querier", func(t *testing.T) {
		compare(t, thanos, over, "?max_source_resolution=5m", "?max_source_resolution=5m")
	})

	// Samples that were asked for are not made up of aggregates.
	old := client.Query{Expr: "up", Instant: true, End: cut.Add(-10 * time.Hour)}
	for params, series := range map[string]bool{"": false, "?max_source_resolution=5m": true} {
		got, err := ask(nodes["distributed"].url, params, old)
		require.NoError(t, err)
		require.Equal(t, series, oracle.Size(got.Value) > 0, params)
	}
	// A series of which there is nothing else is there.
	body, err := observe.Get(t.Context(), nodes["distributed"].url+fmt.Sprintf("/api/v1/series?match[]=up&start=%d&end=%d", old.End.Unix(), old.End.Unix()+60))
	require.NoError(t, err)
	require.Contains(t, body, `"region":"eu"`)
	// A directory with such a block is refused, and the block named.
	refused := runStride(t, "query", "up", "--tsdb.path", bucket)
	require.NotZero(t, refused.code)
	require.Contains(t, refused.stderr, filepath.Base(resolution)+" in "+bucket+" is downsampled to 5m0s")
}

// downsampledBucket is a bucket with a block of aggregates of 54 hours alone, whose samples are gone, and a younger one of samples.
func downsampledBucket(t *testing.T, end time.Time) (bucket, downsampled string) {
	t.Helper()
	data := t.TempDir()
	blocks := oracle.Generate(t, binary(t, "stride"), data, "--profile", steady, "--series", "100", "--duration", "60h", "--interval", "1m", "--end", end.Format(time.RFC3339))
	require.Len(t, blocks, 4)
	// Only blocks of 40 hours and more are downsampled.
	compactor, err := tsdb.NewLeveledCompactor(t.Context(), nil, promslog.NewNopLogger(), []int64{(1000 * time.Hour).Milliseconds()}, chunkenc.NewPool(), nil)
	require.NoError(t, err)
	_, err = compactor.Compact(data, blocks[:3], nil)
	require.NoError(t, err)
	for _, b := range blocks[:3] {
		require.NoError(t, os.RemoveAll(b))
	}
	bucket = filepath.Join(t.TempDir(), "bucket")
	require.NoError(t, os.Mkdir(bucket, 0o700))
	tool := func(wait func() bool, args ...string) {
		p := start(t, binary(t, "thanos"), append([]string{"tools", "bucket"}, append(args, "--objstore.config="+bucketConfig(bucket))...)...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for !wait() {
			select {
			case <-p.done:
				if !wait() {
					t.Fatalf("%v has ended:\n%s", args, p.log)
				}
			case <-ctx.Done():
				t.Fatalf("%v takes too long:\n%s", args, p.log)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	holds := func(n int) func() bool { return func() bool { return len(oracle.Blocks(t, bucket)) == n } }
	tool(holds(2), "upload-blocks", "--path="+data, `--label=region="eu"`, `--label=replica="a"`, "--shipper.upload-compacted")
	a := addresses(t, 1)
	before := oracle.Blocks(t, bucket)
	tool(holds(3), "downsample", "--http-address="+a[0], "--data-dir="+t.TempDir())
	for _, b := range oracle.Blocks(t, bucket) {
		meta, err := os.ReadFile(filepath.Join(b, "meta.json"))
		require.NoError(t, err)
		switch {
		case !slices.Contains(before, b):
			downsampled = b
		case strings.Contains(string(meta), `"parents"`):
			require.NoError(t, os.RemoveAll(b))
		}
	}
	require.NotEmpty(t, downsampled)
	require.Len(t, oracle.Blocks(t, bucket), 2)
	return bucket, downsampled
}

func bucketConfig(dir string) string {
	return fmt.Sprintf("{type: FILESYSTEM, config: {directory: %q}}", dir)
}

// storeGateway starts a Thanos store gateway over a bucket.
func storeGateway(t *testing.T, bucket string) *node {
	t.Helper()
	a := addresses(t, 2)
	n := &node{url: "http://" + a[0], grpc: a[1]}
	n.process = start(t, binary(t, "thanos"), "store", "--http-address="+a[0], "--grpc-address="+a[1], "--data-dir="+t.TempDir(), "--objstore.config="+bucketConfig(bucket))
	n.waitFor(t, n.url+"/-/ready", anything)
	return n
}
