package api

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
)

// The requests that Grafana's Prometheus data source makes: when it is tested, when its builder and its variables list metrics
// and labels, and for panels.
func TestGrafana(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t), Build: BuildInfo{Version: "1.2.3"}})
	for _, tc := range []struct {
		w    *httptest.ResponseRecorder
		want string
	}{
		{post(mux, "query", values(t, "query", "1+1", "time", "4")), `{"resultType":"scalar","result":[4,"2"]}`},
		{get(mux, "status/buildinfo", nil), `{"version":"1.2.3","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":""}`},
		{get(mux, "label/__name__/values", values(t, "start", "1640995200", "end", "1641016800")), `[]`},
		{get(mux, "label/pod/values", values(t, "match[]", "requests_total", "start", "0", "end", "6000")), `["a","b"]`},
		{post(mux, "labels", values(t, "match[]", `{__name__="requests_total"}`, "start", "0", "end", "6000", "limit", "40000")), `["__name__","pod"]`},
		{get(mux, "series", values(t, "match[]", `requests_total{pod="a"}`, "start", "0", "end", "6000")), `[{"__name__":"requests_total","pod":"a"}]`},
		{get(mux, "metadata", values(t, "limit", "5000")), `{}`},
		{post(mux, "query_range", values(t, "query", `sum(rate(requests_total[5m]))`, "start", "3600", "end", "3660", "step", "60")),
			`{"resultType":"matrix","result":[{"metric":{},"values":[[3600,"1.5"],[3660,"1.5"]]}]}`},
		{post(mux, "query_range", values(t, "query", `requests_total{pod="b"}`, "start", "60.000", "end", "60.000", "step", "15", "timeout", "60s")),
			`{"resultType":"matrix","result":[{"metric":{"__name__":"requests_total","pod":"b"},"values":[[60,"30"]]}]}`},
		{post(mux, "query_exemplars", values(t, "query", "requests_total", "start", "0", "end", "60")), `[]`},
		{get(mux, "rules", nil), `{"groups":[]}`},
		{get(mux, "rules", values(t, "type", "alert", "group_limit", "100")), `{"groups":[]}`},
		{get(mux, "alerts", nil), `{"alerts":[]}`},
		{get(mux, "alertmanagers", nil), `{"activeAlertmanagers":[],"droppedAlertmanagers":[]}`},
		{get(mux, "targets", values(t, "state", "any")), `{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}`},
		{get(mux, "scrape_pools", nil), `{"scrapePools":[]}`},
	} {
		require.Equal(t, 200, tc.w.Code, tc.w.Body)
		require.Equal(t, success(tc.want), tc.w.Body.String())
	}
}

func TestMetadataAndExemplars(t *testing.T) {
	mux := newMux(Options{})
	for _, tc := range []struct {
		path   string
		params []string
		code   int
		want   string
	}{
		{"metadata", []string{"metric", "up", "limit_per_metric", "1"}, 200, success("{}")},
		{"metadata", []string{"limit", "x"}, 400, failure(errorBadData, "limit must be a number")},
		{"metadata", []string{"limit_per_metric", "x"}, 400, failure(errorBadData, "limit_per_metric must be a number")},
		{"query_exemplars", []string{"query", "1"}, 204, ""},
		{"query_exemplars", []string{"query", "up("}, 400, failure(errorBadData, "1:4: parse error: unclosed left parenthesis")},
		{"query_exemplars", []string{"query", "up", "start", "2", "end", "1"}, 400, failure(errorBadData, "end timestamp must not be before start timestamp")},
	} {
		w := get(mux, tc.path, values(t, tc.params...))
		require.Equal(t, tc.code, w.Code, "%s %v", tc.path, tc.params)
		require.Equal(t, tc.want, w.Body.String(), "%s %v", tc.path, tc.params)
	}
}

func TestStatus(t *testing.T) {
	mux := newMux(Options{
		Flags:   map[string]string{"tsdb.path": "data"},
		Config:  func() string { return "global: {}\n" },
		Runtime: func() RuntimeInfo { return RuntimeInfo{Hostname: "host", GOMAXPROCS: 2} },
	})
	require.Equal(t, success(`{"tsdb.path":"data"}`), get(mux, "status/flags", nil).Body.String())
	require.Equal(t, success(`{"yaml":"global: {}\n"}`), get(mux, "status/config", nil).Body.String())
	require.Equal(t, success(`{"startTime":"0001-01-01T00:00:00Z","CWD":"","hostname":"host","serverTime":"0001-01-01T00:00:00Z","reloadConfigSuccess":false,`+
		`"lastConfigTime":"0001-01-01T00:00:00Z","corruptionCount":0,"goroutineCount":0,"GOMAXPROCS":2,"GOMEMLIMIT":0,"GOGC":"","GODEBUG":"","storageRetention":""}`),
		get(mux, "status/runtimeinfo", nil).Body.String())
	// Nothing that is left out makes a handler fail.
	bare := newMux(Options{})
	for path, want := range map[string]string{
		"status/flags": `{}`, "status/config": `{"yaml":""}`, "status/active_queries": `{"maxConcurrent":0,"queries":[]}`, "stores": `{}`,
	} {
		require.Equal(t, success(want), get(bare, path, nil).Body.String(), path)
	}
	require.Equal(t, 200, get(bare, "status/runtimeinfo", nil).Code)
	require.Equal(t, 200, get(bare, "status/buildinfo", nil).Code)
}

