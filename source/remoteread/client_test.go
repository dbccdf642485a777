package remoteread

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/source/extlabels"
)

const load = `
load 15s
  up{job="a"} 1x300
  up{job="a",b="2"} 0+1x300
  up{job="a",zzz="x"} 5 stale _x10 7+2x200
  up{job="b"} 3x10
  h{job="a"} {{schema:1 sum:4 count:4 buckets:[1 2 1]}}+{{schema:1 sum:1 count:2 buckets:[1 0 1]}}x200
  nhcb{job="a"} {{schema:-53 custom_values:[1 2 5] sum:4 count:6 buckets:[1 2 3]}}+{{schema:-53 custom_values:[1 2 5] sum:4 count:6 buckets:[1 2 3]}}x50
  {"utf 8","a.b"="c d"} 1x10
`

var external = labels.FromStrings("cluster", "eu", "k", "v")

// dial gives a client that has asked the server once.
func dial(t *testing.T, s *server, opts Options) *Client {
	t.Helper()
	c, err := New(s.URL+"/prom", opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.Refresh(t.Context()))
	return c
}

func matchers(t *testing.T, selector string) []*labels.Matcher {
	t.Helper()
	m, err := parser.NewParser(parser.Options{}).ParseMetricSelector(selector)
	require.NoError(t, err)
	return m
}

// read is all that a querier gives, as text.
func read(t *testing.T, q storage.Queryable, selector string) string {
	t.Helper()
	r, err := q.Querier(0, 1e12)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	return samplesOf(t, r.Select(t.Context(), true, nil, matchers(t, selector)...))
}

func samplesOf(t *testing.T, set storage.SeriesSet) string {
	t.Helper()
	var out strings.Builder
	for set.Next() {
		fmt.Fprintln(&out, set.At().Labels())
		it := set.At().Iterator(nil)
		for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
			switch typ {
			case chunkenc.ValFloat:
				at, f := it.At()
				fmt.Fprintf(&out, " %d:%x", at, math.Float64bits(f))
			case chunkenc.ValHistogram:
				at, h := it.AtHistogram(nil)
				fmt.Fprintf(&out, " %d:%s", at, h)
			default:
				at, h := it.AtFloatHistogram(nil)
				fmt.Fprintf(&out, " %d:%s", at, h)
			}
		}
		require.NoError(t, it.Err())
		fmt.Fprintln(&out)
	}
	require.NoError(t, set.Err())
	return out.String()
}

var selectors = []string{
	`up`, `up{cluster="eu"}`, `{cluster=~"e.",job="a"}`, `up{cluster="us"}`, `up{cluster!="eu"}`, `up{cluster=~"us|"}`, `{cluster="eu"}`, `{job="a",zzz=""}`,
	`h`, `nhcb{k!=""}`, `{"utf 8"}`, `{"a.b"="c d"}`, `nothing`, `{k="v",job=~".+",b=""}`,
}

// What comes over the API is what is there, in the right order, as chunks and as samples.
func TestSelect(t *testing.T) {
	for _, ext := range []labels.Labels{labels.EmptyLabels(), external} {
		s := newServer(t, load, ext)
		want := extlabels.New(s.data, ext)
		c := dial(t, s, Options{})
		for _, samples := range []bool{false, true} {
			for _, frame := range []int{1, 1000} {
				s.samples, s.frame = samples, frame
				for _, selector := range selectors {
					require.Equal(t, read(t, want, selector), read(t, c, selector), "%s %t %s", ext, samples, selector)
				}
			}
		}
		require.Contains(t, read(t, c, "up"), fmt.Sprintf("%x", value.StaleNaN))
	}
}

