// Package deployments builds the deployments that Stride is made for, up to what leaves ask: who tests or measures them puts leaves and a root above.
package deployments

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// End is where the data ends.
var End = time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)

// Profiles of data. Where Thanos evaluates queries over samples, counters are not reset: it evaluates rate and its like over running totals there.
const (
	Everything = "default"
	Steady     = "steady"
)

// Region is the data of one environment, as blocks.
type Region struct {
	Name   string
	Dir    string
	Blocks []string
	Data   storage.Queryable
	twin   []string // blocks of the second replica of a pair, if they are others
}

// Twins lets the second replicas of pairs scrape the same series seven seconds after the first ones, with the flags that Regions was given.
func Twins(t testing.TB, e *containers.Environment, all []Region, profile string, flags ...string) {
	t.Helper()
	for i := range all {
		all[i].twin = generate(t, e.Dir("twin-"+all[i].Name), i, End.Add(7*time.Second), profile, flags)
	}
}

// second are the blocks of the second replica of a pair.
func (r Region) second() []string {
	if r.twin != nil {
		return r.twin
	}
	return r.Blocks
}

func generate(t testing.TB, dir string, seed int, end time.Time, profile string, flags []string) (blocks []string) {
	t.Helper()
	return oracle.Generate(t, containers.Program(t, "stride"), dir, append([]string{"--profile", profile, "--end", end.Format(time.RFC3339), "--seed", fmt.Sprint(seed + 1)}, flags...)...)
}

// Names are those of regions.
var Names = []string{"eu", "us", "ap", "sa"}

// Regions makes the data of n environments; flags are further ones of stride generate.
func Regions(t testing.TB, e *containers.Environment, n int, profile string, flags ...string) (all []Region) {
	t.Helper()
	for i, name := range Names[:n] {
		r := Region{Name: name, Dir: e.Dir("data-" + name)}
		r.Blocks = generate(t, r.Dir, i, End, profile, flags)
		r.Data = oracle.Open(t, r.Dir, labels.FromStrings("region", name))
		all = append(all, r)
	}
	return all
}

// Part is the data of some of a region's blocks alone.
func (r Region) Part(t testing.TB, e *containers.Environment, blocks ...int) Region {
	t.Helper()
	dir := e.Dir("part-" + r.Name)
	for _, i := range blocks {
		oracle.Copy(t, dir, r.Blocks[i])
	}
	return Region{Name: r.Name, Dir: dir, Blocks: oracle.Blocks(t, dir), Data: oracle.Open(t, dir, labels.FromStrings("region", r.Name))}
}

// Merged is the data of all regions.
func Merged(all []Region) storage.Queryable {
	var data []storage.Queryable
	for _, r := range all {
		data = append(data, r.Data)
	}
	return oracle.Merge(data...)
}

// Leaf is what a leaf has: stores that it asks, or blocks that it reads itself, and flags, which are those of Thanos' queriers too.
type Leaf struct {
	Name   string
	Stores []*containers.Node
	Blocks string
	Region string // of the blocks
	Flags  []string
}

// Stride is a Stride node as that leaf.
func (l Leaf) Stride(e *containers.Environment, o containers.Options, flags ...string) *containers.Node {
	flags = append(append(containers.Endpoints(l.Stores...), l.Flags...), flags...)
	if l.Blocks != "" {
		flags = append(flags, "--tsdb.path="+l.Blocks, "--external-label=region="+l.Region)
	}
	return e.StrideOf("stride", "leaf-"+l.Name, o, flags...)
}

// Thanos is a Thanos querier as that leaf, which has no blocks of its own.
func (l Leaf) Thanos(e *containers.Environment, o containers.Options, flags ...string) *containers.Node {
	return e.ThanosQueryOf("tleaf-"+l.Name, o, l.Stores, append(l.Flags, flags...)...)
}

// Strides are Stride nodes as those leaves.
func Strides(e *containers.Environment, o containers.Options, leaves []Leaf) (nodes []*containers.Node) {
	for _, l := range leaves {
		nodes = append(nodes, l.Stride(e, o))
	}
	return nodes
}

// ByReplica is the flag that takes away the label which tells the replicas of a server apart.
const ByReplica = "--query.replica-label=replica"

// Replica is a Prometheus server with its sidecar.
func Replica(t testing.TB, e *containers.Environment, region, name string, blocks ...string) *containers.Node {
	t.Helper()
	id := region + "-" + name
	dir := e.Dir("prometheus-" + id)
	oracle.Copy(t, dir, blocks...)
	p := e.Prometheus("prometheus-"+id, dir, map[string]string{"region": region, "replica": name})
	return e.Sidecar("sidecar-"+id, p, dir)
}
