package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
)

func TestQuery(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	for _, tc := range []struct {
		params []string
		want   string
	}{
		{[]string{"query", "2", "time", "123.4"}, `{"resultType":"scalar","result":[123.4,"2"]}`},
		{[]string{"query", "0.333", "time", "1970-01-01T00:02:03Z"}, `{"resultType":"scalar","result":[123,"0.333"]}`},
		{[]string{"query", "0.333", "time", "1970-01-01T01:02:03+01:00"}, `{"resultType":"scalar","result":[123,"0.333"]}`},
		{[]string{"query", "0.333"}, `{"resultType":"scalar","result":[6000,"0.333"]}`},
		{[]string{"query", `"x"`}, `{"resultType":"string","result":[6000,"x"]}`},
		{[]string{"query", "nothing"}, `{"resultType":"vector","result":[]}`},
		{[]string{"query", "sort_desc(test_metric1)", "time", "60"}, `{"resultType":"vector","result":[` +
			`{"metric":{"__name__":"test_metric1","foo":"bar"},"value":[60,"100"]},{"metric":{"__name__":"test_metric1","foo":"boo"},"value":[60,"1"]}]}`},
		{[]string{"query", "test_metric2[2m]", "time", "120"}, `{"resultType":"matrix","result":[{"metric":{"__name__":"test_metric2","foo":"boo"},"values":[[60,"1"],[120,"1"]]}]}`},
		{[]string{"query", "latency"}, `{"resultType":"vector","result":[{"metric":{"__name__":"latency","pod":"a"},"histogram":[6000,` +
			`{"count":"4","sum":"5","buckets":[[0,"0.5","1","1"],[0,"1","2","2"],[0,"2","4","1"]]}]}]}`},
		// The lookback reaches as far as it is told.
		{[]string{"query", "test_metric2", "time", "6100", "lookback_delta", "1m"}, `{"resultType":"vector","result":[]}`},
		{[]string{"query", "test_metric2", "time", "6100", "lookback_delta", "3m"}, `{"resultType":"vector","result":[{"metric":{"__name__":"test_metric2","foo":"boo"},"value":[6100,"1"]}]}`},
	} {
		for _, w := range []fmt.Stringer{get(mux, "query", values(t, tc.params...)).Body, post(mux, "query", values(t, tc.params...)).Body} {
			require.Equal(t, success(tc.want), w.String(), "%v", tc.params)
		}
	}
	require.Equal(t, "application/json", get(mux, "query", values(t, "query", "1")).Header().Get("Content-Type"))
}

func TestQueryRange(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	for _, tc := range []struct {
		params []string
		want   string
	}{
		{[]string{"query", "time()", "start", "0", "end", "2", "step", "1"}, `{"resultType":"matrix","result":[{"metric":{},"values":[[0,"0"],[1,"1"],[2,"2"]]}]}`},
		{[]string{"query", "time()", "start", "1970-01-01T00:00:00Z", "end", "1.5", "step", "500ms"}, `{"resultType":"matrix","result":[{"metric":{},"values":[[0,"0"],[0.500,"0.5"],[1,"1"],[1.500,"1.5"]]}]}`},
		{[]string{"query", "sum by (foo) (test_metric1)", "start", "0", "end", "60", "step", "1m"}, `{"resultType":"matrix","result":[` +
			`{"metric":{"foo":"bar"},"values":[[0,"0"],[60,"100"]]},{"metric":{"foo":"boo"},"values":[[0,"1"],[60,"1"]]}]}`},
		{[]string{"query", "nothing", "start", "0", "end", "60", "step", "60"}, `{"resultType":"matrix","result":[]}`},
		{[]string{"query", "1", "start", "0", "end", "11000", "step", "11000"}, `{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[11000,"1"]]}]}`},
	} {
		for _, w := range []fmt.Stringer{get(mux, "query_range", values(t, tc.params...)).Body, post(mux, "query_range", values(t, tc.params...)).Body} {
			require.Equal(t, success(tc.want), w.String(), "%v", tc.params)
		}
	}
	w := get(mux, "query_range", values(t, "query", "1", "start", "0", "end", "11000", "step", "1"))
	require.Equal(t, 200, w.Code)
	require.Equal(t, 11_001, strings.Count(w.Body.String(), `,"1"]`))
}