func TestStores(t *testing.T) {
	mux := newMux(Options{Endpoints: func() []Endpoint {
		return []Endpoint{
			{Kind: "query", Name: "a:1", LastCheck: time.Unix(60, 0).UTC(), LabelSets: []labels.Labels{labels.FromStrings("cluster", "eu")}, MinTime: 1, MaxTime: 2},
			{Kind: "query", Name: "b:1", LastCheck: time.Unix(60, 0).UTC(), LastError: io.EOF},
			{Kind: "sidecar", Name: "c:1", LastCheck: time.Unix(60, 0).UTC()},
		}
	}})
	const at = `"lastCheck":"1970-01-01T00:01:00Z"`
	require.Equal(t, success(`{"query":[{"name":"a:1",`+at+`,"lastError":null,"labelSets":[{"cluster":"eu"}],"minTime":1,"maxTime":2},`+
		`{"name":"b:1",`+at+`,"lastError":"EOF","labelSets":[],"minTime":0,"maxTime":0}],`+
		`"sidecar":[{"name":"c:1",`+at+`,"lastError":null,"labelSets":[],"minTime":0,"maxTime":0}]}`), get(mux, "stores", nil).Body.String())
}

func TestExplain(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	const expr = `sum by (pod) (rate(requests_total[5m])) / on () group_left () sum(rate(requests_total[5m]))`
	var got struct{ Data operatorNode }
	for _, w := range []*httptest.ResponseRecorder{
		get(mux, "query_explain", values(t, "query", expr)),
		post(mux, "query_range_explain", values(t, "query", expr, "start", "0", "end", "60", "step", "60", "engine", "thanos")),
	} {
		require.Equal(t, 200, w.Code, w.Body)
		got.Data = operatorNode{}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.NotContains(t, w.Body.String(), "executionTime")
		require.Contains(t, allNames(&got.Data), "scan rate of requests_total", w.Body)
		require.GreaterOrEqual(t, depth(&got.Data), 3, w.Body)
	}
	for path, params := range map[string][]string{
		"query_explain":       {"query", "up("},
		"query_range_explain": {"query", "up"},
	} {
		require.Equal(t, 400, get(mux, path, values(t, params...)).Code)
	}
	w := get(newMux(Options{Backend: &fakeBackend{engine: brokenEngine{}}}), "query_explain", values(t, "query", "up"))
	require.Equal(t, failure(errorBadData, "the engine that evaluates the query cannot explain it"), w.Body.String())
}

func allNames(n *operatorNode) string {
	names := n.Name
	for _, c := range n.Children {
		names += "\n" + allNames(c)
	}
	return names
}

func depth(n *operatorNode) int {
	deepest := 0
	for _, c := range n.Children {
		deepest = max(deepest, depth(c))
	}
	return deepest + 1
}

func TestAnalyze(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	type analyzed struct {
		Name, ExecutionTime  string
		TotalSamples, Series int
		Children             []*analyzed
	}
	var got struct {
		Data struct{ Analysis *analyzed }
	}
	w := get(mux, "query_range", values(t, "query", "sum(requests_total)", "start", "0", "end", "60", "step", "60", "analyze", "true"))
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.NotNil(t, got.Data.Analysis, w.Body)
	scan := got.Data.Analysis
	for len(scan.Children) > 0 {
		require.NotEmpty(t, scan.ExecutionTime)
		scan = scan.Children[0]
	}
	require.Equal(t, 4, scan.TotalSamples)
	require.Equal(t, 2, scan.Series)
	_, err := time.ParseDuration(scan.ExecutionTime)
	require.NoError(t, err)
	require.NotContains(t, get(mux, "query", values(t, "query", "sum(requests_total)", "analyze", "0")).Body.String(), "analysis")
}

type explanation string

func (e explanation) MarshalJSON() ([]byte, error) { return []byte(e), nil }

