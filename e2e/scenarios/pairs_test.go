package scenarios

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// Each environment has a pair of Prometheus servers that scrape the same targets, and a leaf that removes the copies; a root asks the leaves. Those of
// one environment were both down for two hours, one after the other.
//
//	prometheus a - sidecar \
//	                        leaf eu \
//	prometheus b - sidecar /         root
//	                        leaf us /
func TestPairs(t *testing.T) {
	e := containers.New(t, "stride-pairs")
	all, right := regions(t, e, 2, everything)
	var leaves []*containers.Node
	for i, r := range all {
		a, b, function := r.blocks, r.blocks, "penalty"
		if i == 1 {
			// Penalties are for staying with one replica, which costs samples where the other one takes over.
			a, b, function = []string{a[0], a[1], a[3]}, []string{b[0], b[2], b[3]}, "chain"
		}
		sidecars := []*containers.Node{replica(t, e, r.name, "a", a...), replica(t, e, r.name, "b", b...)}
		leaves = append(leaves, e.Stride("leaf-"+r.name, append(containers.Endpoints(sidecars...), byReplica, "--deduplication.func="+function)...))
	}
	for _, mode := range []string{"distributed", "local"} {
		t.Run(mode, func(t *testing.T) {
			root := e.Stride("root-"+mode, append(containers.Endpoints(leaves...), "--query.mode="+mode, byReplica)...)
			right.Answers(t, root.URL, oracle.Queries())
		})
	}
}
