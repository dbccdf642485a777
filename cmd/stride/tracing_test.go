package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/stride-promql/stride/cmd/stride/tracing/tracingtest"
)

// Spans of a query at a node and of its parts at others are one trace, that of the request. All nodes of this test are one process, so that
// one of them sends the spans of all.
func TestTraceAcrossNodes(t *testing.T) {
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	to := tracingtest.Start(t)
	file := filepath.Join(t.TempDir(), "tracing.yaml")
	require.NoError(t, os.WriteFile(file, []byte("type: OTLP\nconfig: {client_type: http, insecure: true, service_name: root, endpoint: "+to.HTTP+"}\n"), 0o600))
	_, flags := newCluster(t, "eu", "us").leaves(t)
	root := serveArgs(t, append(flags, "--tracing.config-file="+file, "--query.log-queries-longer-than=1ms")...)

	ask := func(path, trace string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, root.url+path, nil)
		require.NoError(t, err)
		req.Header.Set("traceparent", "00-"+trace+"-b7ad6b7169203331-01")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 200, res.StatusCode, string(body))
	}
	const queried, listed = "0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319d"
	ask("/api/v1/query?query=sum(sum_over_time(up[2h:1s]))&time="+sampleEnd, queried)
	ask("/api/v1/series?match[]=up", listed)
	require.Contains(t, root.body(t, "/api/v1/status/flags"), `"tracing.config":""`)
	require.Equal(t, exitOK, root.stop())
	require.Contains(t, root.log.String(), `"traceID":"`+queried+`"`) // of slow queries

	spans := map[string][]tracingtest.Span{}
	for _, s := range to.Spans() {
		require.Equal(t, "root", s.Service)
		require.NotContains(t, s.Name, "Info")
		if s.Parent == "b7ad6b7169203331" {
			spans[s.Trace] = append(spans[s.Trace], s)
		}
	}
	require.Len(t, spans[queried], 1)
	require.Len(t, spans[listed], 1)
	query, series := spans[queried][0], spans[listed][0]
	require.Equal(t, "query", query.Name)
	require.Equal(t, "server", query.Kind)
	require.Equal(t, "series", series.Name)
	require.Len(t, to.Within(query, "promqlInstantQuery"), 1)
	calls := to.Within(query, "remoteCall")
	require.Len(t, calls, 2)
	for _, call := range calls {
		require.Equal(t, "client", call.Kind)
		part := to.Within(call, "/stride.v1.Engine/Query")
		require.Len(t, part, 1)
		require.Equal(t, call.ID, part[0].Parent)
		require.Equal(t, "server", part[0].Kind)
		require.NotEmpty(t, to.Within(part[0], "querierSelect"))
	}
	require.Len(t, to.Within(series, "/stride.v1.Engine/Select"), 2)
}

// Errors are in the spans of all who saw them.
func TestFailedSpans(t *testing.T) {
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	to := tracingtest.Start(t)
	leaf := serve(t, sampleDir(t), "--external-label=cluster=eu", "--store.limits.request-series=1")
	root := serveArgs(t, "--endpoint="+leaf.nodes, "--tracing.config=type: OTLP\nconfig: {client_type: grpc, insecure: true, endpoint: "+to.GRPC+"}")
	status, body := root.get(t, "/api/v1/query", "query", "up", "time", sampleEnd, "partial_response", "0")
	require.Equal(t, 422, status, body)
	require.Contains(t, root.body(t, "/api/v1/status/flags"), `"tracing.config":"\u003csecret\u003e"`)
	require.Equal(t, exitOK, root.stop())
	failed := map[string]bool{}
	for _, s := range to.Spans() {
		require.Equal(t, "stride", s.Service)
		failed[s.Name] = failed[s.Name] || s.Failed
	}
	for _, name := range []string{"query", "promqlInstantQuery", "remoteCall", "/stride.v1.Engine/Query"} {
		require.True(t, failed[name], name)
	}
}

func TestTracingFlagErrors(t *testing.T) {
	dir := sampleDir(t)
	for want, args := range map[string][]string{
		"exclude each other":                {"--tracing.config-file=x", "--tracing.config=y"},
		"--tracing.config-file: open /none": {"--tracing.config-file=/none"},
		`--tracing.config: type "JAEGER"`:   {"--tracing.config=type: JAEGER"},
	} {
		got := stride(t, append([]string{"serve", "--tsdb.path", dir, "--web.listen-address=127.0.0.1:0", "--grpc-address="}, args...)...)
		require.Equal(t, exitUsage, got.code)
		require.Contains(t, got.stderr, want)
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "zipkin")
	require.Equal(t, exitUsage, stride(t, "serve", "--tsdb.path", dir).code)
}