func TestOperatorTree(t *testing.T) {
	// Two pipelines end in the inputs of one operator, of which the second is another's input too.
	tree, err := operatorTree(explanation(`{"pipelines":[
		{"operators":[{"id":1,"role":"source","depth":0,"name":"a"},{"id":2,"role":"stage","depth":1,"name":"b"},{"id":5,"role":"sink","depth":2,"input":1,"name":"join"}]},
		{"operators":[{"id":3,"role":"source","depth":0,"name":"c","remote":"scan\n  m\n"},{"id":5,"role":"sink","depth":1,"input":0,"name":"join"},{"id":4,"role":"sink","depth":1,"name":"d"}]},
		{"operators":[{"id":4,"role":"source","depth":0,"name":"d"},{"id":5,"role":"sink","depth":1,"input":2,"name":"join"}]},
		{"operators":[{"id":5,"role":"source","depth":0,"name":"join"},{"id":6,"role":"sink","depth":1,"name":"result"}]}
	]}`))
	require.NoError(t, err)
	b, err := json.Marshal(tree)
	require.NoError(t, err)
	require.Equal(t, `{"name":"result","children":[{"name":"join","children":[{"name":"c","remote":["scan","  m"]},{"name":"b","children":[{"name":"a"}]},{"name":"d","children":[{"name":"c","remote":["scan","  m"]}]}]}]}`, string(b))

	for text, want := range map[string]string{
		`{"error":"no such operator"}`: "no such operator",
		`{}`:                           "the query has no operators",
		`{"pipelines":[{"operators":[{"id":1,"depth":1,"name":"a"}]}]}`: `operator "a" has no input`,
		`[`: "unexpected end of JSON input",
	} {
		_, err := operatorTree(explanation(text))
		require.EqualError(t, err, want)
	}
}

func TestCORS(t *testing.T) {
	origins := regexp.MustCompile(`^(?:https?://a\.example)$`)
	for _, tc := range []struct {
		allowed      *regexp.Regexp
		origin, want string
	}{
		{nil, "http://any.example", "*"}, {nil, "", ""},
		{origins, "http://a.example", "http://a.example"}, {origins, "http://b.example", ""},
	} {
		mux := newMux(Options{CORSOrigin: tc.allowed})
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			r := httptest.NewRequest(method, "/api/v1/metadata", nil)
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			w := send(mux, r)
			require.Equal(t, tc.want, w.Header().Get("Access-Control-Allow-Origin"))
			require.Equal(t, tc.origin != "", w.Header().Get("Access-Control-Allow-Methods") == "GET, POST, OPTIONS")
			if method == http.MethodOptions {
				require.Equal(t, http.StatusNoContent, w.Code)
			}
		}
	}
	require.Equal(t, http.StatusNoContent, send(newMux(Options{}), httptest.NewRequest(http.MethodOptions, "/api/v1/any_path", nil)).Code)
}

func TestGzip(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/api/v1/metadata", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := send(newMux(Options{}), r)
	require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
	unzipped, err := gzip.NewReader(w.Body)
	require.NoError(t, err)
	body, err := io.ReadAll(unzipped)
	require.NoError(t, err)
	require.Equal(t, success("{}"), string(body))
}

func TestRoutes(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	for want, r := range map[int]*http.Request{
		http.StatusNotFound:         httptest.NewRequest(http.MethodGet, "/api/v1/nothing", nil),
		http.StatusMethodNotAllowed: httptest.NewRequest(http.MethodPost, "/api/v1/label/foo/values", nil),
		http.StatusOK:               httptest.NewRequest(http.MethodHead, "/api/v1/metadata", nil),
	} {
		require.Equal(t, want, send(mux, r).Code)
	}
	for path, want := range map[string]string{"metadata": "GET, HEAD, OPTIONS", "query": "GET, HEAD, OPTIONS, POST"} {
		w := send(mux, httptest.NewRequest(http.MethodPut, "/api/v1/"+path, nil))
		require.Equal(t, 405, w.Code)
		require.Equal(t, want, w.Header().Get("Allow"))
	}
}

func TestRulesParameters(t *testing.T) {
	mux := newMux(Options{})
	for _, tc := range []struct{ name, value, want string }{
		{"match[]", "(", `1:1: parse error: unexpected "("`},
		{"type", "x", `invalid parameter "type": not supported value "x"`},
		{"exclude_alerts", "x", `invalid parameter "exclude_alerts": error converting exclude_alerts: strconv.ParseBool: parsing "x": invalid syntax`},
		{"group_limit", "0", `invalid parameter "group_limit": group_limit needs to be greater than 0`},
		{"group_limit", "x", `invalid parameter "group_limit": group_limit needs to be a valid number: strconv.ParseInt: parsing "x": invalid syntax`},
		{"group_next_token", "x", `invalid parameter "group_next_token": group_limit needs to be present in order to paginate over the groups`},
	} {
		w := get(mux, "rules", values(t, tc.name, tc.value))
		require.Equal(t, 400, w.Code)
		require.Equal(t, failure(errorBadData, tc.want), w.Body.String())
	}
}

