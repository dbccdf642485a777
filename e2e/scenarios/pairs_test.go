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
	// Penalties are for staying with one replica, which costs samples where the other one takes over.
	outages := deployments.PairWithOutages(t, e, all[1])
	outages.Flags = append(outages.Flags, "--deduplication.func=chain")
	leaves = append(leaves, outages)
	inBothModes(t, e, right, leaves, deployments.ByReplica)
}

func TestGatewaysAndPairs(t *testing.T) {
	e := containers.New(t, "gateways")
	all, right := regions(t, e, 2, deployments.Everything)
	inBothModes(t, e, right, deployments.GatewaysAndPairs(t, e, all), deployments.ByReplica)
}
