package scenarios

import (
	"testing"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// gapsAndYoung are three environments: one has all, one has a gap of two hours, and one is two hours old.
func gapsAndYoung(t *testing.T, e *containers.Environment) ([]region, *oracle.Oracle) {
	t.Helper()
	all, _ := regions(t, e, 3, everything)
	all[1] = all[1].keep(t, e, 0, 2, 3)
	all[2] = all[2].keep(t, e, 3)
	return all, oracleOf(all[0].data, all[1].data, all[2].data)
}

func upload(t *testing.T, e *containers.Environment, all []region) (bucket string) {
	t.Helper()
	bucket = e.Bucket("bucket")
	for _, r := range all {
		e.Upload(bucket, r.dir, map[string]string{"region": r.name})
	}
	return bucket
}

func inBothModes(t *testing.T, e *containers.Environment, right *oracle.Oracle, leaves []*containers.Node) {
	t.Helper()
	for _, mode := range []string{"distributed", "local"} {
		t.Run(mode, func(t *testing.T) {
			root := e.Stride("root-"+mode, append(containers.Endpoints(leaves...), "--query.mode="+mode)...)
			right.Answers(t, root.URL, oracle.Queries())
		})
	}
}

// Three store gateways on one bucket have a part of the time each, with an hour in two of them, and a leaf beside each.
func TestSidecarsByTime(t *testing.T) {
	e := containers.New(t, "stride-time")
	all, right := gapsAndYoung(t, e)
	bucket := upload(t, e, all)
	var leaves []*containers.Node
	for _, part := range []struct{ name, from, to string }{
		{"old", "2026-01-01T00:00:00Z", "2026-01-01T23:00:00Z"},
		{"middle", "2026-01-01T22:00:00Z", "2026-01-02T02:00:00Z"},
		{"new", "2026-01-02T01:00:00Z", "9999-12-31T23:59:59Z"},
	} {
		gateway := e.StoreGateway("gateway-"+part.name, bucket, "--min-time="+part.from, "--max-time="+part.to)
		leaves = append(leaves, e.Stride("leaf-"+part.name, containers.Endpoints(gateway)...))
	}
	inBothModes(t, e, right, leaves)
}

// Store gateways on one bucket have some of the environments each, and a leaf beside each.
func TestSidecarsByLabel(t *testing.T) {
	e := containers.New(t, "stride-label")
	all, right := gapsAndYoung(t, e)
	bucket := upload(t, e, all)
	var leaves []*containers.Node
	for name, regions := range map[string]string{"first": "eu", "rest": "us|ap"} {
		gateway := e.StoreGateway("gateway-"+name, bucket, "--selector.relabel-config=[{action: keep, source_labels: [region], regex: "+regions+"}]")
		leaves = append(leaves, e.Stride("leaf-"+name, containers.Endpoints(gateway)...))
	}
	inBothModes(t, e, right, leaves)
}

// Leaves read directories of blocks themselves: by environment, and by time with two hours in both.
func TestBlockDirectories(t *testing.T) {
	e := containers.New(t, "stride-blocks")
	all, right := gapsAndYoung(t, e)
	old, recent := e.Dir("old"), e.Dir("recent")
	oracle.Copy(t, old, all[0].blocks[:2]...)
	oracle.Copy(t, recent, all[0].blocks[1:]...)
	leaf := func(name, dir, region string) *containers.Node {
		return e.Stride("leaf-"+name, "--tsdb.path="+dir, "--external-label=region="+region)
	}
	inBothModes(t, e, right, []*containers.Node{
		leaf("old", old, all[0].name), leaf("recent", recent, all[0].name), leaf("gap", all[1].dir, all[1].name), leaf("young", all[2].dir, all[2].name),
	})
}
