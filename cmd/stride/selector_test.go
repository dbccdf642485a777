package main

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/livedata"
)

// A node over stores of several data sets looks at those only that rules select, and tells its root of no others.
func TestSelector(t *testing.T) {
	c := newCluster(t, "eu", "us")
	var stores []string
	for i, dir := range c.dirs {
		for _, env := range []string{"prod", "te.t"} {
			address, _ := storeNode(t, dir, labels.FromStrings("cluster", c.labels[i], "env", env, "replica", "a"))
			stores = append(stores, "--endpoint="+address)
		}
	}
	replica := "--query.replica-label=replica"
	// This node holds four data sets, and evaluates queries.
	four := serveArgs(t, append(stores, replica)...)
	rules := `[{action: keep, source_labels: [cluster, env], separator: "/", regex: "eu/te\\.t|us/prod"}]`
	const sets = `count by (cluster, env) (up)`
	for name, args := range map[string][]string{
		"stores":            append(stores, "--selector.relabel-config="+rules),
		"a node":            {"--endpoint=" + four.nodes, "--selector.relabel-config=" + rules},
		"a node, not split": {"--endpoint=" + four.nodes, "--query.mode=local", "--selector.relabel-config=" + rules},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := serveArgs(t, append(args, replica)...)
			root := serveArgs(t, "--endpoint="+leaf.nodes)
			for _, node := range []*serving{leaf, root} {
				found := node.body(t, "/api/v1/query", "query", sets, "time", sampleEnd)
				require.Contains(t, found, `{"metric":{"cluster":"eu","env":"te.t"}`)
				require.Contains(t, found, `{"metric":{"cluster":"us","env":"prod"}`)
				require.NotContains(t, found, `{"cluster":"eu","env":"prod"}`)
				require.NotContains(t, found, `{"cluster":"us","env":"te.t"}`)
				series := node.body(t, "/api/v1/series", "match[]", "up")
				require.Contains(t, series, `"cluster":"us","env":"prod"`)
				require.NotContains(t, series, `"cluster":"eu","env":"prod"`)
				require.Equal(t, `{"status":"success","data":["te.t"]}`, node.body(t, "/api/v1/label/env/values", "match[]", `{cluster="eu"}`))
				require.Equal(t, `{"status":"success","data":["eu","us"]}`, node.body(t, "/api/v1/label/cluster/values"))
				require.Equal(t, `{"status":"success","data":[]}`, node.body(t, "/api/v1/labels", "match[]", `{cluster="eu",env="prod"}`))
			}
			announced := root.body(t, "/api/v1/stores")
			require.Contains(t, announced, `{"cluster":"us","env":"prod"}`)
			require.NotContains(t, announced, `{"cluster":"eu","env":"prod"}`)
		})
	}
}

// Data sets that a store has got since it was last asked what it has stay out, whether rules keep them or not. What its series have as instance are
// external labels here.
func TestSelectorOfNewDataSets(t *testing.T) {
	dir := seededDir(t, 1)
	instances := valuesIn(t, dir, "instance")
	require.Greater(t, len(instances), 2)
	for name, announced := range map[string][]string{"all that are announced are kept": instances[:1], "one is not": instances[:2]} {
		t.Run(name, func(t *testing.T) {
			var sets []labels.Labels
			for _, i := range announced {
				sets = append(sets, labels.FromStrings("instance", i))
			}
			address, _ := storeThatAnnounces(t, dir, labels.EmptyLabels(), sets)
			node := serveArgs(t, "--endpoint="+address, "--selector.relabel-config=[{action: keep, source_labels: [instance], regex: "+regexp.QuoteMeta(instances[0])+"}]")
			for path, args := range map[string][]string{
				"/api/v1/query": {"query", `count by (instance) (up)`, "time", sampleEnd}, "/api/v1/series": {"match[]", "up"}, "/api/v1/label/instance/values": nil,
			} {
				got := node.body(t, path, args...)
				require.Contains(t, got, `"`+instances[0]+`"`, path)
				for _, other := range instances[1:] {
					require.NotContains(t, got, `"`+other+`"`, path)
				}
			}
		})
	}
}

// valuesIn are the values of a label in a directory.
func valuesIn(t *testing.T, dir, name string) (out []string) {
	t.Helper()
	d := livedata.New(dir, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, d.Load())
	defer d.Close()
	q, err := d.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	values, _, err := q.LabelValues(t.Context(), name, nil)
	require.NoError(t, err)
	for _, v := range values {
		out = append(out, strings.Clone(v)) // the directory's memory goes with it
	}
	return out
}

// Each of several nodes that share data sets by a hash has its own, and all have all of them, once.
func TestSelectorOfShards(t *testing.T) {
	dir := seededDir(t, 1)
	var stores, leaves []string
	for i := range 5 {
		address, _ := storeNode(t, dir, labels.FromStrings("tenant", fmt.Sprintf("t(%d", i)))
		stores = append(stores, "--endpoint="+address)
	}
	for shard := range 2 {
		leaf := serveArgs(t, append(stores, fmt.Sprintf(
			`--selector.relabel-config=[{action: hashmod, source_labels: [tenant], target_label: __s, modulus: 2}, {action: keep, source_labels: [__s], regex: "%d"}]`, shard))...)
		leaves = append(leaves, "--endpoint="+leaf.nodes)
	}
	all := serveArgs(t, stores...)
	root := serveArgs(t, leaves...)
	for _, expr := range []string{`count by (tenant) (up)`, `sum(rate(http_requests_total[5m]))`, `count(up{tenant=~"t.*"})`} {
		require.Equal(t, all.body(t, "/api/v1/query", "query", expr, "time", sampleEnd), root.body(t, "/api/v1/query", "query", expr, "time", sampleEnd), expr)
	}
}

// A node's own data is a data set, too; rules in a file may change.
func TestSelectorOfOwnData(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yml")
	write := func(value string) {
		require.NoError(t, os.WriteFile(file, []byte(`[{action: keep, source_labels: [replica], regex: "`+value+`"}]`), 0o600))
	}
	write("b")
	node := serve(t, seededDir(t, 1), "--external-label=cluster=eu", "--external-label=replica=a", "--query.replica-label=replica",
		"--selector.relabel-config-file="+file, "--selector.relabel-config-reload-interval=20ms")
	count := func() string { return node.body(t, "/api/v1/query", "query", "count(up)", "time", sampleEnd) }
	require.Contains(t, count(), `"result":[]`)
	require.Equal(t, `{"status":"success","data":[]}`, node.body(t, "/api/v1/label/cluster/values"))
	require.NotContains(t, node.body(t, "/api/v1/stores"), "eu")
	write("a")
	require.Eventually(t, func() bool {
		return count() != "" && node.body(t, "/api/v1/label/cluster/values") == `{"status":"success","data":["eu"]}`
	}, 10*time.Second, 20*time.Millisecond)
	require.NotContains(t, count(), `"result":[]`)
	require.Contains(t, node.body(t, "/api/v1/stores"), "eu")

	out := stride(t, "serve", "--selector.relabel-config=[]", "--selector.relabel-config-file="+file)
	require.Equal(t, exitUsage, out.code)
	require.Contains(t, out.stderr, "cannot go together")
	out = stride(t, "serve", "--selector.relabel-config=[{action: replace, target_label: a}]")
	require.Equal(t, exitUsage, out.code)
	require.Contains(t, out.stderr, "keep, drop or hashmod")
}
