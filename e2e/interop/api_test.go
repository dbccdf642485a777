package interop

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// apiPrometheus starts a Prometheus server that scrapes nothing, on a copy of a data directory.
func apiPrometheus(t *testing.T, data string, args ...string) *node {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.CopyFS(dir, os.DirFS(data)))
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	a := addresses(t, 1)
	n := &node{url: "http://" + a[0]}
	n.process = start(t, binary(t, "prometheus"), append([]string{"--config.file=" + file, "--storage.tsdb.path=" + dir, "--web.listen-address=" + a[0],
		"--storage.tsdb.retention.time=100y", "--log.level=warn", "--enable-feature=promql-extended-range-selectors"}, args...)...)
	n.waitFor(t, n.url+"/-/ready", anything)
	return n
}

// apiRequest is a request below /api/v1, the same to both servers.
type apiRequest struct {
	method, path string
	params       url.Values
	body         string // instead of the parameters, if there is one
	header       http.Header
}

// String is what tests are named after.
func (r apiRequest) String() string {
	s := r.method + " " + r.path
	if len(r.params) > 0 {
		s += "?" + r.params.Encode()
	}
	for name, values := range r.header {
		s += fmt.Sprintf(" %s:%s", name, strings.Join(values, ","))
	}
	return s
}

// apiAnswer is what of an answer has to be the same.
type apiAnswer struct {
	status int
	header map[string]string
	body   []byte
}

// comparedHeaders leaves out what says nothing of the API: Date, Content-Length and such.
var comparedHeaders = []string{
	"Content-Type", "Content-Encoding", "Vary", "Allow", "Location", "X-Content-Type-Options", "Retry-After",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Expose-Headers", "Access-Control-Allow-Credentials",
}

func (r apiRequest) send(t *testing.T, base string) apiAnswer {
	t.Helper()
	to, body := base+"/api/v1/"+r.path, r.body
	if r.method == http.MethodPost && body == "" {
		body = r.params.Encode()
	} else if len(r.params) > 0 {
		to += "?" + r.params.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, to, strings.NewReader(body))
	require.NoError(t, err)
	if r.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	client := http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	a := apiAnswer{status: res.StatusCode, header: map[string]string{}}
	for _, name := range comparedHeaders {
		if v := res.Header.Values(name); len(v) > 0 {
			a.header[name] = strings.Join(v, ", ")
		}
	}
	packed := bufio.NewReader(res.Body)
	var unpacked io.Reader = packed
	if _, err := packed.Peek(1); err == nil {
		switch a.header["Content-Encoding"] {
		case "gzip":
			unpacked, err = gzip.NewReader(packed)
		case "deflate":
			unpacked, err = zlib.NewReader(packed)
		}
		require.NoError(t, err)
	}
	a.body, err = io.ReadAll(unpacked)
	require.NoError(t, err)
	return a
}

// String is an answer as far as somebody wants to read it.
func (a apiAnswer) String() string {
	return fmt.Sprintf("%d %v\n      %.600s", a.status, a.header, a.body)
}

// measured are numbers in an answer that no two evaluations have in common, or no two engines.
var measured = regexp.MustCompile(`("[A-Za-z]+Time"|"peakSamples"):[0-9.e-]+`)

// touched is a count that Prometheus has since 3.16.
var touched = regexp.MustCompile(`"seriesTouched":[0-9]+,`)

// equal compares answers byte by byte but for the order of series, which no more than sort and its like say.
func (a apiAnswer) equal(t *testing.T, b apiAnswer) bool {
	t.Helper()
	// HEAD is answered as GET, as HTTP says.
	b.header = maps.Clone(b.header)
	if allow, ok := b.header["Allow"]; ok {
		methods := strings.Split(allow, ", ")
		slices.Sort(methods)
		b.header["Allow"] = strings.Join(slices.DeleteFunc(methods, func(m string) bool { return m == http.MethodHead }), ", ")
	}
	if a.status != b.status || !maps.Equal(a.header, b.header) {
		return false
	}
	b.body = touched.ReplaceAll(b.body, nil)
	x, y := measured.ReplaceAll(a.body, []byte("$1:0")), measured.ReplaceAll(b.body, []byte("$1:0"))
	return bytes.Equal(x, y) || bytes.Equal(sortedSeries(t, x), sortedSeries(t, y))
}

// sortedSeries is an answer with its series, of a query or a list, in the order of their labels.
func sortedSeries(t *testing.T, body []byte) []byte {
	t.Helper()
	type queried struct {
		ResultType string            `json:"resultType"`
		Result     []json.RawMessage `json:"result"`
		Stats      json.RawMessage   `json:"stats,omitempty"`
	}
	var answer struct {
		Status   string          `json:"status"`
		Data     json.RawMessage `json:"data"`
		Warnings []string        `json:"warnings,omitempty"`
		Infos    []string        `json:"infos,omitempty"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		return body
	}
	var data any
	var q queried
	var list []json.RawMessage
	sort := func(series []json.RawMessage) {
		slices.SortFunc(series, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	}
	switch {
	case json.Unmarshal(answer.Data, &q) == nil && q.ResultType != "":
		sort(q.Result)
		data = q
	case bytes.HasPrefix(answer.Data, []byte("[{")) && json.Unmarshal(answer.Data, &list) == nil:
		sort(list)
		data = list
	default:
		return body
	}
	var err error
	answer.Data, err = json.Marshal(data)
	require.NoError(t, err)
	out, err := json.Marshal(answer)
	require.NoError(t, err)
	return out
}
