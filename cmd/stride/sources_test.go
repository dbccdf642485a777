package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/stride-promql/stride/cmd/stride/livedata"
	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	nodeserver "github.com/stride-promql/stride/remote/server"
	"github.com/stride-promql/stride/source/extlabels"
)

// asStore makes a node look like a Thanos component that gives samples and evaluates nothing.
var asStore = grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	res, err := handler(ctx, req)
	if info, ok := res.(*thanospb.InfoResponse); ok {
		info.Stride, info.Query, info.ComponentType = nil, nil, "sidecar"
	}
	return res, err
})

// storeNode serves the samples of a directory with external labels, and gives its address.
func storeNode(t *testing.T, dir string, external labels.Labels, more ...grpc.ServerOption) (address string, stop func()) {
	t.Helper()
	return storeThatAnnounces(t, dir, external, []labels.Labels{external}, more...)
}

// storeThatAnnounces is a storeNode that announces these data sets, whatever there is.
func storeThatAnnounces(t *testing.T, dir string, external labels.Labels, announced []labels.Labels, more ...grpc.ServerOption) (address string, stop func()) {
	t.Helper()
	var coverage []remote.Coverage
	for _, l := range announced {
		coverage = append(coverage, remote.Coverage{Labels: l, Intervals: remote.Intervals{{Start: 0, End: math.MaxInt64}}})
	}
	d := livedata.New(dir, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, d.Load())
	s := nodeserver.New(newNodeEngine("store", engine.New(engine.Opts{}), extlabels.New(d, external), "", remote.PeerSource, func() ([]string, []remote.Coverage) {
		return nil, coverage
	}), nodeserver.Options{GRPC: append(more, asStore)})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		<-done
		d.Close()
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// Stores evaluate nothing, and may be copies: queries over them are evaluated at the node that asks them, over one series for all copies.
func TestStoresAsSources(t *testing.T) {
	c := newCluster(t, "eu", "us")
	data := c.merged(t)
	var flags []string
	var stops []func()
	for i, dir := range c.dirs {
		for _, replica := range []string{"a", "b"} {
			address, stop := storeNode(t, dir, labels.FromStrings("cluster", c.labels[i], "replica", replica))
			flags, stops = append(flags, "--endpoint="+address), append(stops, stop)
		}
	}
	leaf := serve(t, c.dirs[1], "--external-label=cluster=us")
	for name, args := range map[string][]string{
		"stores alone":         append(flags, "--query.replica-label=replica"),
		"local":                append(flags, "--query.replica-label=replica", "--query.mode=local"),
		"beside a Stride leaf": {flags[0], flags[1], "--endpoint=" + leaf.nodes, "--query.replica-label=replica"},
		"chain":                append(flags, "--query.replica-label=replica", "--deduplication.func=chain"),
	} {
		t.Run(name, func(t *testing.T) { requireAnswers(t, serveArgs(t, args...), data) })
	}

	root := serveArgs(t, append(flags, "--query.replica-label=replica")...)
	count := func(params ...string) string {
		return root.body(t, "/api/v1/query", append([]string{"query", "count by (cluster, replica) (up)", "time", sampleEnd}, params...)...)
	}
	require.Contains(t, count(), `{"metric":{"cluster":"eu"}`)
	require.NotContains(t, count(), "replica")
	require.Contains(t, count("dedup", "false"), `{"metric":{"cluster":"eu","replica":"b"}`)
	require.Contains(t, count("replicaLabels[]", "none"), `{"metric":{"cluster":"eu","replica":"b"}`)
	one := count("storeMatch[]", `{__address__="`+flags[0][len("--endpoint="):]+`"}`)
	require.Contains(t, one, `{"metric":{"cluster":"eu"}`)
	require.NotContains(t, one, `"us"`)
	require.Contains(t, root.body(t, "/api/v1/stores"), `"sidecar":[`)
	require.Equal(t, `{"status":"success","data":["eu","us"]}`, root.body(t, "/api/v1/label/cluster/values"))
	require.NotContains(t, root.body(t, "/api/v1/labels"), "replica")

	// What is lost is named, or the query fails.
	stops[0]()
	lost := flags[0][len("--endpoint="):]
	require.Contains(t, count("partial_response", "1"), lost)
	require.Contains(t, count("partial_response", "1"), `{"metric":{"cluster":"eu"}`) // the other copy
	status, body := root.get(t, "/api/v1/query", "query", "count(up)", "time", sampleEnd, "partial_response", "0")
	require.NotEqual(t, 200, status)
	require.Contains(t, body, lost)
	require.Contains(t, root.body(t, "/api/v1/labels", "partial_response", "1"), lost)
}

// Stores with the same data are a group: one of them answers, or the other one.
func TestStoresAsReplicas(t *testing.T) {
	c := newCluster(t, "eu", "us")
	data := c.merged(t)
	config := "endpoints:\n"
	var stops []func()
	for i, dir := range c.dirs {
		for range 2 {
			address, stop := storeNode(t, dir, labels.FromStrings("cluster", c.labels[i]))
			config += fmt.Sprintf("- {address: %q, group: %q}\n", address, c.labels[i])
			stops = append(stops, stop)
		}
	}
	file := filepath.Join(t.TempDir(), "endpoints.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	for _, mode := range []string{"local", "distributed"} {
		t.Run(mode, func(t *testing.T) {
			root := serveArgs(t, "--endpoint.sd-config-file="+file, "--query.mode="+mode)
			requireAnswers(t, root, data)
			if mode == "distributed" {
				stops[0]()
				stops[3]()
				requireAnswers(t, root, data)
			}
		})
	}
}

// A root that starts while members of groups are down, whatever kind of node and whichever address is first, answers as if they were up: without
// an error, and without a warning. Once the member that is left is lost, too, the error names both.
func TestRootStartsWhileReplicasAreDown(t *testing.T) {
	c := newCluster(t, "eu", "us")
	data := c.merged(t)
	dead := []string{"127.0.0.1:1", "127.0.0.1:9"} // nobody listens there: one is before, one behind the other addresses
	for _, tc := range []struct {
		kind, mode string
		start      func(t *testing.T, dir, cluster string) (address string, stop func())
	}{
		{"leaves", "distributed", leafNode},
		{"leaves", "local", leafNode},
		{"stores", "distributed", func(t *testing.T, dir, cluster string) (address string, stop func()) {
			return storeNode(t, dir, labels.FromStrings("cluster", cluster))
		}},
	} {
		t.Run(tc.kind+" "+tc.mode, func(t *testing.T) {
			config := "endpoints:\n"
			var stops []func()
			for i, dir := range c.dirs {
				address, stop := tc.start(t, dir, c.labels[i])
				config += fmt.Sprintf("- {address: %q, group: %q}\n- {address: %q, group: %q}\n", address, c.labels[i], dead[i], c.labels[i])
				stops = append(stops, stop)
			}
			file := filepath.Join(t.TempDir(), "endpoints.yaml")
			require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
			root := serveArgs(t, "--endpoint.sd-config-file="+file, "--query.mode="+tc.mode, "--endpoint.info-timeout=2s")
			requireAnswers(t, root, data)
			ask := func() (int, string) {
				return root.get(t, "/api/v1/query", "query", "count(up)", "time", sampleEnd, "partial_response", "0")
			}
			status, body := ask()
			require.Equal(t, 200, status, body)
			metrics := root.body(t, "/metrics")
			for _, d := range dead {
				require.Contains(t, metrics, `stride_replica_picks_total{member="`+d+`"} 0`)
			}
			stops[0]()
			status, body = ask()
			require.NotEqual(t, 200, status, body)
			require.Contains(t, body, "no member of replica group eu answered")
			require.Contains(t, body, "remote engine "+dead[0]+": it")
		})
	}
}

// leafNode serves a directory, and gives its address.
func leafNode(t *testing.T, dir, cluster string) (address string, stop func()) {
	t.Helper()
	leaf := serve(t, dir, "--external-label=cluster="+cluster)
	return leaf.nodes, func() { leaf.stop() }
}

// A store that hangs is named by the time that the query may take at most.
func TestStoreThatHangs(t *testing.T) {
	c := newCluster(t, "eu", "us")
	hangs := grpc.ChainStreamInterceptor(func(_ any, s grpc.ServerStream, info *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
		<-s.Context().Done()
		return s.Context().Err()
	})
	well, _ := storeNode(t, c.dirs[0], labels.FromStrings("cluster", "eu"))
	hung, _ := storeNode(t, c.dirs[1], labels.FromStrings("cluster", "us"), hangs)
	root := serveArgs(t, "--endpoint="+well, "--endpoint="+hung, "--query.mode=local")
	for _, partial := range []string{"0", "1"} {
		status, body := root.get(t, "/api/v1/query", "query", "count by (cluster) (up)", "time", sampleEnd, "partial_response", partial, "timeout", "500ms")
		require.NotEqual(t, 200, status)
		require.Contains(t, body, "remote engine "+hung+": context deadline exceeded")
	}
}
