package deployments

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// GatewaysAndPairs are environments with a store gateway on all blocks but the last and a pair of Prometheus servers on all but the first: those between
// are in both. In the first environment a leaf is in front of both, in others each has a leaf of its own, and the root removes what they compute twice.
//
//	prometheus a, b - sidecars \
//	                            leaf eu \
//	bucket - store gateway     /         \
//	                                      root
//	prometheus a, b - sidecars - leaf us /
//	bucket - store gateway - leaf us old /
func GatewaysAndPairs(t testing.TB, e *containers.Environment, all []Region) (leaves []Leaf) {
	t.Helper()
	for i, r := range all {
		bucket := e.Bucket("bucket-" + r.Name)
		old := e.Dir("old-" + r.Name)
		oracle.Copy(t, old, r.Blocks[:len(r.Blocks)-1]...)
		for _, name := range []string{"a", "b"} {
			e.Upload(bucket, old, map[string]string{"region": r.Name, "replica": name})
		}
		gateway := e.StoreGateway("gateway-"+r.Name, bucket)
		stores := []*containers.Node{Replica(t, e, r.Name, "a", r.Blocks[1:]...), Replica(t, e, r.Name, "b", r.Blocks[1:]...)}
		if i == 0 {
			leaves = append(leaves, Leaf{Name: r.Name, Stores: append(stores, gateway), Flags: []string{ByReplica}})
			continue
		}
		leaves = append(leaves,
			Leaf{Name: r.Name, Stores: stores, Flags: []string{ByReplica}},
			Leaf{Name: r.Name + "-old", Stores: []*containers.Node{gateway}, Flags: []string{ByReplica}})
	}
	return leaves
}
