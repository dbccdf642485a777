package remoteread

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

// server has the APIs of a Prometheus server that a client asks, over a storage.
type server struct {
	*httptest.Server
	data     storage.Storage
	external labels.Labels

	mu       sync.Mutex
	samples  bool // it does not stream
	frame    int  // most chunks in a frame
	read     func(http.ResponseWriter, *http.Request) bool
	config   int    // a status other than 200
	metrics  string // what it answers
	queries  []*prompb.Query
	requests []string
}

func newServer(t *testing.T, load string, external labels.Labels) *server {
	t.Helper()
	s := &server{data: promqltest.LoadedStorage(t, load), external: external, frame: 1000, metrics: "# HELP x\nprometheus_tsdb_lowest_timestamp_seconds 1.5e+01\n"}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /prom/api/v1/read", s.serveRead)
	mux.HandleFunc("GET /prom/api/v1/status/config", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		status := s.config
		s.mu.Unlock()
		if status != 0 {
			w.WriteHeader(status)
			return
		}
		config := "global:\n  scrape_interval: 1m\n  external_labels:\n"
		external.Range(func(l labels.Label) { config += "    " + l.Name + ": " + strconv.Quote(l.Value) + "\n" })
		reply(t, w, map[string]string{"yaml": config})
	})
	mux.HandleFunc("GET /prom/metrics", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, _ = io.WriteString(w, s.metrics)
	})
	mux.HandleFunc("GET /prom/api/v1/labels", func(w http.ResponseWriter, r *http.Request) {
		s.labels(t, w, r, func(q storage.Querier, m []*labels.Matcher) []string {
			names, _, err := q.LabelNames(r.Context(), nil, m...)
			require.NoError(t, err)
			return names
		})
	})
	mux.HandleFunc("GET /prom/api/v1/label/{name}/values", func(w http.ResponseWriter, r *http.Request) {
		s.labels(t, w, r, func(q storage.Querier, m []*labels.Matcher) []string {
			values, _, err := q.LabelValues(r.Context(), r.PathValue("name"), nil, m...)
			require.NoError(t, err)
			return values
		})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s
}

// set changes how the server answers.
func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func reply(t *testing.T, w io.Writer, data any) {
	t.Helper()
	require.NoError(t, json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data, "warnings": []string{truncated, "something else"}}))
}

