package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
)

func parsed(t *testing.T, at string) time.Time {
	t.Helper()
	out, err := time.Parse(time.RFC3339, at)
	require.NoError(t, err)
	return out
}

// prometheusOf answers as a Prometheus server that has one series, for which users have to say who they are.
func prometheusOf(t *testing.T, value float64, region, replica string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/status/config", func(w http.ResponseWriter, _ *http.Request) {
		config := "global:\n  external_labels:\n    region: " + region + "\n    replica: " + replica + "\n"
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{"yaml": config}})
	})
	mux.HandleFunc("/api/v1/label/{name}/values", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"data":[]}`) })
	mux.HandleFunc("/metrics", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/api/v1/read", func(w http.ResponseWriter, _ *http.Request) {
		end := parsed(t, sampleEnd).UnixMilli()
		var samples []prompb.Sample
		for ts := end - 600_000; ts <= end; ts += 15_000 {
			samples = append(samples, prompb.Sample{Timestamp: ts, Value: value})
		}
		res := prompb.ReadResponse{Results: []*prompb.QueryResult{{Timeseries: []*prompb.TimeSeries{{
			Labels: []prompb.Label{{Name: "__name__", Value: "m"}, {Name: "region", Value: region}, {Name: "replica", Value: replica}}, Samples: samples,
		}}}}}
		b, err := res.Marshal()
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(snappy.Encode(nil, b))
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "who are you?")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// Prometheus servers are sources by their URLs alone: replicas, rules, and what is lost count as with other stores.
func TestRemoteRead(t *testing.T) {
	urls := []string{prometheusOf(t, 1, "eu", "a"), prometheusOf(t, 1, "eu", "b"), prometheusOf(t, 2, "us", "a")}
	users := filepath.Join(t.TempDir(), "http.yml")
	require.NoError(t, os.WriteFile(users, []byte("basic_auth: {username: u, password: p}\n"), 0o600))
	file := filepath.Join(t.TempDir(), "endpoints.yml")
	require.NoError(t, os.WriteFile(file, []byte("endpoints:\n  - address: "+urls[2]+"\n    external_labels: {zone: z}\n"), 0o600))
	args := []string{"--remote-read.url=" + urls[0], "--remote-read.url=" + urls[1] + "/api/v1/read", "--endpoint.sd-config-file=" + file, "--query.replica-label=replica"}
	node := serveArgs(t, append(args, "--remote-read.http-config-file="+users)...)
	at := fmt.Sprint(parsed(t, sampleEnd).Unix())
	body := node.body(t, "/api/v1/query", "query", "sum by (region, zone) (m)", "time", sampleEnd)
	require.Contains(t, body, `{"metric":{"region":"eu"},"value":[`+at+`,"1"]}`)
	require.Contains(t, body, `{"metric":{"region":"us","zone":"z"},"value":[`+at+`,"2"]}`)
	require.Contains(t, node.body(t, "/api/v1/stores"), `"prometheus":[`)
	root := serveArgs(t, "--endpoint="+node.nodes)
	require.Contains(t, root.body(t, "/api/v1/query", "query", "count by (region) (m)", "time", sampleEnd), `"region":"us"`)
	one := serveArgs(t, append(args, "--remote-read.http-config-file="+users, `--selector.relabel-config=[{action: keep, source_labels: [region, replica], regex: "eu;a"}]`)...)
	require.Contains(t, one.body(t, "/api/v1/query", "query", "count(m)", "time", sampleEnd), `"1"`)

	stranger := serveArgs(t, args...)
	status, body := stranger.get(t, "/api/v1/query", "query", "m", "time", sampleEnd, "partial_response", "0")
	require.NotEqual(t, 200, status)
	require.Contains(t, body, "remote engine http://127.0.0.1")
	require.Contains(t, body, "status 401: who are you?")

	for flag, want := range map[string]string{
		"--remote-read.url=localhost": "write http://host:port", "--remote-read.url=http://u:secret@h": "put it into a file", "--remote-read.http-config-file=" + users + "x": "no such file",
	} {
		out := stride(t, "serve", "--remote-read.url=http://localhost:1", flag)
		require.Equal(t, exitUsage, out.code)
		require.Contains(t, out.stderr, want)
		require.NotContains(t, out.stderr, "secret")
	}
}
