package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// form makes parameters of names and values in turn.
func form(namesAndValues ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(namesAndValues); i += 2 {
		v.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return v
}

func unix(t time.Time) string { return fmt.Sprint(t.Unix()) }

var apiStart, apiEnd = unix(dataEnd.Add(-time.Hour)), unix(dataEnd)

// with adds to parameters.
func with(to url.Values, namesAndValues ...string) url.Values {
	v := form(namesAndValues...)
	for name, values := range to {
		if _, ok := v[name]; !ok {
			v[name] = values
		}
	}
	return v
}

func instant(query string, more ...string) url.Values {
	return with(form("query", query, "time", apiEnd), more...)
}

func ranged(query string, more ...string) url.Values {
	return with(form("query", query, "start", apiStart, "end", apiEnd, "step", "300"), more...)
}

// apiExpressions give results of every kind, with annotations and without, and errors.
var apiExpressions = []string{
	`1`, `"a <b> \"text\" & ü"`, `time()`, `vector(1)`, `1 / 0`, `-1 / 0`, `0 / 0`, `vector(NaN)`, `1e21`, `1e-7`, `-0`, `123456789.123`, `1e300 * 1e300`,
	`strange`, `{__name__=~"strange|up"}`, `requests_total`, `up`, `up == 0`, `nothing`, `ends`, `begins`, `changes`, `no_buckets`, `native`, `custom`, `native[3m]`, `requests_total[2m]`,
	`ends[40m]`, `changes[40m]`, `begins offset 20m`, `up @ 1767326400`, `up @ start()`, `up @ end()`, `-native`, `native * 2`, `native + native`, `native / 0`,
	`{"http.server.duration"}`, `{"http.server.duration", "service.name"="shop"}`, `{"temperatur_in_°C"}`, `sum by ("service.name") ({"http.server.duration"})`,
	`label_replace(up, "zürich", "$1", "instance", "host-(.*)")`, `label_replace(up, "x", "<&>\u2028", "", "")`,
	`sum(rate(requests_total[5m]))`, `sort(sum by (code) (rate(requests_total[5m])))`, `sort_desc(requests_total)`, `sort_by_label(up, "instance")`, `topk(2, requests_total)`,
	`sum by (code) (requests_total)`, `avg without (instance) (requests_total)`, `count_values("v", up)`, `quantile(0.5, requests_total)`, `absent(nothing)`, `absent(up)`, `scalar(up)`, `scalar(begins)`,
	`histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))`, `histogram_quantile(0.9, native)`, `histogram_avg(native)`, `histogram_fraction(0, 1, native)`, `histogram_count(rate(native[5m]))`, `rate(native[5m])`, `sum(native)`, `avg(native)`,
	// With warnings and infos.
	`rate(up[5m])`, `rate(strange[5m])`, `histogram_quantile(2, native)`, `quantile(2, up)`, `histogram_quantile(0.9, up)`, `sum({__name__=~"native|up"})`, `rate(changes[40m])`, `native + custom`, `up + native`,
	`rate(custom[5m]) + rate(native[5m])`, `stddev(native)`, `min(native)`, `topk(1, native)`, `deriv(native[5m])`, `sort(native)`, `native > 1`, `histogram_quantile(scalar(nothing), native)`, `max_over_time(native[5m])`, `sum_over_time(changes[40m])`,
	// That fail while they are evaluated.
	`up * on () requests_total`, `up + on (job) requests_total`, `up + on (job) group_left () requests_total`, `label_replace(up, "0 0", "x", "instance", "(")`, `label_replace(up, "instance", "x", "instance", ".*")`,
	`count_values("", up)`, `{__name__=~".+"}`, `label_join(up, "__name__", "-", "instance")`, `label_replace(requests_total, "instance", "", "", "")`,
	`topk(scalar(nothing), up)`, `topk(NaN, up)`, `topk(1e30, up)`, `limitk(NaN, up)`, `limit_ratio(2, up)`, `info(up)`, `last_over_time(requests_total[1h])`, `requests_total[1h:1s]`,
	// That cannot be read.
	``, ` `, `up(`, `up)`, `up{`, `up{a="b"`, `up{a=~"("}`, `up{a=b}`, `{}`, `{a=""}`, `{a=~".*"}`, `sum(`, `sum(up) by (`, `rate(up)`, `rate(up[5m]`, `rate(up[0s])`, `up[5m][5m]`, `up[5m:]`, `up offset`, `up offset 5`, `nope(up)`, `sum("a")`,
	`"a" + 1`, `up and 1`, `1 and 2`, `1 == 2`, `1 == bool 2`, `up + bool 1`, `up on (a) up`, `up * group_left up`, `rate(up[5m]) offset 5m`, `up[5m] + 1`, `-"a"`, `vector(up)`, `scalar(1)`, `clamp(up)`, `round(up, 1, 2)`,
	`up # comment`, `#`, "up\n+\nup(", `'a`, `"\xff"`, `1a`, `0x`, `1e`, `up{a="b",}`, `up{,}`, `up{a="b" "c"="d"}`, `{"up", "up"}`, `up{__name__="down"}`, `sum without (up`, `topk(up)`, `topk(1, 2)`, `quantile("a", up)`, `count_values(1, up)`, `ü`, `up ü`,
	`mad_over_time(up[5m])`, `sort_by_label_desc(up)`, `up @ "a"`, `up @ up`, `up @ 1 @ 2`, `up offset 1m offset 2m`, `up[5m] @ start()`, `sum(up) @ 1`, `1 @ 2`, `up[99999999999999999999y]`, `up[1y1y]`, `up[-5m]`, `up[5m:-1m]`, `rate(requests_total[1m + 4m])`, `up offset (2 * 1m)`, `up[step()]`, `up[5m] anchored`, `rate(requests_total[5m] anchored)`, `increase(requests_total[5m] smoothed)`,
}

// apiRequests are all requests that both servers are sent.
func apiRequests() (all []apiRequest) {
	get := func(path string, params url.Values) {
		all = append(all, apiRequest{method: http.MethodGet, path: path, params: params})
	}
	both := func(path string, params url.Values) {
		get(path, params)
		all = append(all, apiRequest{method: http.MethodPost, path: path, params: params})
	}
	for _, expr := range apiExpressions {
		get("query", instant(expr))
		get("query_range", ranged(expr))
		get("format_query", form("query", expr))
		get("parse_query", form("query", expr))
		get("query_exemplars", form("query", expr, "start", apiStart, "end", apiEnd))
	}

	badTimes := []string{"x", "", "1.5.2", "2026-01-01", "2026-01-02T04:00:00Z", "2026-01-02T04:00:00.123456789+02:00", "NaN", "Inf", "-Inf", "1e300", "-1e300", "1e18", "-1", "1767326400.0005", "1767326400.123456", "0x10", "1_0", " 1", "١",
		"-292273086-05-16T16:47:06Z", "+292277025-08-18T07:12:54.999999999Z"}
	badDurations := []string{"x", "0", "0s", "-1", "-1s", "-5m", "1h30m", "5m ", "NaN", "Inf", "1e300", "9223372036", "9223372037", "1e-10", "0.0001", "1.5s", "1y", "300y", "", "5", "1ms", "1m1h"}
	badLimits := []string{"x", "-1", "0", "1", "2", "1000", "1.5", "", "99999999999999999999", "9223372036854775807", " 1"}

	both("query", nil)
	both("query", form("query", "up"))
	both("query", instant("up"))
	both("query", instant("native"))
	for _, v := range badTimes {
		get("query", form("query", "up", "time", v))
		get("query_range", ranged("up", "start", v))
		get("query_range", ranged("up", "end", v))
		get("query_exemplars", form("query", "up", "start", v))
		for _, name := range []string{"start", "end"} {
			get("series", form("match[]", "up", name, v))
			get("labels", form(name, v))
			get("label/instance/values", form(name, v))
		}
	}
	for _, v := range badDurations {
		get("query_range", ranged("up", "step", v))
		if v != "0.0001" && v != "1ms" { // it depends on the machine whether that is enough
			get("query", instant("up", "timeout", v))
			get("query_range", ranged("up", "timeout", v))
		}
		get("query", instant("ends", "lookback_delta", v))
		get("query_range", ranged("ends", "lookback_delta", v))
	}
	for _, v := range badLimits {
		get("query", instant("requests_total", "limit", v))
		get("query", instant("requests_total[2m]", "limit", v))
		get("query", instant("1", "limit", v))
		get("query_range", ranged("requests_total", "limit", v))
		get("series", form("match[]", "up", "limit", v))
		get("series", with(url.Values{"match[]": {"up", "requests_total", "up"}}, "limit", v))
		get("labels", form("limit", v))
		get("labels", with(url.Values{"match[]": {"up", "requests_total"}}, "limit", v))
		get("label/instance/values", form("limit", v))
		get("metadata", form("limit", v))
		get("metadata", form("limit_per_metric", v, "metric", "up"))
		get("rules", form("group_limit", v))
	}
	for _, v := range []string{"true", "all", "false", "1", "bad", "<&>"} {
		get("query", instant("sum(requests_total)", "stats", v))
		get("query_range", ranged("sum(rate(requests_total[5m]))", "stats", v))
	}
	for _, path := range []string{"query_range", "format_query", "parse_query", "query_exemplars", "series", "labels"} {
		both(path, nil)
	}
	both("query_range", ranged("sum by (code) (rate(requests_total[5m]))"))
	both("query_range", form("query", "up"))
	both("query_range", ranged("up", "start", apiEnd, "end", apiStart))
	both("query_range", ranged("up", "end", apiStart))
	both("query_range", ranged("up", "step", "0.01"))
	both("query_range", form("query", "up", "start", "0", "end", "11000", "step", "1"))
	both("query_range", form("query", "up", "start", "0", "end", "11001", "step", "1"))
	both("query_range", form("query", "up", "start", "0", "end", "11000.9", "step", "1"))
	both("query_range", ranged("up[5m]"))
	both("query_range", ranged(`"text"`))
	both("query_range", ranged("1"))
	// Which of several mistakes is told of.
	both("query", form("query", "(", "time", "x", "timeout", "x", "limit", "x", "lookback_delta", "x"))
	both("query", form("query", "(", "time", "x", "timeout", "x", "lookback_delta", "x"))
	both("query", form("query", "(", "timeout", "x", "lookback_delta", "x"))
	both("query", form("query", "(", "lookback_delta", "x"))
	both("query_range", form("query", "(", "start", "x", "end", "x", "step", "x", "timeout", "x", "limit", "x"))
	both("query_range", form("query", "(", "start", "x", "end", "x", "step", "x", "timeout", "x"))
	both("query_range", form("query", "(", "start", "1", "end", "x", "step", "x"))
	both("query_range", form("query", "(", "start", "2", "end", "1", "step", "x"))
	both("query_range", form("query", "(", "start", "1", "end", "2", "step", "x", "timeout", "x"))
	both("series", form("match[]", "(", "start", "x", "end", "x", "limit", "x"))
	both("labels", form("match[]", "(", "start", "x", "end", "x"))
	get("label/a b/values", form("match[]", "(", "start", "x", "end", "x"))

	for _, match := range [][]string{
		{"up"}, {"up", "requests_total"}, {"up", "up"}, {`{__name__=~".+"}`}, {`{__name__="up", instance="host-1"}`}, {`{instance!=""}`}, {`{"http.server.duration"}`}, {`{"service.name"="shop"}`}, {"nothing"}, {"native"},
		{""}, {" "}, {"("}, {"up("}, {"up[5m]"}, {"up + 1"}, {"sum(up)"}, {"1"}, {"{}"}, {`{a=""}`}, {`{a=~".*"}`}, {`{a!="b"}`}, {`up{a=~"("}`}, {"up", ""}, {"up", "("}, {"up offset 5m"}, {"up @ 1"}, {`{__name__!=""}`}, {"up", `{a=""}`},
	} {
		m := url.Values{"match[]": match}
		both("series", m)
		both("labels", m)
		get("label/instance/values", m)
		get("label/__name__/values", m)
		both("series", with(m, "start", apiStart, "end", apiEnd))
		both("series", with(m, "start", "0", "end", "1"))
		get("rules", m)
	}
	both("series", form("match", "up"))
	both("series", form("match[]", "ends", "start", unix(dataEnd.Add(-20*time.Minute)), "end", apiEnd))
	both("series", form("match[]", "up", "start", apiEnd, "end", apiStart))
	both("labels", form("start", apiEnd, "end", apiStart))
	both("labels", form("start", apiStart, "end", apiEnd))
	both("labels", form("start", "0", "end", "1"))
	for _, name := range []string{
		"__name__", "instance", "job", "nothing", "le", "kind", "why", "U__service_2e_name", "service.name", "zürich", "z%C3%BCrich", "U__z_fc_rich", "a%20b", "a b", "0", "U__", "U___", "U__a_zz_", "U__ort", "ort", "%FF", "U___fffffff_",
		"a%2Fb", "-", "<b>", "__name__%3F",
	} {
		get("label/"+name+"/values", nil)
	}
	all = append(all, apiRequest{method: http.MethodPost, path: "label/job/values"})
	for _, params := range []url.Values{nil, form("metric", "up"), form("metric", ""), form("limit", "1"), form("limit", "x", "limit_per_metric", "x")} {
		get("metadata", params)
	}
	all = append(all, apiRequest{method: http.MethodPost, path: "metadata"})

	for _, params := range []url.Values{
		nil, form("type", "alert"), form("type", "record"), form("type", "x"), form("exclude_alerts", "true"), form("exclude_alerts", "x"), form("rule_name[]", "a"), form("rule_group[]", "a"), form("file[]", "a"),
		form("group_next_token", "a"), form("group_next_token", "a", "group_limit", "1"), form("group_limit", "10"), form("match[]", "("), form("type", "x", "match[]", "("),
	} {
		get("rules", params)
	}
	get("alerts", nil)
	get("targets", nil)
	get("targets", form("state", "active"))
	get("targets", form("state", "x"))
	get("alertmanagers", nil)
	get("scrape_pools", nil)

	// Where requests go, and how they are answered.
	for _, path := range []string{"", "nothing", "query/", "query/x", "quer", "Query", "label", "label/", "label/job", "label/job/", "label//values", "label/job/values/", "label/job/values/x", "status", "status/", "status/nothing", "status/buildinfo/", "metadata/", "//query", "../v1/query", "query%2F"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			all = append(all, apiRequest{method: method, path: path})
		}
	}
	for _, path := range []string{"query", "labels", "metadata", "label/job/values", "status/buildinfo", "nothing"} {
		for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
			all = append(all, apiRequest{method: method, path: path, params: instant("up")})
		}
	}
	header := func(path string, params url.Values, namesAndValues ...string) {
		h := http.Header{}
		for name, values := range form(namesAndValues...) {
			h[name] = values
		}
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			all = append(all, apiRequest{method: method, path: path, params: params, header: h})
		}
	}
	for _, origin := range []string{"https://good.example", "http://better.example", "https://bad.example", "https://good.example.evil", "null", ""} {
		header("query", instant("up"), "Origin", origin)
		header("query", instant("("), "Origin", origin)
		header("nothing", nil, "Origin", origin)
		header("metadata", nil, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	}
	for _, encoding := range []string{"gzip", "deflate", "zstd", "identity", "*", "gzip, deflate", "deflate, gzip", "gzip;q=0", "gzip;q=1.0, deflate;q=0.5", "br", "x, gzip", "GZIP", ""} {
		header("query", instant("requests_total"), "Accept-Encoding", encoding)
		header("query", instant("1"), "Accept-Encoding", encoding)
		header("query", instant("("), "Accept-Encoding", encoding)
	}
	for _, accept := range []string{"application/json", "text/html", "*/*", "application/x-protobuf", "application/json;q=0", ""} {
		header("query", instant("up"), "Accept", accept)
	}
	for _, contentType := range []string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8", "application/json", "text/plain", "multipart/form-data; boundary=x", "", "x;;"} {
		for path, params := range map[string]url.Values{"query": instant("up"), "series": form("match[]", "up"), "labels": form("match[]", "up")} {
			all = append(all, apiRequest{method: http.MethodPost, path: path, params: params, header: http.Header{"Content-Type": {contentType}}})
		}
	}
	for _, body := range []string{"query=%zz", "query=up;time=1", "query=up&time=" + apiEnd + "&&&", "query=" + strings.Repeat("%20", 20000) + "1&time=1", "=", "query=up&query=("} {
		all = append(all, apiRequest{method: http.MethodPost, path: "query", body: body}, apiRequest{method: http.MethodPost, path: "series", body: body}, apiRequest{method: http.MethodPost, path: "labels", body: body})
	}
	// Parameters in the address count, too, after those in the form.
	all = append(all, apiRequest{method: http.MethodPost, path: "query?query=2&time=1", body: "query=1"}, apiRequest{method: http.MethodPost, path: "query?query=2&time=1", body: "x=1"})
	all = append(all, apiRequest{method: http.MethodGet, path: "query?query=%zz"}, apiRequest{method: http.MethodGet, path: "series?match[]=%zz"}, apiRequest{method: http.MethodGet, path: "series?match[]=up;a=b"}, apiRequest{method: http.MethodGet, path: "labels?match[]=%zz"})
	return all
}

