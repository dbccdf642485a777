package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

// serving is a node that runs in this process.
type serving struct {
	url    string
	nodes  string // the address for other nodes
	cancel context.CancelFunc
	done   chan int // the exit code
	log    *strings.Builder
	read   chan struct{} // closed when all of the log has been read
}

// serve starts a node on dir and waits until it is ready.
func serve(t *testing.T, dir string, args ...string) *serving {
	t.Helper()
	return serveArgs(t, append([]string{"--tsdb.path", dir}, args...)...)
}

// serveArgs starts a node and waits until it is ready.
func serveArgs(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &serving{cancel: cancel, done: make(chan int, 1), log: &strings.Builder{}, read: make(chan struct{})}
	in, out := io.Pipe()
	go func() {
		s.done <- run(ctx, append([]string{"serve", "--web.listen-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0", "--log.format=json"}, args...),
			strings.NewReader(""), io.Discard, out)
		_ = out.Close()
	}()
	ready := make(chan struct{})
	go func() {
		defer close(s.read)
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			s.log.WriteString(lines.Text() + "\n")
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue // the error that ends the command
			}
			switch {
			case line.Msg == "Listening":
				s.url = "http://" + line.Address
			case line.Msg == "Listening for other nodes":
				s.nodes = line.Address
			case strings.HasPrefix(line.Msg, "Ready"):
				close(ready)
			}
		}
	}()
	t.Cleanup(func() { s.stop() })
	select {
	case <-ready:
	case <-s.read:
		t.Fatalf("the node did not become ready:\n%s", s.log)
	}
	return s
}

// stop interrupts the node and returns its exit code. It may be called again.
func (s *serving) stop() int {
	s.cancel()
	code := <-s.done
	s.done <- code
	<-s.read
	return code
}

