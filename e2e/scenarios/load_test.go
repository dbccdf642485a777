package scenarios

import (
	"context"
	"errors"
	"flag"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
	"github.com/stride-promql/stride/e2e/oracle"
)

var loadFor = flag.Duration("load", 30*time.Second, "how long the scenario with load asks queries")

// dashboard is what a screen asks at once, again and again.
var dashboard = []string{
	`sum by (job) (rate(http_requests_total[5m]))`, `sum by (region, status) (rate(http_requests_total[5m]))`, `sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))`,
	`histogram_quantile(0.99, sum by (region, le) (rate(request_duration_seconds_bucket[5m])))`, `topk(5, sum by (instance) (rate(http_requests_total[5m])))`,
	`avg by (job) (memory_usage_bytes)`, `max_over_time(sum(up)[10m:1m])`, `count by (job) (up == 0) or vector(0)`, `quantile by (region) (0.9, memory_usage_bytes)`,
	`histogram_quantile(0.9, sum(rate(rpc_duration_seconds[5m])))`,
}

// hoggish wants more memory than there is.
const hoggish = `{__name__=~".+"}`

// Dashboards ask a root and its leaves at once, at a bounded rate, for a while, and something too large between them. All of them have little
// memory, and none of them dies or keeps any of it.
func TestLoad(t *testing.T) {
	e := containers.New(t, "stride-load")
	options := containers.Options{Memory: 160 << 20, Env: map[string]string{"GOMEMLIMIT": "128MiB"}}
	all := deployments.Regions(t, e, 2, deployments.Everything, "--series", "5000", "--duration", "2h")
	var leaves []*containers.Node
	for _, l := range deployments.BlockDirectories(all) {
		leaves = append(leaves, l.Stride(e, options, "--query.memory-limit=64MB"))
	}
	right := oracleOf(deployments.Merged(all))
	right.Start, right.Step = deployments.End.Add(-time.Hour), 30*time.Second
	root := e.StrideOf("stride", "root", options, append(containers.Endpoints(leaves...), "--query.memory-limit=64MB", "--no-query.partial-response")...)
	nodes := append(leaves, root)
	for _, q := range dashboard {
		right.Right(t, q, false)
	}

	ask(t, right, root.URL, 5*time.Second) // what is only made once is made now
	var pids, goroutines []int
	var heaps []float64
	measure := func(i int) (pid, routines int, heap float64) {
		pid = nodes[i].PID()
		return pid, int(nodes[i].Metric("go_goroutines", "")), heapAfterGC(nodes[i])
	}
	for i := range nodes {
		pid, routines, heap := measure(i)
		pids, goroutines, heaps = append(pids, pid), append(goroutines, routines), append(heaps, heap)
	}
	ask(t, right, root.URL, *loadFor)
	for i, n := range nodes {
		require.Eventually(t, func() bool { _, routines, _ := measure(i); return routines <= goroutines[i]+10 }, 30*time.Second, time.Second, "%s leaks goroutines", n.Name)
		pid, routines, heap := measure(i)
		require.Equal(t, pids[i], pid, "%s died", n.Name)
		require.Less(t, heap, heaps[i]+16<<20, "%s keeps memory", n.Name)
		u, err := containers.UsageOf(pid)
		require.NoError(t, err)
		t.Logf("%s: %d goroutines before, %d after; heap %.1f MiB before, %.1f MiB after; at most %d MiB resident", n.Name, goroutines[i], routines, heaps[i]/(1<<20), heap/(1<<20), u.Peak>>20)
	}
}

func heapAfterGC(n *containers.Node) float64 {
	least := math.Inf(1)
	for range 3 { // what is pooled goes with the second collection
		n.Get("/debug/pprof/heap?gc=1")
		least = min(least, n.Metric("go_memstats_heap_alloc_bytes", ""))
	}
	return least
}

// ask lets eight screens ask for a while, together at most 40 queries a second.
func ask(t *testing.T, right *oracle.Oracle, url string, long time.Duration) {
	t.Helper()
	c, err := client.New(url, nil)
	require.NoError(t, err)
	defer c.Close()
	ticks := time.NewTicker(time.Second / 40)
	defer ticks.Stop()
	over := time.After(long)
	work := make(chan int)
	var mu sync.Mutex
	answered, refused := 0, 0
	var screens sync.WaitGroup
	for range 8 {
		screens.Go(func() {
			for i := range work {
				expr := hoggish
				if i%20 != 19 {
					expr = dashboard[i%len(dashboard)]
				}
				got, err := c.Query(context.Background(), right.Query(expr, false))
				mu.Lock()
				switch said := (*client.Error)(nil); {
				case err == nil && expr == hoggish:
					answered++
				case err == nil:
					if diff := oracle.Difference(right.Right(t, expr, false), got.Value); diff != "" {
						t.Errorf("%s: %s", expr, diff)
					}
					answered++
				case errors.As(err, &said) && said.Type != "" && strings.Contains(said.Text, "queries may hold"):
					refused++
				default:
					t.Errorf("%s: %v", expr, err)
				}
				mu.Unlock()
			}
		})
	}
	for i := 0; ; i++ {
		select {
		case <-over:
			close(work)
			screens.Wait()
			t.Logf("%d queries answered, %d refused in %s", answered, refused, long)
			require.NotZero(t, answered)
			return
		case <-ticks.C:
			work <- i
		}
	}
}