// Chunks come as the server has them.
func TestChunks(t *testing.T) {
	s := newServer(t, load, external)
	c := dial(t, s, Options{})
	chunksOf := func(q storage.ChunkQueryable) (out []string) {
		r, err := q.ChunkQuerier(0, 1e12)
		require.NoError(t, err)
		set := r.Select(t.Context(), true, &storage.SelectHints{Start: 0, End: 1e12}, matchers(t, `{job="a"}`)...)
		for set.Next() {
			for it := set.At().Iterator(nil); it.Next(); {
				m := it.At()
				out = append(out, fmt.Sprintf("%s %d %d %s %x", set.At().Labels(), m.MinTime, m.MaxTime, m.Chunk.Encoding(), m.Chunk.Bytes()))
			}
		}
		require.NoError(t, set.Err())
		require.NoError(t, r.Close())
		return out
	}
	got := chunksOf(c)
	require.Equal(t, chunksOf(extlabels.New(s.data, external)), got)
	require.Greater(t, len(got), 8)
}

// Matchers of external labels are not sent, because servers would look for them in the storage.
func TestMatchers(t *testing.T) {
	s := newServer(t, load, external)
	c := dial(t, s, Options{})
	read(t, c, `up{cluster=~"e.",k="v",job!="x"}`)
	require.Equal(t, "jobNEQx __name__EQup", s.last())
	asked := len(s.queries)
	require.Empty(t, read(t, c, `up{cluster="us"}`))
	require.Len(t, s.queries, asked)

	q, err := c.Querier(100, 1000)
	require.NoError(t, err)
	q.Select(t.Context(), false, &storage.SelectHints{Start: 200, End: 900, Step: 5, Func: "rate", Range: 300, Grouping: []string{"x"}, By: true}, matchers(t, "up")...).Next()
	require.Equal(t, &prompb.ReadHints{StartMs: 200, EndMs: 900, StepMs: 5, Func: "rate", RangeMs: 300, Grouping: []string{"x"}, By: true}, s.queries[len(s.queries)-1].Hints)
	require.NoError(t, q.Close())
}

// Series of their own labels that external ones hide come in order, or are an error if they cannot be told apart.
func TestHiddenLabels(t *testing.T) {
	s := newServer(t, "load 15s\n  up{job=\"a\",cluster=\"own\"} 1x10\n  up{job=\"b\",cluster=\"eu\"} 1x10\n  up{job=\"c\"} 1x10\n", external)
	c := dial(t, s, Options{})
	require.Equal(t, read(t, extlabels.New(s.data, external), "up"), read(t, c, "up"))
	s = newServer(t, "load 15s\n  up{job=\"a\",cluster=\"eu\"} 1x10\n  up{job=\"a\"} 1x10\n", external)
	c = dial(t, s, Options{})
	q, err := c.Querier(0, 1e9)
	require.NoError(t, err)
	set := q.Select(t.Context(), true, nil, matchers(t, "up")...)
	require.False(t, set.Next())
	require.ErrorContains(t, set.Err(), "several series become")
}

func TestLabels(t *testing.T) {
	for _, ext := range []labels.Labels{labels.EmptyLabels(), external} {
		s := newServer(t, load, ext)
		c := dial(t, s, Options{})
		want, err := extlabels.New(s.data, ext).Querier(0, 1e12)
		require.NoError(t, err)
		got, err := c.Querier(0, 1e12)
		require.NoError(t, err)
		for _, selector := range append(selectors, "") {
			var m []*labels.Matcher
			if selector != "" {
				m = matchers(t, selector)
			}
			names, _, err := want.LabelNames(t.Context(), nil, m...)
			require.NoError(t, err)
			found, _, err := got.LabelNames(t.Context(), nil, m...)
			require.NoError(t, err)
			require.ElementsMatch(t, names, found, selector)
			for _, name := range []string{"job", "cluster", "__name__", "b"} {
				values, _, err := want.LabelValues(t.Context(), name, nil, m...)
				require.NoError(t, err)
				found, _, err := got.LabelValues(t.Context(), name, nil, m...)
				require.NoError(t, err)
				require.ElementsMatch(t, values, found, "%s %s", selector, name)
			}
		}
		// The API takes no selector that passes series without labels.
		empty := labels.MustNewMatcher(labels.MatchEqual, "job", "")
		found, _, err := got.LabelNames(t.Context(), nil, empty)
		require.NoError(t, err)
		require.ElementsMatch(t, append([]string{"__name__", "a.b"}, c.Labels()...), found)
		_, warnings, err := got.LabelValues(t.Context(), "a.b", &storage.LabelHints{Limit: 3}, matchers(t, "up")...)
		require.NoError(t, err)
		require.Equal(t, []string{"remote engine " + s.URL + "/prom: something else"}, slices.Collect(maps.Keys(warnings)))
		require.Equal(t, "/prom/api/v1/label/U__a_2e_b/values?end=1000000000.000&limit=3&match%5B%5D=%7B__name__%3D%22up%22%7D&start=0.000", s.requests[len(s.requests)-1])
		require.NoError(t, want.Close())
		require.NoError(t, got.Close())
	}
}

