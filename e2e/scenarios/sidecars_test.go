package scenarios

import (
	"testing"
	"time"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
	"github.com/stride-promql/stride/e2e/oracle"
)

// gapsAndYoung are three environments: one has all, one has a gap of two hours, and one is two hours old.
func gapsAndYoung(t *testing.T, e *containers.Environment) ([]deployments.Region, *oracle.Oracle) {
	t.Helper()
	all, _ := regions(t, e, 3, deployments.Everything)
	all[1] = all[1].Part(t, e, 0, 2, 3)
	all[2] = all[2].Part(t, e, 3)
	return all, oracleOf(deployments.Merged(all))
}

func TestSidecarsByTime(t *testing.T) {
	e := containers.New(t, "time")
	all, right := gapsAndYoung(t, e)
	inBothModes(t, e, right, deployments.SidecarsByTime(t, e, all, 6*time.Hour, 3*time.Hour))
}

func TestSidecarsByLabel(t *testing.T) {
	e := containers.New(t, "label")
	all, right := gapsAndYoung(t, e)
	inBothModes(t, e, right, deployments.SidecarsByLabel(t, e, all))
}

// Leaves read directories of blocks themselves: by environment, and by time with two hours in both.
func TestBlockDirectories(t *testing.T) {
	e := containers.New(t, "blocks")
	all, right := gapsAndYoung(t, e)
	recent := e.Dir("recent")
	oracle.Copy(t, recent, all[0].Blocks[1:]...)
	old := all[0].Part(t, e, 0, 1)
	leaves := deployments.BlockDirectories(append(all[1:], old))
	inBothModes(t, e, right, append(leaves, deployments.Leaf{Name: "recent", Blocks: recent, Region: old.Name}))
}
