package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/observe"
)

// node is a process that others ask: users by HTTP, nodes by gRPC.
type node struct {
	*process
	url, grpc string
}

// stride starts a Stride node.
func stride(t *testing.T, args ...string) *node {
	t.Helper()
	a := addresses(t, 2)
	n := &node{url: "http://" + a[0], grpc: a[1]}
	n.process = start(t, binary(t, "stride"), append([]string{"serve", "--web.listen-address", a[0], "--grpc-address", a[1]}, args...)...)
	n.waitFor(t, n.url+"/-/ready", anything)
	return n
}

// thanosQuery starts a Thanos querier over n endpoints. It says that it is ready before it knows any.
func thanosQuery(t *testing.T, endpoints []string, args ...string) *node {
	t.Helper()
	a := addresses(t, 2)
	n := &node{url: "http://" + a[0], grpc: a[1]}
	args = append([]string{"query", "--http-address", a[0], "--grpc-address", a[1], "--query.replica-label=replica"}, args...)
	for _, e := range endpoints {
		args = append(args, "--endpoint="+e)
	}
	n.process = start(t, binary(t, "thanos"), args...)
	n.waitFor(t, n.url+"/metrics", observe.ThanosKnows(len(endpoints)))
	return n
}

// prometheusServer starts a Prometheus server on a copy of a data directory.
func prometheusServer(t *testing.T, data string, external map[string]string) (n *node, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.CopyFS(dir, os.DirFS(data)))
	config := "global:\n  external_labels:\n"
	for name, value := range external {
		config += fmt.Sprintf("    %s: %q\n", name, value)
	}
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	a := addresses(t, 1)
	n = &node{url: "http://" + a[0]}
	n.process = start(t, binary(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+dir, "--web.listen-address="+a[0],
		"--storage.tsdb.retention.time=100y", "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h", "--log.level=warn")
	n.waitFor(t, n.url+"/-/ready", anything)
	return n, dir
}

// sidecar starts a Thanos sidecar of a Prometheus server.
func sidecar(t *testing.T, p *node, dir string) *node {
	t.Helper()
	a := addresses(t, 2)
	n := &node{url: "http://" + a[0], grpc: a[1]}
	n.process = start(t, binary(t, "thanos"), "sidecar", "--prometheus.url="+p.url, "--tsdb.path="+dir, "--http-address="+a[0], "--grpc-address="+a[1])
	n.waitFor(t, n.url+"/-/ready", anything)
	return n
}

// pair are two replicas of a Prometheus server with their sidecars.
func pair(t *testing.T, data, region string, replicas ...string) (sidecars []string) {
	t.Helper()
	for _, replica := range replicas {
		p, dir := prometheusServer(t, data, map[string]string{"region": region, "replica": replica})
		sidecars = append(sidecars, sidecar(t, p, dir).grpc)
	}
	return sidecars
}

func endpoints(nodes ...string) []string {
	return strings.Split("--endpoint="+strings.Join(nodes, " --endpoint="), " ")
}
