package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
	"github.com/stride-promql/stride/e2e/oracle"
	"github.com/stride-promql/stride/remote/client"
)

// While nodes are upgraded, roots and leaves are of different versions: here of the newest plan version and the one before.
func TestUpgrade(t *testing.T) {
	e := containers.New(t, "upgrade")
	all, right := regions(t, e, 2, deployments.Everything)
	leaf := func(build, name string, r deployments.Region) *containers.Node {
		return e.StrideOf(build, "leaf-"+name, containers.Options{}, "--tsdb.path="+r.Dir, "--external-label=region="+r.Name)
	}
	older, newer := leaf("stride-olderplan", "older", all[0]), leaf("stride", "newer", all[1])
	require.Equal(t, planVersion(t, newer)-1, planVersion(t, older))
	for name, build := range map[string]string{"newest root": "stride", "older root": "stride-olderplan"} {
		t.Run(name, func(t *testing.T) {
			root := e.StrideOf(build, "root-"+build, containers.Options{}, containers.Endpoints(older, newer)...)
			before := takenBy(older, newer)
			right.Answers(t, root.URL, oracle.Queries())
			for i, taken := range takenBy(older, newer) {
				require.Greater(t, taken, before[i], "a leaf evaluates nothing")
			}
		})
	}
}

// planVersion is what a node announces.
func planVersion(t *testing.T, n *containers.Node) int {
	t.Helper()
	c, err := client.New(n.Endpoint("grpc"), client.Options{})
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Refresh(t.Context()))
	return c.Capabilities().PlanVersion
}
