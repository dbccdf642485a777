package scenarios

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
)

func TestReceivers(t *testing.T) {
	e := containers.New(t, "receive")
	all, right := regions(t, e, 4, deployments.Everything)
	inBothModes(t, e, right, deployments.Receivers(t, e, all))
}

// Leaves in front of one store gateway have the regions whose names hash to their number.
func TestGatewayByHash(t *testing.T) {
	e := containers.New(t, "hash")
	all, right := regions(t, e, 4, deployments.Everything)
	gateway := e.StoreGateway("gateway", deployments.Upload(t, e, all))
	inBothModes(t, e, right, deployments.ByHash([]*containers.Node{gateway}, 3))
}
