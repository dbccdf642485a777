package scenarios

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// Stride leaves under a Thanos root, which gives them parts of queries.
func TestThanosRoot(t *testing.T) {
	e := containers.New(t, "stride-troot")
	all, right := regions(t, e, 2, everything)
	var leaves []*containers.Node
	for _, r := range all {
		leaves = append(leaves, e.Stride("leaf-"+r.name, "--tsdb.path="+r.dir, "--external-label=region="+r.name))
	}
	root := e.ThanosQuery("root", leaves, "--query.promql-engine=thanos", "--query.mode=distributed")
	right.Answers(t, root.URL, oracle.Queries())
}

// Thanos leaves, each in front of a pair of Prometheus servers, under a Stride root, which gives them parts of queries.
func TestThanosLeaves(t *testing.T) {
	e := containers.New(t, "stride-tleaf")
	all, right := regions(t, e, 2, steady)
	var leaves []*containers.Node
	for _, r := range all {
		sidecars := []*containers.Node{replica(t, e, r.name, "a", r.blocks...), replica(t, e, r.name, "b", r.blocks...)}
		leaves = append(leaves, e.ThanosQuery("leaf-"+r.name, sidecars))
	}
	root := e.Stride("root", append(containers.Endpoints(leaves...), byReplica)...)
	right.Answers(t, root.URL, oracle.Queries())
}