func (s *server) labels(t *testing.T, w http.ResponseWriter, r *http.Request, ask func(storage.Querier, []*labels.Matcher) []string) {
	s.mu.Lock()
	s.requests = append(s.requests, r.URL.RequestURI())
	s.mu.Unlock()
	var m []*labels.Matcher
	if text := r.FormValue("match[]"); text != "" {
		var err error
		if m, err = parser.NewParser(parser.Options{}).ParseMetricSelector(text); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"status":"error","errorType":"bad_data","error":"no good selector"}`)
			return
		}
	}
	q, err := s.data.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	reply(t, w, ask(q, m))
}

// serveRead does as Prometheus: matchers of external labels that are equal pass series that do not have them, external labels are added behind
// sorting, where series have none of the name, and series without chunks are not sent in streams.
func (s *server) serveRead(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	packed, _ := io.ReadAll(r.Body)
	message, _ := snappy.Decode(nil, packed)
	var req prompb.ReadRequest
	if err := req.Unmarshal(message); err != nil || len(req.Queries) != 1 {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	query := req.Queries[0]
	s.queries = append(s.queries, query)
	if s.read != nil && s.read(w, r) {
		return
	}
	var m []*labels.Matcher
	for _, p := range query.Matchers {
		own := labels.MustNewMatcher(labels.MatchType(p.Type), p.Name, p.Value)
		if p.Type == prompb.LabelMatcher_EQ && s.external.Get(p.Name) == p.Value {
			own = labels.MustNewMatcher(labels.MatchEqual, p.Name, "")
		}
		m = append(m, own)
	}
	hints := &storage.SelectHints{Start: query.StartTimestampMs, End: query.EndTimestampMs}
	if query.Hints != nil {
		hints.Func = query.Hints.Func
	}
	merged := func(l labels.Labels) []prompb.Label {
		b := labels.NewBuilder(l)
		s.external.Range(func(e labels.Label) {
			if !l.Has(e.Name) {
				b.Set(e.Name, e.Value)
			}
		})
		return prompb.FromLabels(b.Labels(), nil)
	}
	if s.samples || !slices.Contains(req.AcceptedResponseTypes, prompb.ReadRequest_STREAMED_XOR_CHUNKS) {
		s.sendSamples(r.Context(), w, query, hints, m, merged)
		return
	}
	w.Header().Set("Content-Type", "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse")
	q, _ := s.data.ChunkQuerier(query.StartTimestampMs, query.EndTimestampMs)
	defer q.Close()
	for set := q.Select(r.Context(), true, hints, m...); set.Next(); {
		out := &prompb.ChunkedSeries{Labels: merged(set.At().Labels())}
		for it := set.At().Iterator(nil); it.Next(); {
			c := it.At()
			out.Chunks = append(out.Chunks, prompb.Chunk{MinTimeMs: c.MinTime, MaxTimeMs: c.MaxTime, Type: prompb.Chunk_Encoding(c.Chunk.Encoding()), Data: c.Chunk.Bytes()})
			if len(out.Chunks) == s.frame {
				_, _ = w.Write(frameOf(&prompb.ChunkedReadResponse{ChunkedSeries: []*prompb.ChunkedSeries{out}}))
				out.Chunks = nil
			}
		}
		if len(out.Chunks) > 0 {
			_, _ = w.Write(frameOf(&prompb.ChunkedReadResponse{ChunkedSeries: []*prompb.ChunkedSeries{out}}))
		}
	}
}

func frameOf(m *prompb.ChunkedReadResponse) []byte {
	b, _ := m.Marshal()
	out := binary.AppendUvarint(nil, uint64(len(b)))
	return append(binary.BigEndian.AppendUint32(out, crc32.Checksum(b, castagnoli)), b...)
}

func (s *server) sendSamples(ctx context.Context, w http.ResponseWriter, query *prompb.Query, hints *storage.SelectHints, m []*labels.Matcher, merged func(labels.Labels) []prompb.Label) {
	q, _ := s.data.Querier(query.StartTimestampMs, query.EndTimestampMs)
	defer q.Close()
	result := &prompb.QueryResult{}
	for set := q.Select(ctx, false, hints, m...); set.Next(); {
		out := &prompb.TimeSeries{Labels: merged(set.At().Labels())}
		it := set.At().Iterator(nil)
		for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
			switch typ {
			case chunkenc.ValFloat:
				at, f := it.At()
				out.Samples = append(out.Samples, prompb.Sample{Timestamp: at, Value: f})
			case chunkenc.ValHistogram:
				at, h := it.AtHistogram(nil)
				out.Histograms = append(out.Histograms, prompb.FromIntHistogram(at, h))
			case chunkenc.ValFloatHistogram:
				at, h := it.AtFloatHistogram(nil)
				out.Histograms = append(out.Histograms, prompb.FromFloatHistogram(at, h))
			}
		}
		result.Timeseries = append(result.Timeseries, out)
	}
	slices.Reverse(result.Timeseries)
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Header().Set("Content-Encoding", "snappy")
	res := prompb.ReadResponse{Results: []*prompb.QueryResult{result}}
	b, _ := res.Marshal()
	_, _ = w.Write(snappy.Encode(nil, b))
}

// last is the last query that was asked, as text.
func (s *server) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, m := range s.queries[len(s.queries)-1].Matchers {
		out = append(out, m.Name+m.Type.String()+m.Value)
	}
	return strings.Join(out, " ")
}