// Texts and status codes are those of Prometheus.
func TestQueryErrors(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	for _, tc := range []struct {
		path   string
		params []string
		code   int
		typ    errorType
		text   string
	}{
		{"query", nil, 400, errorBadData, `invalid parameter "query": unknown position: parse error: no expression found in input`},
		{"query", []string{"query", "foo{"}, 400, errorBadData, `invalid parameter "query": 1:5: parse error: unexpected end of input inside braces`},
		{"query", []string{"query", "1", "time", "noon"}, 400, errorBadData, `invalid parameter "time": invalid time value for 'time': cannot parse "noon" to a valid timestamp`},
		{"query", []string{"query", "1", "limit", "x"}, 400, errorBadData, `invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax`},
		{"query", []string{"query", "1", "limit", "-1"}, 400, errorBadData, `invalid parameter "limit": limit must be non-negative`},
		{"query", []string{"query", "1", "timeout", "x"}, 400, errorBadData, `invalid parameter "timeout": cannot parse "x" to a valid duration`},
		{"query", []string{"query", "1", "timeout", "0"}, 400, errorBadData, `invalid parameter "timeout": timeout must be positive, got 0s`},
		{"query", []string{"query", "1", "lookback_delta", "x"}, 400, errorBadData, `error parsing lookback delta duration: cannot parse "x" to a valid duration`},
		{"query", []string{"query", `label_replace(test_metric1, "foo", "x", "", "")`}, 422, errorExec, "vector cannot contain metrics with the same labelset"},
		{"query_range", []string{"query", "1", "end", "2", "step", "1"}, 400, errorBadData, `invalid parameter "start": cannot parse "" to a valid timestamp`},
		{"query_range", []string{"query", "1", "start", "0", "step", "1"}, 400, errorBadData, `invalid parameter "end": cannot parse "" to a valid timestamp`},
		{"query_range", []string{"query", "1", "start", "0", "end", "2"}, 400, errorBadData, `invalid parameter "step": cannot parse "" to a valid duration`},
		{"query_range", []string{"query", "1", "start", "2", "end", "1", "step", "1"}, 400, errorBadData, `invalid parameter "end": end timestamp must not be before start time`},
		{"query_range", []string{"query", "1", "start", "1", "end", "2", "step", "0"}, 400, errorBadData, `invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer`},
		{"query_range", []string{"query", "1", "start", "1", "end", "2", "step", "-1"}, 400, errorBadData, `invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer`},
		{"query_range", []string{"query", "1", "start", "148966367200.372", "end", "1489667272.372", "step", "1"}, 400, errorBadData, `invalid parameter "end": end timestamp must not be before start time`},
		{"query_range", []string{"query", "1", "start", "0", "end", "11001", "step", "1"}, 400, errorBadData, "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"},
		{"query_range", []string{"query", "test_metric1[1m]", "start", "0", "end", "1", "step", "1"}, 400, errorBadData, `invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector`},
		{"query", []string{"query", `{__name__=~".+"}[100m:1s]`, "lookback_delta", "10m"}, 422, errorExec, "query processing would load too many samples into memory in query execution"},
	} {
		w := get(mux, tc.path, values(t, tc.params...))
		require.Equal(t, tc.code, w.Code, "%s %v: %s", tc.path, tc.params, w.Body)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.Equal(t, failure(tc.typ, tc.text), w.Body.String(), "%s %v", tc.path, tc.params)
	}
}

// brokenEngine makes queries that fail.
type brokenEngine struct{ made, run error }

func (e brokenEngine) NewInstantQuery(context.Context, storage.Queryable, promql.QueryOpts, string, time.Time) (promql.Query, error) {
	return brokenQuery{e.run}, e.made
}

func (e brokenEngine) NewRangeQuery(context.Context, storage.Queryable, promql.QueryOpts, string, time.Time, time.Time, time.Duration) (promql.Query, error) {
	return brokenQuery{e.run}, e.made
}

type brokenQuery struct{ err error }

func (q brokenQuery) Exec(context.Context) *promql.Result { return &promql.Result{Err: q.err} }
func (brokenQuery) Close()                                {}
func (brokenQuery) Statement() parser.Statement           { return nil }
func (brokenQuery) Stats() *stats.Statistics              { return nil }
func (brokenQuery) Cancel()                               {}
func (brokenQuery) String() string                        { return "" }