func TestReady(t *testing.T) {
	ready := false
	mux := http.NewServeMux()
	a := New(Options{Ready: func() bool { return ready }})
	a.Register(mux)
	a.RegisterAdmin(mux, prometheus.NewRegistry())
	path := func(p string) (int, string) {
		w := send(mux, httptest.NewRequest(http.MethodGet, p, nil))
		return w.Code, w.Body.String()
	}
	for _, p := range []string{"/-/ready", "/api/v1/metadata"} {
		code, body := path(p)
		require.Equal(t, 503, code, p)
		require.Equal(t, "Service Unavailable", body, p)
	}
	code, body := path("/-/healthy")
	require.Equal(t, 200, code)
	require.Equal(t, "Stride is Healthy.\n", body)
	ready = true
	code, body = path("/-/ready")
	require.Equal(t, 200, code)
	require.Equal(t, "Stride is Ready.\n", body)
	code, _ = path("/api/v1/metadata")
	require.Equal(t, 200, code)
	code, body = path("/debug/pprof/goroutine?debug=1")
	require.Equal(t, 200, code)
	require.Contains(t, body, "goroutine profile:")
	code, _ = path("/debug/pprof/symbol")
	require.Equal(t, 200, code)
}

func TestRequestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	mux := http.NewServeMux()
	a := New(Options{Backend: newBackend(t), Registerer: reg, Now: func() time.Time { return now }})
	a.Register(mux)
	a.RegisterAdmin(mux, reg)
	get(mux, "query", values(t, "query", "1"))
	get(mux, "query", values(t, "query", "("))
	post(mux, "query_range", values(t, "query", "1", "start", "0", "end", "1", "step", "1"))
	require.Equal(t, 1.0, testutil.ToFloat64(a.metrics.requests.WithLabelValues("query", "200", "get")))
	require.Equal(t, 1.0, testutil.ToFloat64(a.metrics.requests.WithLabelValues("query", "400", "get")))
	require.Equal(t, 1.0, testutil.ToFloat64(a.metrics.requests.WithLabelValues("query_range", "200", "post")))
	w := send(mux, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Contains(t, w.Body.String(), `http_requests_total{code="400",handler="query",method="get"} 1`)
	require.Contains(t, w.Body.String(), `http_request_duration_seconds_count{code="200",handler="query_range",method="post"} 1`)
	require.Contains(t, w.Body.String(), `stride_query_failures_total{reason="memory"} 0`)
	require.Contains(t, w.Body.String(), "stride_answers_with_warnings_total 0\n")
}

func TestQueryOutcomesAreCounted(t *testing.T) {
	for _, tc := range []struct {
		opts   engine.Opts
		params []string
		reason string // "" if the query succeeds
		warned float64
	}{
		{engine.Opts{MemoryBudget: 1}, []string{"query", "test_metric1"}, failedForMemory, 0},
		{engine.Opts{EngineOpts: promql.EngineOpts{MaxSamples: 1}}, []string{"query", "test_metric1"}, failedForLimit, 0},
		{engine.Opts{}, []string{"query", "test_metric1", "timeout", "0.000000001"}, failedForTime, 0},
		{engine.Opts{}, []string{"query", `label_replace(test_metric1, "foo", "x", "", "")`}, failedOtherwise, 0},
		{engine.Opts{}, []string{"query", "quantile(2, test_metric1)"}, "", 1},
		{engine.Opts{}, []string{"query", "test_metric1"}, "", 0},
	} {
		b := newBackend(t)
		b.engine = engine.New(tc.opts)
		a := New(Options{Backend: b, Registerer: prometheus.NewRegistry(), Now: func() time.Time { return now }})
		mux := http.NewServeMux()
		a.Register(mux)
		get(mux, "query", values(t, tc.params...))
		for _, r := range []string{failedForMemory, failedForLimit, failedForTime, failedCanceled, failedOtherwise} {
			want := 0.0
			if r == tc.reason {
				want = 1
			}
			require.Equal(t, want, testutil.ToFloat64(a.metrics.failures.WithLabelValues(r)), "%s of %v", r, tc.params)
		}
		require.Equal(t, tc.warned, testutil.ToFloat64(a.metrics.warned), "%v", tc.params)
	}
}
