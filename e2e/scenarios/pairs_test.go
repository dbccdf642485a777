package scenarios

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
)

func TestPairs(t *testing.T) {
	e := containers.New(t, "pairs")
	all, right := regions(t, e, 2, deployments.Everything)
	leaves := deployments.Pairs(t, e, all[:1])
	// Both servers of the other environment were down for two hours, one after the other. Penalties are for staying with one replica, which costs samples
	// where the other one takes over.
	b := all[1].Blocks
	leaves = append(leaves, deployments.Leaf{Name: all[1].Name, Stores: []*containers.Node{
		deployments.Replica(t, e, all[1].Name, "a", b[0], b[1], b[3]), deployments.Replica(t, e, all[1].Name, "b", b[0], b[2], b[3]),
	}, Flags: []string{deployments.ByReplica, "--deduplication.func=chain"}})
	inBothModes(t, e, right, leaves, deployments.ByReplica)
}

func TestGatewaysAndPairs(t *testing.T) {
	e := containers.New(t, "gateways")
	all, right := regions(t, e, 2, deployments.Everything)
	inBothModes(t, e, right, deployments.GatewaysAndPairs(t, e, all), deployments.ByReplica)
}