func TestErrorTypes(t *testing.T) {
	for _, tc := range []struct {
		made, run error
		code      int
		typ       errorType
	}{
		{run: errors.New("some error"), code: 422, typ: errorExec},
		{run: promql.ErrTooManySamples("here"), code: 422, typ: errorExec},
		{run: promql.ErrQueryCanceled("here"), code: 499, typ: errorCanceled},
		{run: promql.ErrQueryTimeout("here"), code: 503, typ: errorTimeout},
		{run: context.DeadlineExceeded, code: 422, typ: errorExec},
		{run: context.Canceled, code: 499, typ: errorCanceled},
		{run: promql.ErrTooManySeries("here"), code: 422, typ: errorCostLimit},
		{run: promql.ErrTooManySamplesRead("here"), code: 422, typ: errorCostLimit},
		{run: promql.ErrStorage{Err: errors.New("broken")}, code: 500, typ: errorInternal},
		{run: fmt.Errorf("wrapped: %w", &engine.LimitError{Limit: 10, Held: 5, Used: 10}), code: 503, typ: errorUnavailable},
		{made: errors.New("some error"), code: 400, typ: errorBadData},
		{made: promql.ErrQueryTimeout("here"), code: 503, typ: errorTimeout},
		{made: promql.ErrQueryCanceled("here"), code: 499, typ: errorCanceled},
		{made: promql.ErrLimitAboveCeiling{Limit: "max_series", Requested: "2", Ceiling: "1"}, code: 400, typ: errorBadData},
	} {
		mux := newMux(Options{Backend: &fakeBackend{engine: brokenEngine{tc.made, tc.run}}})
		for _, w := range []struct {
			path   string
			params []string
		}{{"query", []string{"query", "up"}}, {"query_range", []string{"query", "up", "start", "0", "end", "1", "step", "1"}}} {
			res := get(mux, w.path, values(t, w.params...))
			require.Equal(t, tc.code, res.Code, "%v %v", tc.made, tc.run)
			text := ""
			switch {
			case tc.run != nil:
				text = tc.run.Error()
			case tc.typ == errorBadData && !errors.As(tc.made, new(promql.ErrLimitAboveCeiling)):
				text = `invalid parameter "query": ` + tc.made.Error()
			default:
				text = tc.made.Error()
			}
			require.Equal(t, failure(tc.typ, text), res.Body.String())
		}
	}
}

// A backend that has not what a request asks for says so to the client.
func TestBackendRefuses(t *testing.T) {
	mux := newMux(Options{Backend: &fakeBackend{err: errors.New("there is no such store")}})
	for path, params := range map[string][]string{
		"query": {"query", "1"}, "query_explain": {"query", "1"}, "labels": nil, "label/a/values": nil, "series": {"match[]", "up"},
	} {
		w := get(mux, path, values(t, params...))
		require.Equal(t, 400, w.Code, path)
		require.Equal(t, failure(errorBadData, "there is no such store"), w.Body.String(), path)
	}
}

func TestQueryTimeout(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	w := get(mux, "query", values(t, "query", "test_metric1", "timeout", "0.000000001"))
	require.Equal(t, 503, w.Code)
	require.Regexp(t, `^{"status":"error","errorType":"timeout","error":"query timed out in .*"}$`, w.Body.String())
}