// Queries over the API are answered as over the storage.
func TestQueries(t *testing.T) {
	s := newServer(t, load, external)
	c := dial(t, s, Options{})
	oracle, stride := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute}), engine.New(engine.Opts{})
	for _, expr := range []string{
		`up`, `sum by (cluster) (rate(up[5m]))`, `histogram_quantile(0.9, sum(rate(h[5m])))`, `count({job="a"})`, `up{k="v"} * on (k, b) group_left () up{b="2"}`, `nhcb`, `absent(up{cluster="us"})`,
	} {
		want, err := oracle.NewRangeQuery(t.Context(), extlabels.New(s.data, external), nil, expr, time.Unix(0, 0), time.Unix(4000, 0), 30*time.Second)
		require.NoError(t, err)
		for _, samples := range []bool{false, true} {
			s.samples = samples
			got, err := stride.NewRangeQuery(t.Context(), c, nil, expr, time.Unix(0, 0), time.Unix(4000, 0), 30*time.Second)
			require.NoError(t, err)
			res := got.Exec(t.Context())
			require.NoError(t, res.Err)
			require.Equal(t, want.Exec(t.Context()).String(), res.String(), expr)
			got.Close()
		}
		want.Close()
	}
}

func TestAnnouncements(t *testing.T) {
	s := newServer(t, load, external)
	s.set(func() { s.config = http.StatusServiceUnavailable })
	c, err := New(s.URL+"/prom/api/v1/read", Options{Interval: time.Hour})
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, s.URL+"/prom", c.Name())
	require.Error(t, c.Refresh(t.Context()))
	require.Nil(t, c.Announced())
	unknown, _ := remote.Unknown()
	require.Equal(t, unknown, c.Coverage())
	require.True(t, c.Capabilities().Unheard)
	require.ErrorContains(t, c.LastError(), "status 503")
	_, err = c.ChunkQuerier(0, 1)
	require.ErrorContains(t, err, "remote engine "+s.URL+"/prom: status 503")

	s.set(func() { s.config = 0 })
	require.NoError(t, c.Refresh(t.Context()))
	require.NoError(t, c.LastError())
	require.Equal(t, []remote.Coverage{{Labels: external, Intervals: remote.Intervals{{Start: 15000, End: math.MaxInt64}}}}, c.Coverage())
	require.Equal(t, []string{"cluster", "k"}, c.Labels())
	require.True(t, c.Capabilities().SamplesOnly)
	before := c.Coverage()
	require.NoError(t, c.Refresh(t.Context()))
	require.Same(t, &before[0], &c.Coverage()[0])
	s.set(func() { s.metrics = "prometheus_tsdb_lowest_timestamp_seconds 9.223372036854776e+15\n" })
	require.NoError(t, c.Refresh(t.Context()))
	require.Equal(t, remote.Intervals{remote.Always}, c.Coverage()[0].Intervals)
	s.set(func() { s.config = http.StatusInternalServerError })
	require.Error(t, c.Refresh(t.Context()))
	require.Equal(t, external, c.Coverage()[0].Labels)
	_, err = c.NewInstantQuery(t.Context(), nil, nil, time.Time{})
	require.ErrorContains(t, err, "evaluates no queries")

	// Labels that are given are beside those of the server, and are enough where it has no such API.
	given := dial(t, newServer(t, load, external), Options{External: labels.FromStrings("cluster", "us", "z", "1")})
	require.Equal(t, labels.FromStrings("cluster", "us", "k", "v", "z", "1"), given.Coverage()[0].Labels)
	require.Contains(t, read(t, given, `up{cluster="us",b="2"}`), `{__name__="up", b="2", cluster="us", job="a", k="v", z="1"}`)
	s = newServer(t, load, labels.EmptyLabels())
	s.set(func() { s.config = http.StatusNotFound })
	given = dial(t, s, Options{External: external})
	require.Equal(t, read(t, extlabels.New(s.data, external), "up"), read(t, given, "up"))
}

