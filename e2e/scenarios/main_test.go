// Package scenarios runs the deployments that Stride is made for, in containers, with real Prometheus and Thanos, and compares answers with those of
// Prometheus' engine over all of the data. `make e2e` runs them.
package scenarios

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/oracle"
)

// dataEnd is where the data ends.
var dataEnd = time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)

// Profiles of data. Where Thanos evaluates queries over samples, counters are not reset: it evaluates rate and its like over running totals there.
const (
	everything = "default"
	steady     = "steady"
)

// region is the data of one environment: eight hours in four blocks.
type region struct {
	name   string
	dir    string
	blocks []string
	data   storage.Queryable
}

var regionNames = []string{"eu", "us", "ap", "sa"}

// regions makes the data of some environments.
func regions(t *testing.T, e *containers.Environment, n int, profile string) (all []region, right *oracle.Oracle) {
	t.Helper()
	var data []storage.Queryable
	for i, name := range regionNames[:n] {
		r := region{name: name, dir: e.Dir("data-" + name)}
		r.blocks = oracle.Generate(t, containers.Program(t, "stride"), r.dir, "--profile", profile, "--series", "300", "--duration", "8h", "--end", dataEnd.Format(time.RFC3339), "--seed", fmt.Sprint(i+1))
		r.data = oracle.Open(t, r.dir, labels.FromStrings("region", name))
		all = append(all, r)
		data = append(data, r.data)
	}
	return all, oracleOf(data...)
}

// keep is the data of some of a region's blocks alone.
func (r region) keep(t *testing.T, e *containers.Environment, blocks ...int) region {
	t.Helper()
	dir := e.Dir("part-" + r.name)
	for _, i := range blocks {
		oracle.Copy(t, dir, r.blocks[i])
	}
	return region{name: r.name, dir: dir, blocks: oracle.Blocks(t, dir), data: oracle.Open(t, dir, labels.FromStrings("region", r.name))}
}

// oracleOf asks for the last seven hours at steps of seven minutes, so that every block and every seam counts.
func oracleOf(data ...storage.Queryable) *oracle.Oracle {
	return &oracle.Oracle{Data: oracle.Merge(data...), Start: dataEnd.Add(-7 * time.Hour), End: dataEnd, Step: 7 * time.Minute}
}

// replica is a Prometheus server with its sidecar.
func replica(t *testing.T, e *containers.Environment, region, name string, blocks ...string) *containers.Node {
	t.Helper()
	id := region + "-" + name
	dir := e.Dir("prometheus-" + id)
	oracle.Copy(t, dir, blocks...)
	p := e.Prometheus("prometheus-"+id, dir, map[string]string{"region": region, "replica": name})
	return e.Sidecar("sidecar-"+id, p, dir)
}

const byReplica = "--query.replica-label=replica"