func TestQueryLimit(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	const one = `{"metric":{"__name__":"test_metric1","foo":"bar"},"value":[6000,"10000"]}`
	require.Equal(t, `{"status":"success","data":{"resultType":"vector","result":[`+one+`]},"warnings":["results truncated due to limit"]}`,
		get(mux, "query", values(t, "query", "sort_desc(test_metric1)", "limit", "1")).Body.String())
	for _, limit := range []string{"0", "2", "3"} {
		w := get(mux, "query", values(t, "query", "test_metric1", "limit", limit))
		require.NotContains(t, w.Body.String(), "truncated")
		require.Equal(t, 2, strings.Count(w.Body.String(), "__name__"))
	}
	w := get(mux, "query_range", values(t, "query", "test_metric1", "limit", "1", "start", "0", "end", "0", "step", "1"))
	require.Equal(t, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"test_metric1","foo":"bar"},"values":[[0,"0"]]}]},"warnings":["results truncated due to limit"]}`,
		w.Body.String())
	require.Equal(t, success(`{"resultType":"scalar","result":[6000,"1"]}`), get(mux, "query", values(t, "query", "1", "limit", "1")).Body.String())
}

func TestQueryAnnotations(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	w := get(mux, "query", values(t, "query", "rate(test_metric2[5m]) + histogram_quantile(2, latency)"))
	var got struct{ Warnings, Infos []string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, []string{"PromQL warning: quantile value should be between 0 and 1, got 2 (1:45)"}, got.Warnings)
	require.Equal(t, []string{`PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "test_metric2" (1:6)`}, got.Infos)
}

func TestNotesAreFewAndSorted(t *testing.T) {
	var a annotations.Annotations
	for i := range 13 {
		a.Add(fmt.Errorf("warning %02d", 12-i))
	}
	a.Add(fmt.Errorf("%w: b", annotations.PromQLInfo))
	a.Add(fmt.Errorf("%w: a", annotations.PromQLInfo))
	warnings, infos := notes(a, "")
	require.Len(t, warnings, 11)
	require.Equal(t, "warning 00", warnings[0])
	require.Equal(t, "warning 09", warnings[9])
	require.Equal(t, "3 more warning annotations omitted", warnings[10])
	require.Equal(t, []string{"PromQL info: a", "PromQL info: b"}, infos)
}

func TestQueryStats(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	type answer struct {
		Data struct {
			Stats *struct {
				Timings map[string]float64
				Samples struct {
					TotalQueryableSamplesPerStep [][]float64
					TotalQueryableSamples        int
					PeakSamples                  int
				}
			}
		}
		Warnings []string
	}
	ask := func(stats string) (a answer) {
		w := get(mux, "query_range", values(t, "query", "test_metric2", "start", "0", "end", "60", "step", "30", "stats", stats))
		require.Equal(t, 200, w.Code)
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
		return a
	}
	require.Nil(t, ask("").Data.Stats)

	some := ask("true")
	require.Equal(t, 3, some.Data.Stats.Samples.TotalQueryableSamples)
	require.Nil(t, some.Data.Stats.Samples.TotalQueryableSamplesPerStep)
	require.Contains(t, some.Data.Stats.Timings, "execTotalTime")
	require.Empty(t, some.Warnings)

	all := ask("all")
	require.Equal(t, [][]float64{{0, 1}, {30, 1}, {60, 1}}, all.Data.Stats.Samples.TotalQueryableSamplesPerStep)
	require.Empty(t, all.Warnings)

	odd := ask("1")
	require.NotNil(t, odd.Data.Stats)
	require.Equal(t, []string{`value "1" for parameter "stats" is deprecated and will be rejected in the next major release, use "true" or "all"`}, odd.Warnings)
}

// The engine knows who asks, for the query log and the list of active queries.
func TestQueryOrigin(t *testing.T) {
	b := newBackend(t)
	seen := &originEngine{QueryEngine: b.engine}
	b.engine = seen
	get(newMux(Options{Backend: b}), "query", values(t, "query", "1"))
	require.Equal(t, map[string]any{"httpRequest": map[string]string{"clientIP": "192.0.2.1", "method": http.MethodGet, "path": "/api/v1/query"}}, seen.origin)
}

type originEngine struct {
	promql.QueryEngine
	origin any
}

func (e *originEngine) NewInstantQuery(ctx context.Context, s storage.Queryable, o promql.QueryOpts, expr string, at time.Time) (promql.Query, error) {
	q, err := e.QueryEngine.NewInstantQuery(ctx, s, o, expr, at)
	return &originQuery{q, e}, err
}

type originQuery struct {
	promql.Query
	engine *originEngine
}

func (q *originQuery) Exec(ctx context.Context) *promql.Result {
	q.engine.origin = ctx.Value(promql.QueryOrigin{})
	return q.Query.Exec(ctx)
}

// Queries are closed once their result has been written, whatever it is.
func TestQueriesAreClosed(t *testing.T) {
	b := newBackend(t)
	counting := &countingEngine{QueryEngine: b.engine}
	b.engine = counting
	mux := newMux(Options{Backend: b})
	for _, expr := range []string{"test_metric1", "test_metric1 * on () test_metric1"} {
		get(mux, "query", values(t, "query", expr))
		get(mux, "query_explain", values(t, "query", expr))
	}
	require.Equal(t, 4, counting.made)
	require.Equal(t, 4, counting.closed)
}

type countingEngine struct {
	promql.QueryEngine
	made, closed int
}

func (e *countingEngine) NewInstantQuery(ctx context.Context, s storage.Queryable, o promql.QueryOpts, expr string, at time.Time) (promql.Query, error) {
	q, err := e.QueryEngine.NewInstantQuery(ctx, s, o, expr, at)
	e.made++
	return &countingQuery{q.(engine.ExplainableQuery), e}, err
}

type countingQuery struct {
	engine.ExplainableQuery
	engine *countingEngine
}

func (q *countingQuery) Close() {
	q.engine.closed++
	q.ExplainableQuery.Close()
}
