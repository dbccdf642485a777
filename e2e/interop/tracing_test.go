package interop

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/tracing/tracingtest"
)

// tracesTo is the flag that sends traces to a collector under the name of a service, in the form that Thanos has, too.
func tracesTo(t *testing.T, c *tracingtest.Collector, service string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tracing.yaml")
	text := fmt.Sprintf("type: OTLP\nconfig: {client_type: grpc, insecure: true, endpoint: %q, service_name: %s, sampler_type: parentbasedalwayssample}\n", c.GRPC, service)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return "--tracing.config-file=" + file
}

const (
	traceID  = "0af7651916cd43dd8448eb211c80319c"
	parentID = "b7ad6b7169203331"
)

// traced asks a query as a part of a trace.
func traced(t *testing.T, n *node, query string) {
	t.Helper()
	a := apiRequest{method: http.MethodGet, path: "query", params: instant(query), header: http.Header{"Traceparent": {"00-" + traceID + "-" + parentID + "-01"}}}.send(t, n.url)
	require.Equal(t, http.StatusOK, a.status, a)
}

// awaitSpan waits until a span has come, which processes send some seconds after it has ended.
func awaitSpan(t *testing.T, c *tracingtest.Collector, service, name string) tracingtest.Span {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		for _, s := range c.Spans() {
			if s.Trace == traceID && s.Service == service && s.Name == name {
				return s
			}
		}
	}
	t.Fatalf("no span %s of %s has come, but %v", name, service, c.Spans())
	return tracingtest.Span{}
}

// The parts of a query are spans within it, whichever process evaluates them: a Stride root asks a Stride node, and a Thanos root does.
func TestTraceAcrossProcesses(t *testing.T) {
	d := generate(t, steady)
	c := tracingtest.Start(t)
	leaf := stride(t, "--tsdb.path", d.dirs[0], "--external-label", "region=eu", tracesTo(t, c, "leaf"))

	t.Run("stride", func(t *testing.T) {
		root := stride(t, append(endpoints(leaf.grpc), tracesTo(t, c, "root"))...)
		traced(t, root, "sum(rate(http_requests_total[5m]))")
		outer, part := awaitSpan(t, c, "root", "query"), awaitSpan(t, c, "leaf", "/stride.v1.Engine/Query")
		require.Equal(t, parentID, outer.Parent)
		require.Equal(t, part.Parent, awaitSpan(t, c, "root", "remoteCall").ID)
		require.Contains(t, c.Within(outer, ""), part)
	})
	t.Run("thanos", func(t *testing.T) {
		root := thanosQuery(t, []string{leaf.grpc}, "--query.promql-engine=thanos", "--query.mode=distributed", tracesTo(t, c, "thanos"))
		traced(t, root, "sum(rate(http_requests_total[5m]))")
		part := awaitSpan(t, c, "leaf", "/thanos.Query/Query")
		require.NotEmpty(t, part.Parent)
		require.NotEmpty(t, awaitSpan(t, c, "leaf", "querierSelect").Parent)
	})
}
