package scenarios

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
	"github.com/stride-promql/stride/e2e/oracle"
)

// replicaQueries are short, so that many of them are under way when something breaks.
var replicaQueries = []string{
	`sum by (job) (rate(http_requests_total[5m]))`, `count(up)`, `memory_usage_bytes`, `histogram_quantile(0.9, sum by (le) (rate(request_duration_seconds_bucket[5m])))`,
	`topk(3, sum by (region, job) (memory_usage_bytes))`, `sum(rpc_duration_seconds)`, `avg by (region) (memory_usage_bytes)`,
}

// A pair of leaves on the same data, one behind a proxy, of which now one, now the other is late, killed, paused or cut off the network.
func TestReplicatedLeaves(t *testing.T) {
	for _, strategy := range []string{"hedge", "race"} {
		t.Run(strategy, func(t *testing.T) {
			e := containers.New(t, strategy)
			all, right := regions(t, e, 2, deployments.Everything)
			leaf := func(name string, r deployments.Region) *containers.Node {
				return e.Stride("leaf-"+name, "--tsdb.path="+r.Dir, "--external-label=region="+r.Name, "--store-group-id="+r.Name)
			}
			a, b, other := leaf("a", all[0]), leaf("b", all[0]), leaf("other", all[1])
			proxy := e.Proxy("proxy", a)
			root := e.Stride("root", append(containers.Endpoints(proxy, b, other), "--query.replica-strategy="+strategy, "--no-query.partial-response")...)
			breakMembers(t, right, root, proxy, a, b)
		})
	}
}

// Two store gateways on one bucket, likewise, under a root that was told that they have the same data.
func TestReplicatedGateways(t *testing.T) {
	e := containers.New(t, "gwpair")
	all, right := regions(t, e, 2, deployments.Everything)
	bucket := deployments.Upload(t, e, all[:1])
	a, b := e.StoreGateway("gateway-a", bucket), e.StoreGateway("gateway-b", bucket)
	proxy := e.Proxy("proxy", a)
	other := e.Stride("leaf-other", "--tsdb.path="+all[1].Dir, "--external-label=region="+all[1].Name)
	file := e.File("endpoints.yaml", "endpoints:\n- {address: \""+proxy.GRPC()+"\", group: gateways}\n- {address: \""+b.GRPC()+"\", group: gateways}\n")
	root := e.Stride("root", append(containers.Endpoints(other), "--endpoint.sd-config-file="+file, "--no-query.partial-response")...)
	breakMembers(t, right, root, proxy, a, b)
}

// patience is how long it may take until a member of a group has been asked something.
const patience = 30 * time.Second

// breakMembers breaks one member of a group after the other: as long as one of them answers, so does the root, and rightly. The proxy is in front of a.
func breakMembers(t *testing.T, right *oracle.Oracle, root, proxy, a, b *containers.Node) {
	t.Helper()
	while := func(what string, during func()) {
		t.Helper()
		got := askWhile(t, right, root.URL, replicaQueries, during)
		got.report(t, what)
		require.Empty(t, got.errors, what)
		require.Empty(t, got.warnings, what)
	}
	settle := func() { time.Sleep(3 * time.Second) }
	right.Answers(t, root.URL, oracle.Queries())
	while("both well", settle)
	proxy.Get("/delay?is=500ms")
	while("one late", settle)
	proxy.Get("/delay?is=0s")
	toB := func() float64 { return root.Metric("stride_replica_picks_total", b.GRPC()) }
	before := toB()
	while("the other one killed", func() {
		require.Eventually(t, func() bool { return toB() > before }, patience, 10*time.Millisecond, "it is not asked anything")
		b.Crash()
		settle()
	})
	while("and back", func() { b.Boot(); settle() })
	while("one paused", func() { time.Sleep(time.Second); a.Pause(); settle() })
	a.Unpause()
	while("the other one cut off", func() { time.Sleep(time.Second); b.CutOff(); settle() })
	b.Reconnect()
	while("all back", settle)

	// With both of them lost there is an error, or an answer with a warning for those who allow it, which name them.
	a.Crash()
	b.Crash()
	for _, expr := range replicaQueries {
		got := askWhile(t, right, root.URL, []string{expr}, func() {})
		require.NotEmpty(t, got.errors, expr)
		require.Zero(t, got.right)
		for _, name := range []string{proxy.GRPC(), b.GRPC()} {
			require.Contains(t, got.errors[0], name)
		}
	}
	partial := root.Get(fmt.Sprintf("/api/v1/query?query=count(up)&time=%d&partial_response=1", deployments.End.Unix()))
	require.Contains(t, partial, `"warnings":[`)
	require.Contains(t, partial, b.GRPC())
	a.Boot()
	b.Boot()
	root.WaitFor(fmt.Sprintf("/api/v1/query?query=count(up)&time=%d", deployments.End.Unix()), func(string) bool { return true })
	while("all back", settle)
	right.Answers(t, root.URL, oracle.Queries())
}