// someChunk is a chunk of one sample.
func someChunk(t *testing.T) []byte {
	t.Helper()
	c := chunkenc.NewXORChunk()
	app, err := c.Appender()
	require.NoError(t, err)
	app.Append(0, 0, 1)
	return c.Bytes()
}

// What is cut off, damaged or too much is an error that names the server, and never fewer series.
func TestFaults(t *testing.T) {
	good := frameOf(&prompb.ChunkedReadResponse{ChunkedSeries: []*prompb.ChunkedSeries{{Labels: []prompb.Label{{Name: "a", Value: "1"}}, Chunks: []prompb.Chunk{{Type: 1, Data: someChunk(t)}}}}})
	frame := func(s ...*prompb.ChunkedSeries) string {
		return string(frameOf(&prompb.ChunkedReadResponse{ChunkedSeries: s}))
	}
	var many strings.Builder
	for i := range 1000 {
		many.WriteString(frame(&prompb.ChunkedSeries{Labels: []prompb.Label{{Name: "a", Value: fmt.Sprintf("%04d", i)}}, Chunks: []prompb.Chunk{{Type: 1, Data: someChunk(t)}}}))
	}
	xor := []prompb.Chunk{{Type: 1, Data: someChunk(t)}}
	for name, tc := range map[string]struct{ kind, body, want string }{
		"one byte of a frame":  {"", string(good) + string(good[:1]), "cut off"},
		"a part of the sum":    {"", string(good[:3]), "cut off"},
		"a part of the frame":  {"", string(good[:len(good)-1]), "cut off"},
		"a wrong sum":          {"", string(good[:len(good)-1]) + "x", "checksum"},
		"too large a frame":    {"", "\xff\xff\xff\xff\x7f12345", "bytes"},
		"words":                {"", "expanding series: something broke\n", "cut off"},
		"another query":        {"", string(frameOf(&prompb.ChunkedReadResponse{QueryIndex: 1})), "but one"},
		"an unknown encoding":  {"", frame(&prompb.ChunkedSeries{Chunks: []prompb.Chunk{{Type: 99, Data: xor[0].Data}}}), "encoding"},
		"no chunk":             {"", frame(&prompb.ChunkedSeries{Chunks: []prompb.Chunk{{Type: 1}}}), "0 bytes"},
		"the same label twice": {"", frame(&prompb.ChunkedSeries{Labels: []prompb.Label{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}, Chunks: xor}), "twice"},
		"another order":        {"", frame(&prompb.ChunkedSeries{Labels: []prompb.Label{{Name: "a", Value: "2"}}, Chunks: xor}, &prompb.ChunkedSeries{Labels: []prompb.Label{{Name: "a", Value: "1"}}, Chunks: xor}), "not in order"},
		"a page":               {"text/html", "<html>", `of type "text/html"`},
		"samples, not packed":  {samplesType, "\xff\xff\xff\xff\xff\xff\xff", "packed"},
		"samples, no result":   {samplesType, "\x00", "0 results"},
		"more than is allowed": {"", many.String(), "more than 5000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, load, labels.EmptyLabels())
			s.read = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", cmp.Or(tc.kind, streamedType))
				_, _ = io.WriteString(w, tc.body)
				return true
			}
			q, err := dial(t, s, Options{MaxBytes: 5000}).Querier(0, 1e9)
			require.NoError(t, err)
			set := q.Select(t.Context(), true, nil, matchers(t, "up")...)
			for set.Next() { // what came before is good
			}
			require.ErrorContains(t, set.Err(), tc.want)
			require.ErrorContains(t, set.Err(), "remote engine "+s.URL+"/prom")
			require.NoError(t, q.Close())
		})
	}
}

