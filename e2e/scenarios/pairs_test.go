package scenarios

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// Each environment has a pair of Prometheus servers that scrape the same targets, and a leaf that removes the copies; a root asks the leaves.
//
//	prometheus a - sidecar \
//	                        leaf eu \
//	prometheus b - sidecar /         root
//	                        leaf us /
func TestPairs(t *testing.T) {
	e := containers.New(t, "stride-pairs")
	all, right := regions(t, e, 2, everything)
	var leaves []*containers.Node
	for _, r := range all {
		sidecars := []*containers.Node{replica(t, e, r.name, "a", r.blocks...), replica(t, e, r.name, "b", r.blocks...)}
		leaves = append(leaves, e.Stride("leaf-"+r.name, append(containers.Endpoints(sidecars...), byReplica)...))
	}
	for _, mode := range []string{"distributed", "local"} {
		t.Run(mode, func(t *testing.T) {
			root := e.Stride("root-"+mode, append(containers.Endpoints(leaves...), "--query.mode="+mode, byReplica)...)
			right.Answers(t, root.URL, oracle.Queries())
		})
	}
}
