package main

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// What a node itself may not take is an error, whether its own data or samples of stores are evaluated, though sources that fail may be
// left out. Of another node it is a failure like any other.
func TestOwnLimitsAreErrors(t *testing.T) {
	c := newCluster(t, "eu", "us")
	_, flags := c.leaves(t)
	store, _ := storeNode(t, c.dirs[0], labels.FromStrings("cluster", "eu"))
	for name, args := range map[string][]string{
		"own data": {"--tsdb.path=" + c.dirs[0], "--external-label=cluster=eu", flags[1]},
		"stores":   {"--endpoint=" + store, flags[1]},
	} {
		t.Run(name, func(t *testing.T) {
			root := serveArgs(t, append(args, "--query.memory-budget=2KB")...)
			status, body := root.get(t, "/api/v1/query", "query", "sum(rate(http_requests_total[10m]))", "time", sampleEnd, "partial_response", "1")
			require.Equal(t, 422, status, body)
			require.Contains(t, body, "remote engine "+name+": query needs more memory than its budget")

			above := serveArgs(t, "--endpoint="+root.nodes, flags[1])
			status, body = above.get(t, "/api/v1/query", "query", "count(count by (cluster) (rate(http_requests_total[10m])))", "time", sampleEnd, "partial_response", "1")
			require.Equal(t, 200, status, body)
			require.Contains(t, body, root.nodes)
			require.Contains(t, body, "more memory than its budget")
		})
	}
}

// Samples that come over the network are on the account of the query, also those that deduplication is to make one series of.
func TestMemoryOfSources(t *testing.T) {
	dir := seededDir(t, 1)
	a, _ := storeNode(t, dir, labels.FromStrings("cluster", "eu", "replica", "a"))
	b, _ := storeNode(t, dir, labels.FromStrings("cluster", "eu", "replica", "b"))
	for budget, status := range map[string]int{"64KB": 422, "10MB": 200} {
		root := serveArgs(t, "--endpoint="+a, "--endpoint="+b, "--query.replica-label=replica", "--query.memory-budget="+budget)
		got, body := root.get(t, "/api/v1/query", "query", `count(sum_over_time(http_requests_total[1h]))`, "time", sampleEnd)
		require.Equal(t, status, got, "%s: %s", budget, body)
	}
}