// apart are answers that are not the same, each for a reason.
var apart = []struct {
	reason string
	is     func(r apiRequest, want, got apiAnswer) bool
}{
	{"HEAD is answered as GET, as HTTP says", func(r apiRequest, want, got apiAnswer) bool {
		return r.method == http.MethodHead && want.status == http.StatusMethodNotAllowed && got.status == http.StatusOK
	}},
	{"the server leads paths that nearly fit to others outside of its API", func(_ apiRequest, want, got apiAnswer) bool {
		return (want.status == http.StatusMovedPermanently || want.status == http.StatusTemporaryRedirect) && got.status == http.StatusNotFound
	}},
	{"the name of a label may have a slash in it", func(r apiRequest, want, got apiAnswer) bool {
		return r.path == "label/a%2Fb/values" && want.status == http.StatusNotFound && got.status == http.StatusOK
	}},
	{"timeouts must be positive, and durations be numbers, since Prometheus 3.16", func(_ apiRequest, _, got apiAnswer) bool {
		return got.status == http.StatusBadRequest &&
			(bytes.Contains(got.body, []byte("timeout must be positive")) || bytes.Contains(got.body, []byte(`cannot parse \"NaN\" to a valid duration. It overflows int64`)))
	}},
	{"less than a millisecond of lookback is none, also in range queries", func(r apiRequest, _, got apiAnswer) bool {
		return r.path == "query_range" && r.params.Get("lookback_delta") == "0.0001" && string(got.body) == `{"status":"success","data":{"resultType":"matrix","result":[]}}`
	}},
}

