package scenarios

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
	"github.com/stride-promql/stride/e2e/oracle"
)

// The servers of a pair scrape seven seconds apart, and those of one environment were down for two hours each, one after the other. What is left of
// two replicas is what a Thanos querier makes of the same sidecars, whether a root gives leaves parts of queries, asks them for samples, or is
// one of Thanos'.
func TestPairsApart(t *testing.T) {
	e := containers.New(t, "apart")
	all, times := regions(t, e, 2, deployments.Steady)
	deployments.Twins(t, e, all, deployments.Steady, size...)
	leaves := append(deployments.Pairs(t, e, all[:1]), deployments.PairWithOutages(t, e, all[1]))
	var stores []*containers.Node
	for _, l := range leaves {
		stores = append(stores, l.Stores...)
	}
	nodes := deployments.Strides(e, containers.Options{}, leaves)
	asked := func(n *containers.Node) *client.Client {
		c, err := client.New(n.URL, nil)
		require.NoError(t, err)
		t.Cleanup(c.Close)
		return c
	}
	thanos := asked(e.ThanosQuery("thanos", stores, "--query.promql-engine=thanos", deployments.ByReplica))
	for name, root := range map[string]*containers.Node{
		"distributed":  e.Stride("root", containers.Endpoints(nodes...)...),
		"local":        e.Stride("root-local", append(containers.Endpoints(nodes...), "--query.mode=local")...),
		"thanos above": e.ThanosQuery("above", nodes, "--query.promql-engine=thanos"),
	} {
		t.Run(name, func(t *testing.T) {
			c, compared := asked(root), 0
			for _, expr := range oracle.Queries() {
				// Behind a change of replicas nobody knows whether a histogram was reset. Stride looks, Thanos believes what the replica says of
				// its own samples; the two of these replicas are not of one process.
				if strings.Contains(expr, "rate(rpc_duration_seconds") {
					continue
				}
				for _, instant := range []bool{true, false} {
					q := times.Query(expr, instant)
					want, err := thanos.Query(t.Context(), q)
					require.NoError(t, err, expr)
					got, err := c.Query(t.Context(), q)
					if err != nil {
						t.Errorf("%s (instant: %t): %v", expr, instant, err)
						continue
					}
					compared += oracle.Size(want.Value)
					if diff := oracle.Difference(want.Value, got.Value); diff != "" {
						t.Errorf("%s (instant: %t): %s", expr, instant, diff)
					}
				}
			}
			require.Greater(t, compared, 10_000)
		})
	}
}
