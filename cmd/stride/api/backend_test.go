package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
)

// testData are the series that the tests ask for, from 0 to 100 minutes.
const testData = `load 1m
  test_metric1{foo="bar"} 0+100x100
  test_metric1{foo="boo"} 1+0x100
  test_metric2{foo="boo"} 1+0x100
  test_metric3{foo="bar",dup="1"} 1+0x100
  test_metric4{foo="bar",dup="1"} 1+0x100
  requests_total{pod="a"} 0+60x100
  requests_total{pod="b"} 0+30x100
  latency{pod="a"} {{schema:0 sum:5 count:4 buckets:[1 2 1]}}x100
`

// now is what the clock shows: the end of the data.
var now = time.Unix(6000, 0)

// fakeBackend hands out what it was made with and remembers what it was asked.
type fakeBackend struct {
	engine  promql.QueryEngine
	storage storage.Queryable
	asked   RequestOptions
	err     error
}

func (b *fakeBackend) Engine(r RequestOptions, opts promql.QueryOpts) (promql.QueryEngine, storage.Queryable, promql.QueryOpts, error) {
	b.asked = r
	return b.engine, b.storage, opts, b.err
}

func (b *fakeBackend) Queryable(r RequestOptions) (storage.Queryable, error) {
	b.asked = r
	return b.storage, b.err
}

// newBackend evaluates on testData.
func newBackend(t *testing.T) *fakeBackend {
	t.Helper()
	e := engine.New(engine.Opts{
		EngineOpts: promql.EngineOpts{MaxSamples: 20_000, EnableAtModifier: true, EnableNegativeOffset: true, EnablePerStepStats: true},
		Workers:    2,
	})
	return &fakeBackend{engine: e, storage: promqltest.LoadedStorage(t, testData)}
}

// newMux serves with o, of which tests need to say only what they are about.
func newMux(o Options) *http.ServeMux {
	if o.Now == nil {
		o.Now = func() time.Time { return now }
	}
	mux := http.NewServeMux()
	New(o).Register(mux)
	return mux
}

// get sends a GET request.
func get(h http.Handler, path string, params url.Values) *httptest.ResponseRecorder {
	return send(h, httptest.NewRequest(http.MethodGet, "/api/v1/"+path+"?"+params.Encode(), nil))
}

// post sends a form.
func post(h http.Handler, path string, params url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/"+path, strings.NewReader(params.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(h, r)
}

func send(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// values makes parameters of names and values in turn.
func values(t *testing.T, namesAndValues ...string) url.Values {
	t.Helper()
	require.Zero(t, len(namesAndValues)%2)
	v := url.Values{}
	for i := 0; i < len(namesAndValues); i += 2 {
		v.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return v
}

func success(data string) string { return `{"status":"success","data":` + data + `}` }

func failure(typ errorType, text string) string {
	e := &encoder{}
	e.htmlText(text)
	return `{"status":"error","errorType":"` + string(typ) + `","error":` + string(e.buf) + `}`
}