// A Stride node answers as Prometheus' server does: status, headers and body, byte by byte. So does one that asks another.
func TestAPIConformance(t *testing.T) {
	data := strangeData(t)
	limits := []string{"--query.max-samples=5000", "--web.cors.origin=https?://(good|better)\\.example"}
	server := apiPrometheus(t, data, limits...)
	leaf := stride(t, append(limits, "--tsdb.path="+data)...)
	root := stride(t, append(limits, "--endpoint="+leaf.grpc)...)
	for name, n := range map[string]*node{"leaf": leaf, "root": root} {
		t.Run(name, func(t *testing.T) { conforms(t, server, n) })
	}
}

func conforms(t *testing.T, server, n *node) {
	t.Helper()
	same, used := 0, map[string]int{}
	for _, r := range apiRequests() {
		want, got := r.send(t, server.url), r.send(t, n.url)
		if want.equal(t, got) {
			same++
			continue
		}
		reason := ""
		for _, a := range apart {
			if a.is(r, want, got) {
				reason = a.reason
			}
		}
		if reason == "" {
			t.Errorf("%.200s\n want %s\n got  %s", r, want, got)
		}
		used[reason]++
	}
	t.Logf("%d answers are the same", same)
	for _, a := range apart {
		require.Positive(t, used[a.reason], a.reason)
		t.Logf("%d are not: %s", used[a.reason], a.reason)
	}
}

