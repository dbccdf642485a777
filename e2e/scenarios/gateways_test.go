package scenarios

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// Store gateways hold the first six hours, and pairs of Prometheus servers the last six: four hours are in both. In one environment a leaf is in
// front of both, in the other one each has a leaf of its own, and the root removes what they compute twice.
//
//	prometheus a, b - sidecars \
//	                            leaf eu \
//	bucket - store gateway     /         \
//	                                      root
//	prometheus a, b - sidecars - leaf us /
//	bucket - store gateway - leaf us old /
func TestGatewaysAndPairs(t *testing.T) {
	e := containers.New(t, "stride-gateways")
	all, right := regions(t, e, 2, everything)
	var leaves []*containers.Node
	for i, r := range all {
		bucket := e.Bucket("bucket-" + r.name)
		old := e.Dir("old-" + r.name)
		oracle.Copy(t, old, r.blocks[:3]...)
		for _, name := range []string{"a", "b"} {
			e.Upload(bucket, old, map[string]string{"region": r.name, "replica": name})
		}
		gateway := e.StoreGateway("gateway-"+r.name, bucket)
		sidecars := []*containers.Node{replica(t, e, r.name, "a", r.blocks[1:]...), replica(t, e, r.name, "b", r.blocks[1:]...)}
		leaf := func(name string, of ...*containers.Node) {
			leaves = append(leaves, e.Stride("leaf-"+name, append(containers.Endpoints(of...), byReplica)...))
		}
		if i == 0 {
			leaf(r.name, append(sidecars, gateway)...)
		} else {
			leaf(r.name, sidecars...)
			leaf(r.name+"-old", gateway)
		}
	}
	for _, mode := range []string{"distributed", "local"} {
		t.Run(mode, func(t *testing.T) {
			root := e.Stride("root-"+mode, append(containers.Endpoints(leaves...), "--query.mode="+mode, byReplica)...)
			right.Answers(t, root.URL, oracle.Queries())
		})
	}
}
