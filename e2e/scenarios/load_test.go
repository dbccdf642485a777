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

// screens is what dashboards ask, and what is right there.
type screens struct {
	url   string
	right *oracle.Oracle
}

// Dashboards ask a root and its leaves at once, at a bounded rate, for a while, and something too large between them, which is refused. All of the nodes
// have little memory, and none of them dies or keeps any of it.
func TestLoad(t *testing.T) {
	e := containers.New(t, "load")
	options := containers.Options{Memory: 160 << 20, Env: map[string]string{"GOMEMLIMIT": "128MiB"}}
	all := deployments.Regions(t, e, 2, deployments.Everything, "--series", "5000", "--duration", "2h")
	var leaves []*containers.Node
	for _, l := range deployments.BlockDirectories(all) {
		leaves = append(leaves, l.Stride(e, options, "--query.memory-limit=64MB"))
	}
	root := e.StrideOf("stride", "root", options, append(containers.Endpoints(leaves...), "--query.memory-limit=64MB", "--no-query.partial-response")...)
	nodes := append(leaves, root)
	var asked []screens
	for i, n := range nodes {
		data := deployments.Merged(all)
		if i < len(leaves) {
			data = all[i].Data
		}
		right := &oracle.Oracle{Data: data, Start: deployments.End.Add(-time.Hour), End: deployments.End, Step: 30 * time.Second}
		for _, q := range dashboard {
			right.Right(t, q, true)
			right.Right(t, q, false)
		}
		asked = append(asked, screens{n.URL, right})
	}

	ask(t, asked, 5*time.Second) // what is only made once is made now
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
	require.NotZero(t, ask(t, asked, *loadFor), "%s is not too large", hoggish)
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

// ask lets dashboards ask for a while, eight queries at once, together at most 40 a second. What is too large is asked of the last node.
func ask(t *testing.T, of []screens, long time.Duration) (refused int) {
	t.Helper()
	var clients []*client.Client
	for _, s := range of {
		c, err := client.New(s.url, nil)
		require.NoError(t, err)
		defer c.Close()
		clients = append(clients, c)
	}
	ticks := time.NewTicker(time.Second / 40)
	defer ticks.Stop()
	over := time.After(long)
	work := make(chan int)
	var mu sync.Mutex
	answered := 0
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range work {
				node, expr, instant := i%len(of), dashboard[i/len(of)%len(dashboard)], i%4 == 0
				if i%20 == 19 {
					node, expr, instant = len(of)-1, hoggish, false
				}
				right, c := of[node].right, clients[node]
				got, err := c.Query(context.Background(), right.Query(expr, instant))
				mu.Lock()
				switch said := (*client.Error)(nil); {
				case err == nil && expr == hoggish:
					answered++
				case err == nil:
					if diff := oracle.Difference(right.Right(t, expr, instant), got.Value); diff != "" {
						t.Errorf("%s (instant: %t): %s", expr, instant, diff)
					}
					answered++
				case errors.As(err, &said) && said.Type != "" && strings.Contains(said.Text, "queries may hold"):
					refused++
				default:
					t.Errorf("%s (instant: %t): %v", expr, instant, err)
				}
				mu.Unlock()
			}
		})
	}
	for i := 0; ; i++ {
		select {
		case <-over:
			close(work)
			workers.Wait()
			t.Logf("%d queries answered, %d refused in %s", answered, refused, long)
			require.NotZero(t, answered)
			return refused
		case <-ticks.C:
			work <- i
		}
	}
}