func TestRefusalsAndSilence(t *testing.T) {
	s := newServer(t, load, labels.EmptyLabels())
	c := dial(t, s, Options{Patience: 100 * time.Millisecond})
	answer := func(f func(http.ResponseWriter, *http.Request) bool) { s.set(func() { s.read = f }) }
	ask := func() error {
		q, err := c.Querier(0, 1e9)
		require.NoError(t, err)
		defer q.Close()
		set := q.Select(t.Context(), true, nil, matchers(t, "up")...)
		for set.Next() {
		}
		return set.Err()
	}
	answer(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "exceeded sample limit (5)", http.StatusBadRequest)
		return true
	})
	require.EqualError(t, ask(), "remote engine "+s.URL+"/prom: status 400: exceeded sample limit (5)")
	answer(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	require.ErrorContains(t, ask(), "not given a sign of life for 100ms")
	answer(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", streamedType)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	})
	require.ErrorContains(t, ask(), "not given a sign of life for 100ms")
	answer(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	require.ErrorContains(t, ask(), "it has closed the connection")
	answer(nil)
	require.NoError(t, ask())
	s.Server.Close()
	require.ErrorContains(t, ask(), "remote engine "+s.URL)

	_, err := New("localhost:9090", Options{})
	require.ErrorContains(t, err, "write http://host:port")
	_, err = New("http://user:secret@localhost:9090", Options{})
	require.ErrorContains(t, err, "has a user name in it")
	require.NotContains(t, err.Error(), "secret")
}

// slow is a server that thinks for as long before it begins to answer a read request, and before all that it sends.
type slow struct {
	server *server
	delay  time.Duration
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.server.Config.Handler.ServeHTTP(w, r)
	res := w.Result()
	if strings.HasSuffix(r.URL.Path, readPath) {
		res.Body = slowBody{res.Body, s.delay, r.Context()}
		return res, wait(r.Context(), s.delay)
	}
	return res, nil
}

type slowBody struct {
	io.ReadCloser
	delay time.Duration
	ctx   context.Context
}

func (b slowBody) Read(p []byte) (int, error) {
	if err := wait(b.ctx, b.delay); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Without a limit a server may be silent for as long as who asks waits.
func TestPatience(t *testing.T) {
	s := newServer(t, load, labels.EmptyLabels())
	for patience, want := range map[time.Duration]string{0: "", 2 * time.Hour: "", 59 * time.Minute: "not given a sign of life for 59m0s"} {
		synctest.Test(t, func(t *testing.T) {
			c := dial(t, s, Options{Patience: patience, HTTP: &http.Client{Transport: slow{s, time.Hour}}})
			q, err := c.Querier(0, 1e9)
			require.NoError(t, err)
			defer q.Close()
			n := 0
			set := q.Select(t.Context(), true, nil, matchers(t, "up")...)
			for set.Next() {
				n++
			}
			if want != "" {
				require.ErrorContains(t, set.Err(), want)
				return
			}
			require.NoError(t, set.Err())
			require.Equal(t, 4, n)
		})
	}
}

func TestLimits(t *testing.T) {
	s := newServer(t, load, external)
	for want, opts := range map[string]Options{
		"more than 3 series": {MaxSeries: 3}, "more than 100 samples": {MaxSamples: 100}, "more than 500 bytes": {MaxBytes: 500}, "": {MaxSeries: 4, MaxSamples: 2000, MaxBytes: 1e6},
	} {
		q, err := dial(t, s, opts).ChunkQuerier(0, 1e9)
		require.NoError(t, err)
		set := q.Select(t.Context(), true, nil, matchers(t, "up")...)
		for set.Next() {
		}
		if want == "" {
			require.NoError(t, set.Err())
		} else {
			require.ErrorContains(t, set.Err(), want)
		}
	}
}
