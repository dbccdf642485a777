package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a server answers is shown as what is evaluated here.
func TestQueryAtServer(t *testing.T) {
	dir := sampleDir(t)
	s := serve(t, dir)
	for _, query := range [][]string{
		{"up", "--time", sampleEnd},
		{"rpc_duration_seconds", "--time", sampleEnd},
		{"rate(rpc_duration_seconds[5m])", "--start=2026-01-02T02:50:00Z", "--end", sampleEnd, "--step=1m"},
		{"sum by (job) (rate(http_requests_total[5m]))", "--start=2026-01-02T02:50:00Z", "--end", sampleEnd},
		{"up[1m]", "--time", sampleEnd},
		{"1 / 3", "--time", sampleEnd},
		{`"text"`, "--time", sampleEnd},
		{"nothing", "--time", sampleEnd},
		{"up", "--time=2026-01-02T03:02:00Z", "--query.lookback-delta=10m"},
		{"rate(memory_usage_bytes[5m])", "--time", sampleEnd}, // with an annotation
	} {
		for _, format := range []string{"table", "json", "csv", "chart"} {
			args := append([]string{"query", "--format", format}, query...)
			want := stride(t, append(args, "--tsdb.path", dir)...)
			require.Equal(t, exitOK, want.code, want.stderr)
			got := stride(t, append(args, "--url", s.url)...)
			require.Equal(t, want, got, "%v %s", query, format)
		}
	}
	got := stride(t, "query", "--url", s.url, "--format=csv", "vector(1)")
	require.Equal(t, exitOK, got.code)
	require.Regexp(t, `\Atimestamp,value\n\d{10}\.?\d*,1\n\z`, got.stdout, "now is the default")
}

func TestQueryAtServerErrors(t *testing.T) {
	s := serve(t, sampleDir(t), "--query.max-samples=50")
	gone := httptest.NewServer(nil)
	gone.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "nobody there")
	}))
	defer proxy.Close()
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string // a regular expression for all of it
	}{
		{[]string{"--url", s.url, "up{"}, exitExpression, `stride: invalid parameter "query": 1:4: parse error: .*\n`},
		{[]string{"--url", s.url, "--query.timeout=0s", "up", "--start=now-1y", "--end=now", "--step=1s"}, exitUsage, `stride: exceeded maximum resolution of 11,000 points per timeseries.*\n`},
		{[]string{"--url", s.url, "--time", sampleEnd, "up * on (job) up"}, exitQuery, `stride: found duplicate series for the match group .*\n`},
		{[]string{"--url", s.url, "--time", sampleEnd, `{job!=""}[1h]`}, exitLimit, `stride: query processing would load too many samples into memory in .*\n`},
		{[]string{"--url", s.url, "--time=last", "up"}, exitTime, `stride: the newest sample of a server is not known: write now instead of last\n`},
		{[]string{"--url", s.url, "--start=last-1h", "--end=now", "up"}, exitTime, `stride: the newest sample .*\n`},
		{[]string{"--url", s.url, "--tsdb.path=data", "up"}, exitUsage, `stride: --url and --tsdb.path exclude each other.*\n`},
		{[]string{"--url", s.url, "--header=x", "up"}, exitUsage, `stride: header "x": write NAME:VALUE\n`},
		{[]string{"--url=localhost", "up"}, exitUsage, `stride: "localhost" is not the address of a server.*\n`},
		{[]string{"--url", gone.URL, "up"}, exitServer, `stride: Post "http://.*connection refused\n`},
		{[]string{"--url", proxy.URL, "up"}, exitServer, `stride: status 502: nobody there\n`},
	} {
		got := stride(t, append([]string{"query"}, tc.args...)...)
		require.Equal(t, tc.code, got.code, "%q: %s", tc.args, got.stderr)
		require.Regexp(t, `\A`+tc.stderr+`\z`, got.stderr, "%q", tc.args)
		require.Empty(t, got.stdout, "%q", tc.args)
	}
}

func TestServerErrorCodes(t *testing.T) {
	for typ, code := range map[string]int{
		"bad_data": exitUsage, "execution": exitQuery, "timeout": exitTimeout, "cost_limit": exitLimit, "internal": exitServer, "unavailable": exitServer,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, `{"status":"error","errorType":"`+typ+`","error":"so it is"}`)
		}))
		got := stride(t, "query", "--url", server.URL, "up")
		server.Close()
		require.Equal(t, output{code, "", "stride: so it is\n"}, got, typ)
	}
}

func TestServerHeadersAndTimeout(t *testing.T) {
	var header, form string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		header, form = r.Header.Get("Authorization"), string(b)
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`)
	}))
	defer server.Close()
	got := stride(t, "query", "--url", server.URL, "--header", "Authorization: Bearer x:y", "--query.timeout=7s", "--time=1", "--format=csv", "2")
	require.Equal(t, output{exitOK, "timestamp,value\n1,2\n", ""}, got)
	require.Equal(t, "Bearer x:y", header)
	require.True(t, strings.HasSuffix(form, "timeout=7"), form)
	require.NotContains(t, form, "lookback")
}
