// Package scenarios runs the deployments that Stride is made for, in containers, with real Prometheus and Thanos, and compares answers with those of
// Prometheus' engine over all of the data. `make e2e` runs them.
package scenarios

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/containers"
	"github.com/stride-promql/stride/e2e/deployments"
	"github.com/stride-promql/stride/e2e/oracle"
)

// size is that of an environment: eight hours of data in four blocks.
var size = []string{"--series", "300", "--duration", "8h"}

// regions are environments of that size.
func regions(t *testing.T, e *containers.Environment, n int, profile string) ([]deployments.Region, *oracle.Oracle) {
	t.Helper()
	all := deployments.Regions(t, e, n, profile, size...)
	return all, oracleOf(deployments.Merged(all))
}

// oracleOf asks for the last seven hours at steps of seven minutes, so that every block and every seam counts.
func oracleOf(data storage.Queryable) *oracle.Oracle {
	return &oracle.Oracle{Data: data, Start: deployments.End.Add(-7 * time.Hour), End: deployments.End, Step: 7 * time.Minute}
}

// byExternalLabel are queries that name nothing but external labels, which Thanos' queriers cannot ask stores for.
var byExternalLabel = []string{`count({region="eu"})`, `count by (__name__, region) ({region=~"eu|us"})`, `count({region!=""})`}

// inBothModes puts leaves and a root above a deployment, which evaluates parts of queries at the leaves, and fetches samples from them.
func inBothModes(t *testing.T, e *containers.Environment, right *oracle.Oracle, leaves []deployments.Leaf, flags ...string) {
	t.Helper()
	nodes := deployments.Strides(e, containers.Options{}, leaves)
	for _, mode := range []string{"distributed", "local"} {
		t.Run(mode, func(t *testing.T) {
			before := takenBy(nodes...)
			root := e.Stride("root-"+mode, append(append(containers.Endpoints(nodes...), "--query.mode="+mode), flags...)...)
			right.Answers(t, root.URL, append(oracle.Queries(), byExternalLabel...))
			after := takenBy(nodes...)
			sent := root.Metric(endpointRequests, parts)
			if mode == "local" {
				require.Zero(t, sent, "the root asks for samples alone")
				require.Equal(t, before, after)
				return
			}
			// Queries that cannot be split are asked for samples as well.
			require.NotZero(t, sent)
			for i, n := range nodes {
				if after[i] == before[i] { // as a leaf does to which no region's name hashes
					all := n.Get("/api/v1/query?" + url.Values{"query": {`count({region=~".+"} or {region=~".+"} offset 4h)`}, "time": {fmt.Sprint(deployments.End.Unix())}}.Encode())
					require.Contains(t, all, `"result":[]`, "%s evaluates nothing", n.Name)
				}
			}
		})
	}
}

// The metrics that count requests between nodes, and the method by which Stride nodes ask others to evaluate parts of queries: those for samples have
// others.
const (
	endpointRequests = "stride_endpoint_request_duration_seconds_count"
	serverRequests   = "stride_remote_server_request_duration_seconds_count"
	parts            = `method="/stride.v1.Engine/Query"`
)

// takenBy is how many parts of queries each of some nodes has been asked by others.
func takenBy(nodes ...*containers.Node) (out []float64) {
	for _, n := range nodes {
		out = append(out, n.Metric(serverRequests, parts))
	}
	return out
}
