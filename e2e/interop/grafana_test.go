package interop

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// grafanaHeaders are those that Grafana's proxy adds.
var grafanaHeaders = http.Header{
	"User-Agent": {"Grafana/13.0.0"}, "Accept-Encoding": {"gzip"}, "X-Grafana-Org-Id": {"1"}, "X-Datasource-Uid": {"P1809F7CD0C75ACF3"},
	"X-Dashboard-Uid": {"abc"}, "X-Panel-Id": {"2"}, "X-Query-Group-Id": {"8c3e"}, "X-Forwarded-For": {"192.0.2.1"},
}

// grafanaResource sends what Grafana's front end asks of the data source: by POST, with the parameters in the address, and where that is refused
// by GET. Paths that it knows to take GET alone it asks by that.
func grafanaResource(t *testing.T, base, path string, params url.Values, getAlone bool) apiAnswer {
	t.Helper()
	r := apiRequest{method: http.MethodGet, path: path, params: params, header: grafanaHeaders}
	if getAlone {
		return r.send(t, base)
	}
	post := apiRequest{method: http.MethodPost, path: path, header: grafanaHeaders}
	if len(params) > 0 {
		post.path += "?" + params.Encode()
	}
	a := post.send(t, base)
	if a.status == http.StatusMethodNotAllowed || a.status == http.StatusBadRequest {
		return r.send(t, base)
	}
	return a
}

// What Grafana's Prometheus data source asks, as its code does it, is answered as by Prometheus: when it is tested ("1+1" at 4 s, and the build's
// information to tell Mimir from Prometheus), by its panels, its query builder, variables, exemplars and list of alerts.
func TestGrafana(t *testing.T) {
	data := strangeData(t)
	server := apiPrometheus(t, data)
	leaf := stride(t, "--tsdb.path="+data)
	root := stride(t, "--endpoint="+leaf.grpc)
	times := form("start", apiStart, "end", apiEnd)
	for name, n := range map[string]*node{"leaf": leaf, "root": root} {
		t.Run(name, func(t *testing.T) {
			for path, all := range map[string][]url.Values{
				"query": {
					form("query", "1+1", "time", "4"),
					form("query", "sum by (code) (requests_total)", "time", apiEnd+".123"),
					form("query", "native", "time", apiEnd, "timeout", "60s"),
				},
				"query_range": {
					ranged("sum(rate(requests_total[1m0s]))", "step", "15"),
					ranged(`histogram_quantile(0.95, sum by (le) (rate(latency_seconds_bucket[5m])))`, "step", "0.5", "start", unix(dataEnd.Add(-60e9))),
					ranged(`{"http.server.duration"}`, "step", "60", "timeout", "1m"),
					ranged("rate(native[5m])", "step", "60"),
					ranged("label_values(up)", "step", "60"),
				},
				"query_exemplars": {with(times, "query", "requests_total")},
			} {
				for _, params := range all {
					r := apiRequest{method: http.MethodPost, path: path, params: params, header: grafanaHeaders}
					want, got := r.send(t, server.url), r.send(t, n.url)
					require.True(t, want.equal(t, got), "%s\n want %s\n got  %s", r, want, got)
				}
			}
			for _, r := range []struct {
				path     string
				params   url.Values
				getAlone bool
			}{
				{"labels", with(times, "limit", "40000"), false},
				{"labels", with(times, "match[]", `{__name__="requests_total"}`, "limit", "40000"), false},
				{"labels", with(times, "match[]", `{__name__="requests_total",code=~"200|404"}`), false},
				{"label/__name__/values", with(times, "limit", "40000"), true},
				{"label/__name__/values", with(times, "match[]", `{__name__=~".*total.*"}`), true},
				{"label/code/values", with(times, "match[]", "requests_total"), true},
				{"label/U__service_2e_name/values", times, true},
				{"series", with(times, "match[]", `requests_total{code="200"}`, "limit", "40000"), false},
				{"series", with(times, "match[]", `{"http.server.duration"}`), false},
				{"metadata", form("limit", "40000"), true},
				{"metadata", nil, true},
				{"rules", nil, true},
				{"rules", form("type", "alert"), true},
				{"alerts", nil, true},
				{"alertmanagers", nil, true},
				{"format_query", form("query", "sum(up)by(job)"), false},
				{"parse_query", form("query", "sum(up)by(job)"), false},
			} {
				want, got := grafanaResource(t, server.url, r.path, r.params, r.getAlone), grafanaResource(t, n.url, r.path, r.params, r.getAlone)
				require.Equal(t, http.StatusOK, got.status, r.path)
				require.True(t, want.equal(t, got), "%s?%s\n want %s\n got  %s", r.path, r.params.Encode(), want, got)
			}
			// It asks these by POST first, and would take 404 for an old server without them.
			for _, path := range []string{"status/buildinfo", "status/flags", "status/config", "status/runtimeinfo"} {
				require.Equal(t, http.StatusOK, grafanaResource(t, n.url, path, nil, false).status, path)
			}
			// Features in it would be those of Mimir.
			require.NotContains(t, string(grafanaResource(t, n.url, "status/buildinfo", nil, false).body), "features")
		})
	}
}
