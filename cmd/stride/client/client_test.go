package client

import (
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
)

// answering is a server that gives the same answer to all requests, and remembers the last of them.
type answering struct {
	status int
	body   string
	asked  *http.Request
	form   string
}

func (s *answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	s.asked, s.form = r, string(b)
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

func newClient(t *testing.T, s *answering, path string) *Client {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c, err := New(strings.Replace(server.URL, "http://", "http://me:secret@", 1)+path, http.Header{"X-Tenant": {"a"}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestInstantQuery(t *testing.T) {
	s := &answering{status: 200, body: `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[1.5,"+Inf"]}]},"warnings":["w"],"infos":["i"]}`}
	c := newClient(t, s, "/prefix/")
	a, err := c.Query(t.Context(), Query{Expr: "up & down", Instant: true, End: time.UnixMilli(1500), Timeout: 90 * time.Second, Lookback: time.Minute})
	require.NoError(t, err)
	require.Equal(t, []string{"w"}, a.Warnings)
	require.Equal(t, []string{"i"}, a.Infos)
	v := a.Value.(promql.Vector)
	require.Len(t, v, 1)
	require.Equal(t, labels.FromStrings("__name__", "up", "job", "a"), v[0].Metric)
	require.Equal(t, int64(1500), v[0].T)
	require.True(t, math.IsInf(v[0].F, 1))

	require.Equal(t, "/prefix/api/v1/query", s.asked.URL.Path)
	require.Equal(t, http.MethodPost, s.asked.Method)
	require.Equal(t, "lookback_delta=60&query=up+%26+down&time=1.500&timeout=90", s.form)
	require.Equal(t, "a", s.asked.Header.Get("X-Tenant"))
	user, password, _ := s.asked.BasicAuth()
	require.Equal(t, "me secret", user+" "+password)
	require.NotContains(t, c.String(), "secret")
}

func TestRangeQuery(t *testing.T) {
	s := &answering{status: 200, body: `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2.5,"NaN"]],"histograms":[[3,{"count":"1","sum":"2"}]]}]}}`}
	a, err := newClient(t, s, "").Query(t.Context(), Query{Expr: "up", Start: time.Unix(1, 0), End: time.Unix(3, 0), Step: 1500 * time.Millisecond})
	require.NoError(t, err)
	m := a.Value.(promql.Matrix)
	require.Equal(t, []int64{1000, 2500, 3000}, []int64{m[0].Floats[0].T, m[0].Floats[1].T, m[0].Histograms[0].T})
	require.Equal(t, 2.0, m[0].Histograms[0].H.Sum)
	require.Equal(t, "/api/v1/query_range", s.asked.URL.Path)
	require.Equal(t, "end=3.000&query=up&start=1.000&step=1.5", s.form)
}

func TestScalarAndString(t *testing.T) {
	s := &answering{status: 200, body: `{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`}
	c := newClient(t, s, "")
	a, err := c.Query(t.Context(), Query{Instant: true})
	require.NoError(t, err)
	require.Equal(t, promql.Scalar{T: 1000, V: 2}, a.Value)
	s.body = `{"status":"success","data":{"resultType":"string","result":[1,"<a>"]}}`
	a, err = c.Query(t.Context(), Query{Instant: true})
	require.NoError(t, err)
	require.Equal(t, promql.String{T: 1000, V: "<a>"}, a.Value)
}

func TestServerErrors(t *testing.T) {
	s := &answering{status: 422, body: `{"status":"error","errorType":"execution","error":"too much"}`}
	c := newClient(t, s, "")
	_, err := c.Query(t.Context(), Query{Instant: true})
	require.Equal(t, &Error{Status: 422, Type: "execution", Text: "too much"}, err)
	require.EqualError(t, err, "too much")

	s.status, s.body = 502, "\n<html>bad gateway\n</html>"
	_, err = c.Query(t.Context(), Query{Instant: true})
	require.Equal(t, &Error{Status: 502, Text: "<html>bad gateway"}, err)
	require.EqualError(t, err, "status 502: <html>bad gateway")

	s.status, s.body = 200, `{"state":"`+strings.Repeat("x", 300)+`"}`
	_, err = c.Query(t.Context(), Query{Instant: true})
	require.ErrorAs(t, err, new(*Error))
	require.Less(t, len(err.Error()), 250)
}

func TestAnswersThatAreNone(t *testing.T) {
	s := &answering{status: 200}
	c := newClient(t, s, "")
	for data, want := range map[string]string{
		`{}`:                                                      `unknown type of result ""`,
		`{"resultType":"tensor"}`:                                 `unknown type of result "tensor"`,
		`{"resultType":"scalar","result":[1]}`:                    "expected 2 elements, got [1]",
		`{"resultType":"scalar","result":1}`:                      "cannot unmarshal number",
		`{"resultType":"string","result":[1,2]}`:                  "cannot unmarshal number",
		`{"resultType":"scalar","result":[1,2]}`:                  "cannot unmarshal number",
		`{"resultType":"scalar","result":["a","1"]}`:              "invalid syntax",
		`{"resultType":"scalar","result":[1,"a"]}`:                "invalid syntax",
		`{"resultType":"vector","result":{}}`:                     "cannot unmarshal object",
		`{"resultType":"vector","result":[{"metric":{"a":"b"}}]}`: `sample {a="b"} has no value`,
		`{"resultType":"vector","result":[{"value":[1,"x"]}]}`:    "invalid syntax",
		`{"resultType":"matrix","result":[{"values":[[1,"x"]]}]}`: "invalid syntax",
		`{"resultType":"matrix","result":[{"histograms":[[1,{"buckets":[[7,"1","2","1"]]}]]}]}`: "histogram with a bucket from 1 to 2 (7) behind -Inf is of no known form",
		`{"resultType":"vector","result":[{"histogram":[1,{"buckets":[[0,"2","1","1"]]}]}]}`:    "histogram with a bucket from 2 to 1 (0) behind -Inf is of no known form",
		`{"resultType":"vector","result":[{"histogram":[1,{"buckets":[[0,"1","2"]]}]}]}`:        "expected 4 elements",
	} {
		s.body = `{"status":"success","data":` + data + `}`
		_, err := c.Query(t.Context(), Query{Instant: true})
		require.ErrorContains(t, err, want, data)
		require.ErrorContains(t, err, "gave an answer that is not the API's", data)
	}
}

func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	c, err := New(server.URL, nil)
	require.NoError(t, err)
	defer c.Close()
	server.Close()
	_, err = c.Query(t.Context(), Query{Instant: true})
	require.ErrorContains(t, err, "connection refused")
	require.NotErrorAs(t, err, new(*Error))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Query(ctx, Query{Instant: true})
	require.ErrorIs(t, err, context.Canceled)
}

func TestAddresses(t *testing.T) {
	for _, s := range []string{"", "localhost:9090", "ftp://localhost", "http://", "/path"} {
		_, err := New(s, nil)
		require.ErrorContains(t, err, "write http://host:port", s)
	}
	_, err := New("http://[", nil)
	require.Error(t, err)
}