// get returns the status and the body of an answer.
func (s *serving) get(t *testing.T, path string, params ...string) (int, string) {
	t.Helper()
	v := url.Values{}
	for i := 0; i < len(params); i += 2 {
		v.Add(params[i], params[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(s.url + path + "?" + v.Encode())
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

// body is get of what is found.
func (s *serving) body(t *testing.T, path string, params ...string) string {
	t.Helper()
	status, body := s.get(t, path, params...)
	require.Equal(t, 200, status, body)
	return body
}

func TestServe(t *testing.T) {
	dir := sampleDir(t)
	before := fingerprint(t, dir)
	s := serve(t, dir, "--query.max-concurrency=3", "--query.memory-limit=64MB", "--enable-feature=promql-per-step-stats")
	for _, expr := range []string{"up", "sum by (job) (rate(http_requests_total[5m]))", "rpc_duration_seconds", "up[1m]", "nothing"} {
		got := s.body(t, "/api/v1/query", "query", expr, "time", sampleEnd)
		require.Equal(t, prometheusJSON(t, dir, expr, []string{"--time", sampleEnd}), got+"\n", expr)
	}
	require.Equal(t, prometheusJSON(t, dir, "sum(up)", []string{"--start", "last-10m", "--end", sampleEnd, "--step", "30s"}),
		s.body(t, "/api/v1/query_range", "query", "sum(up)", "start", lastSample(t, s, "-10m"), "end", sampleEnd, "step", "30")+"\n")

	require.Equal(t, "Stride is Healthy.\n", s.body(t, "/-/healthy"))
	require.Equal(t, "Stride is Ready.\n", s.body(t, "/-/ready"))
	require.Contains(t, s.body(t, "/api/v1/status/buildinfo"), `"goVersion":"go1.`)
	require.Equal(t, `{"status":"success","data":{"maxConcurrent":3,"queries":[]}}`, s.body(t, "/api/v1/status/active_queries"))
	require.Contains(t, s.body(t, "/api/v1/status/flags"), `"query.max-concurrency":"3"`)
	require.Contains(t, s.body(t, "/api/v1/status/config"), `"yaml":"global: {}\n"`)
	require.Contains(t, s.body(t, "/api/v1/status/runtimeinfo"), `"GOMAXPROCS":`)
	require.Contains(t, s.body(t, "/api/v1/query", "query", "up", "time", sampleEnd, "stats", "all"), `"totalQueryableSamplesPerStep":[[1767322800,`)
	metrics := s.body(t, "/metrics")
	for _, line := range []string{
		"prometheus_engine_queries_concurrent_max 3\n", "stride_query_memory_limit_bytes 6.7108864e+07\n", "stride_query_memory_waiting 0\n",
		`stride_tsdb_loads_total{result="success"} 1` + "\n", "stride_build_info{", "go_goroutines ", `http_requests_total{code="200",handler="query",method="get"} `,
	} {
		require.Contains(t, metrics, line)
	}
	require.Equal(t, exitOK, s.stop())
	require.Contains(t, s.log.String(), `"msg":"Shutting down"`)
	require.Equal(t, before, fingerprint(t, dir))
}

// lastSample is the time of the newest sample that a node has, with an offset, as RFC 3339.
func lastSample(t *testing.T, s *serving, offset string) string {
	t.Helper()
	var stores struct {
		Data map[string][]struct{ MaxTime int64 }
	}
	require.NoError(t, json.Unmarshal([]byte(s.body(t, "/api/v1/stores")), &stores))
	off, err := parseOffset(offset)
	require.NoError(t, err)
	return formatTime(stores.Data["store"][0].MaxTime + off.Milliseconds())
}

func TestServeExternalLabels(t *testing.T) {
	s := serve(t, sampleDir(t), "--external-label=cluster=eu-1", `--external-label=a="b c"`)
	require.Equal(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b c","cluster":"eu-1"},"value":[1767322800,"1"]}]}}`,
		s.body(t, "/api/v1/query", "query", `group by (a, cluster) ({cluster="eu-1"})`, "time", sampleEnd))
	require.Equal(t, `{"status":"success","data":{"resultType":"vector","result":[]}}`, s.body(t, "/api/v1/query", "query", `up{cluster="eu-2"}`, "time", sampleEnd))
	require.Equal(t, `{"status":"success","data":["eu-1"]}`, s.body(t, "/api/v1/label/cluster/values"))
	require.Contains(t, s.body(t, "/api/v1/stores"), `"labelSets":[{"a":"b c","cluster":"eu-1"}]`)
	require.Contains(t, s.body(t, "/api/v1/status/config"), `"global:\n  external_labels:\n    \"a\": \"b c\"\n    \"cluster\": \"eu-1\"\n"`)
}

// A server that runs adds to the directory while it is served.
func TestServeLiveDirectory(t *testing.T) {
	dir := t.TempDir()
	db, err := tsdb.Open(dir, nil, nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	s := serve(t, dir, "--tsdb.refresh-interval=1ms")
	require.Contains(t, s.body(t, "/api/v1/stores"), `"data":{}`)
	app := db.Appender(t.Context())
	_, err = app.Append(0, labels.FromStrings("__name__", "up"), 60_000, 1)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	for s.body(t, "/api/v1/query", "query", "up", "time", "60") == `{"status":"success","data":{"resultType":"vector","result":[]}}` {
	}
	require.Contains(t, s.body(t, "/api/v1/stores"), `"maxTime":60000`)
}

func TestServeErrors(t *testing.T) {
	dir := sampleDir(t)
	running := serve(t, dir)
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--external-label=a"}, exitUsage, `--external-label a: write NAME=VALUE`},
		{[]string{"--external-label=a="}, exitUsage, `--external-label a=: write NAME=VALUE`},
		{[]string{"--external-label==b"}, exitUsage, `--external-label =b: "" is no name of a label`},
		{[]string{"--external-label=__name__=b"}, exitUsage, `--external-label __name__=b: the name of all metrics would be hidden`},
		{[]string{"--external-label=a=b", "--external-label=a=c"}, exitUsage, `--external-label a=c: there is another one of that name`},
		{[]string{"--web.cors.origin=("}, exitUsage, `--web.cors.origin: error parsing regexp`},
		{[]string{"--query.max-concurrency=0"}, exitUsage, `--query.max-concurrency must be at least 1`},
		{[]string{"--store.limits.request-series=-1"}, exitUsage, `must not be negative`},
		{[]string{"--endpoint=127.0.0.1:1", "--endpoint.limits.select-samples=-1"}, exitUsage, `must not be negative`},
		{[]string{"--grpc-compression=zip"}, exitUsage, `enum value must be one of snappy,none`},
		{[]string{"--log.level=loud"}, exitUsage, `enum value must be one of debug,info,warn,error`},
		{[]string{"--enable-feature=flying"}, exitUsage, `--enable-feature "flying"`},
		{[]string{"--web.listen-address=" + strings.TrimPrefix(running.url, "http://")}, exitServer, `address already in use`},
		{[]string{"--tsdb.path=" + dir + "/none"}, exitStorage, `no such directory`},
	} {
		args := []string{"serve"}
		for name, value := range map[string]string{"--web.listen-address": "127.0.0.1:0", "--grpc-address": "127.0.0.1:0", "--tsdb.path": dir, "--log.level": "error"} {
			if !strings.HasPrefix(tc.args[0], name+"=") {
				args = append(args, name, value)
			}
		}
		args = append(args, tc.args...)
		got := stride(t, args...)
		require.Equal(t, tc.code, got.code, "%v: %s", tc.args, got.stderr)
		require.Contains(t, got.stderr, tc.want)
	}
}
