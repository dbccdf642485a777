package scenarios

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
	"github.com/stride-promql/stride/e2e/oracle"
)

// Stride leaves under a Thanos root, which gives them parts of queries.
func TestThanosRoot(t *testing.T) {
	e := containers.New(t, "troot")
	all, right := regions(t, e, 2, deployments.Everything)
	leaves := deployments.Strides(e, containers.Options{}, deployments.BlockDirectories(all))
	root := e.ThanosQuery("root", leaves, "--query.promql-engine=thanos", "--query.mode=distributed")
	right.Answers(t, root.URL, oracle.Queries())
}

// Thanos leaves, each in front of a pair of Prometheus servers, under a Stride root, which gives them parts of queries.
func TestThanosLeaves(t *testing.T) {
	e := containers.New(t, "tleaf")
	all, right := regions(t, e, 2, deployments.Steady)
	var leaves []*containers.Node
	for _, l := range deployments.Pairs(t, e, all) {
		leaves = append(leaves, l.Thanos(e, containers.Options{}))
	}
	root := e.Stride("root", append(containers.Endpoints(leaves...), deployments.ByReplica)...)
	right.Answers(t, root.URL, oracle.Queries())
}