// What tells of the program has the fields of Prometheus' own, and the flags that both have the same values.
func TestAPIStatusShapes(t *testing.T) {
	data := strangeData(t)
	server, n := apiPrometheus(t, data), stride(t, "--tsdb.path="+data)
	for _, path := range []string{"status/buildinfo", "status/runtimeinfo", "status/config", "status/flags"} {
		r := apiRequest{method: http.MethodGet, path: path}
		want, got := r.send(t, server.url), r.send(t, n.url)
		require.Equal(t, want.status, got.status)
		require.Equal(t, want.header, got.header)
		var theirs, ours struct {
			Status string
			Data   map[string]any
		}
		require.NoError(t, json.Unmarshal(want.body, &theirs))
		require.NoError(t, json.Unmarshal(got.body, &ours))
		if path != "status/flags" {
			require.ElementsMatch(t, slices.Collect(maps.Keys(theirs.Data)), slices.Collect(maps.Keys(ours.Data)), path)
			for name, v := range theirs.Data {
				require.IsType(t, v, ours.Data[name], "%s: %s", path, name)
			}
			continue
		}
		for _, name := range []string{"query.timeout", "query.lookback-delta", "query.max-samples", "query.max-concurrency", "web.cors.origin", "web.read-timeout"} {
			require.NotEmpty(t, ours.Data[name], name)
			require.Equal(t, theirs.Data[name], ours.Data[name], name)
		}
	}
}

// Queries that take too long, or that hold too many samples, say so with the same words and status.
func TestAPIQueryLimits(t *testing.T) {
	data := strangeData(t)
	server, n := apiPrometheus(t, data), stride(t, "--tsdb.path="+data)
	const one = "sum(rate(requests_total[1h]))"
	slow := apiRequest{method: http.MethodGet, path: "query_range", params: form("timeout", "0.02", "step", "1",
		"query", one+strings.Repeat(" + stddev("+one+" * on () group_right () requests_total)", 50),
		"start", unix(dataEnd.Add(-3*time.Hour)), "end", apiEnd)}
	want, got := slow.send(t, server.url), slow.send(t, n.url)
	require.Equal(t, http.StatusServiceUnavailable, want.status, want)
	require.Equal(t, want.String(), got.String())
}
