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

// A pair of leaves on the same data, of which now one, now the other is late, killed, paused or cut off the network.
func TestReplicatedLeaves(t *testing.T) {
	for _, strategy := range []string{"hedge", "race"} {
		t.Run(strategy, func(t *testing.T) {
			e := containers.New(t, strategy)
			all, right := regions(t, e, 2, deployments.Everything)
			leaf := func(name string, r deployments.Region) *containers.Node {
				return e.Stride("leaf-"+name, "--tsdb.path="+r.Dir, "--external-label=region="+r.Name, "--store-group-id="+r.Name)
			}
			a, b, other := newTwin(e, leaf("a", all[0])), newTwin(e, leaf("b", all[0])), leaf("other", all[1])
			flags := append(containers.Endpoints(other), "--query.replica-strategy="+strategy, "--no-query.partial-response")
			root := e.Stride("root", append(containers.Endpoints(a.proxy, b.proxy), flags...)...)
			breakMembers(&twins{t: t, right: right, root: root, a: a, b: b, races: strategy == "race"},
				func() *containers.Node { return told(e, "root-late", a, b, flags...) })
		})
	}
}

// Two store gateways on one bucket, likewise, under a root that was told that they have the same data.
func TestReplicatedGateways(t *testing.T) {
	e := containers.New(t, "gwpair")
	all, right := regions(t, e, 2, deployments.Everything)
	bucket := deployments.Upload(t, e, all[:1])
	a, b := newTwin(e, e.StoreGateway("gateway-a", bucket)), newTwin(e, e.StoreGateway("gateway-b", bucket))
	other := e.Stride("leaf-other", "--tsdb.path="+all[1].Dir, "--external-label=region="+all[1].Name)
	flags := append(containers.Endpoints(other), "--no-query.partial-response")
	breakMembers(&twins{t: t, right: right, root: told(e, "root", a, b, flags...), a: a, b: b},
		func() *containers.Node { return told(e, "root-late", a, b, flags...) })
}

// told starts a root that is told that two nodes are a group.
func told(e *containers.Environment, name string, a, b twin, flags ...string) *containers.Node {
	file := e.File("endpoints.yaml", fmt.Sprintf("endpoints:\n- {address: %q, group: twins}\n- {address: %q, group: twins}\n", a.proxy.GRPC(), b.proxy.GRPC()))
	return e.Stride(name, append(flags, "--endpoint.sd-config-file="+file)...)
}

// breakMembers breaks one member after the other. late starts another root that is told of the group.
func breakMembers(w *twins, late func() *containers.Node) {
	t, right, root, a, b := w.t, w.right, w.root, w.a, w.b
	t.Helper()
	right.Answers(t, root.URL, oracle.Queries())
	w.while("both well", 2, settle)
	outrun := func(of, other twin) func() float64 { return func() float64 { return w.outrun(of, other) } }
	w.unwell("one late", a, func() { a.late(500 * time.Millisecond) }, outrun(a, b))
	a.late(0)
	w.killedInMidQuery(b, a)
	w.while("and back", 2, func() { b.node.Boot(); settle() })
	w.unwell("one paused", a, a.node.Pause, outrun(a, b)) // only the one that is back answers
	a.node.Unpause()
	w.unwell("the other one cut off", b, b.proxy.CutOff, func() float64 { return w.outrun(b, a) + w.counts("failovers", b) })
	b.proxy.Reconnect()
	w.while("all back", 2, settle)

	// A root that is told who is in the group starts while one of them is down.
	a.node.Crash()
	w.root = late()
	w.while("started while one is down", 2, settle)
	require.Zero(t, w.counts("picks", a), "nothing is known of it")
	require.NotZero(t, w.counts("picks", b))
	w.while("and comes", 2, func() {
		a.node.Boot()
		w.eventually("it is not asked", func() bool { return w.counts("picks", a) > 0 })
	})
	w.while("and is the only one", 2, func() { b.node.Crash(); settle() })
	w.root = root

	// With both of them lost there is an error, or an answer with a warning for those who allow it, which name them.
	a.node.Crash()
	for _, expr := range replicaQueries {
		got := askWhile(t, right, root.URL, []string{expr}, 2, func() {})
		require.NotEmpty(t, got.errors, expr)
		require.Zero(t, got.right)
		for _, x := range []twin{a, b} {
			require.Contains(t, got.errors[0], x.proxy.GRPC())
		}
	}
	partial := root.Get(fmt.Sprintf("/api/v1/query?query=count(up)&time=%d&partial_response=1", deployments.End.Unix()))
	require.Contains(t, partial, `"warnings":[`)
	require.Contains(t, partial, b.proxy.GRPC())
	a.node.Boot()
	b.node.Boot()
	root.WaitFor(fmt.Sprintf("/api/v1/query?query=count(up)&time=%d", deployments.End.Unix()), func(string) bool { return true })
	w.while("all back", 2, settle)
	right.Answers(t, root.URL, oracle.Queries())
}
