package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
	"github.com/stride-promql/stride/e2e/oracle"
)

// thanosParts is the beginning of the methods by which parts of queries are asked for that go from or to Thanos.
const thanosParts = `method="/thanos.Query/`

// Stride leaves under a Thanos root, which gives them parts of queries.
func TestThanosRoot(t *testing.T) {
	e := containers.New(t, "troot")
	all, right := regions(t, e, 2, deployments.Everything)
	leaves := deployments.Strides(e, containers.Options{}, deployments.BlockDirectories(all))
	root := e.ThanosQuery("root", leaves, "--query.promql-engine=thanos", "--query.mode=distributed")
	right.Answers(t, root.URL, oracle.Queries())
	for _, l := range leaves {
		require.NotZero(t, l.Metric(serverRequests, thanosParts), "%s evaluates nothing", l.Name)
	}
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
	for _, l := range leaves {
		require.NotZero(t, root.Metric(endpointRequests, `endpoint="`+l.GRPC()+`",`+thanosParts), "%s evaluates nothing", l.Name)
	}
}
