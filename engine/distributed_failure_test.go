package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/remote"
)

// twoClusters are two engines with a cluster each, and a storage with both.
func twoClusters(t testing.TB, o engine.Opts) (a, b remote.RemoteEngine, all storage.Queryable) {
	const load = `load 30s
  reqs_total{pod="1",cluster=%q} 0+%dx200
  reqs_total{pod="2",cluster=%q} 0+%dx200
`
	both := ""
	make := func(name string, k int) remote.RemoteEngine {
		text := fmt.Sprintf(load, name, k, name, 2*k)
		both += text[len("load 30s\n"):]
		st := promqltest.LoadedStorage(t, text)
		t.Cleanup(func() { st.Close() })
		return engine.NewRemoteEngine(engine.New(o), st, engine.RemoteOpts{
			Name: name, PartitionLabels: []string{"cluster"},
			Coverage: []remote.Coverage{{Labels: labels.FromStrings("cluster", name), Intervals: remote.Intervals{remote.Always}}},
		})
	}
	a, b = make("a", 1), make("b", 10)
	st := promqltest.LoadedStorage(t, "load 30s\n"+both)
	t.Cleanup(func() { st.Close() })
	return a, b, st
}

// faulty is an engine whose queries go wrong.
type faulty struct {
	remote.RemoteEngine
	newErr error
	stream func(context.Context) (remote.ColumnStream, error)
}

func (f *faulty) NewInstantQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time) (promql.Query, error) {
	return &faultyQuery{f: f}, f.newErr
}

func (f *faulty) NewRangeQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time, time.Time, time.Duration) (promql.Query, error) {
	return &faultyQuery{f: f}, f.newErr
}

type faultyQuery struct {
	promql.Query
	f *faulty
}

func (q *faultyQuery) Close() {}

func (q *faultyQuery) Stream(ctx context.Context) (remote.ColumnStream, error) {
	return q.f.stream(ctx)
}

// funcStream is a stream of functions.
type funcStream struct {
	next   func(context.Context) (*remote.Columns, error)
	closed *atomic.Int32
}

func (s funcStream) Next(ctx context.Context) (*remote.Columns, error) { return s.next(ctx) }
func (funcStream) Trailer() remote.Trailer                             { return remote.Trailer{} }
func (s funcStream) Close() error                                      { s.closed.Add(1); return nil }

var hour = times{start: 600, end: 4200, step: 60}

// A lost engine is an error that names it or, where that is wanted, a warning that names it and what may be missing.
func TestLostEngine(t *testing.T) {
	o := baseOpts()
	a, b, _ := twoClusters(t, o)
	var closed atomic.Int32
	streaming := func(next func(context.Context) (*remote.Columns, error)) func(context.Context) (remote.ColumnStream, error) {
		return func(context.Context) (remote.ColumnStream, error) { return funcStream{next, &closed}, nil }
	}
	sent := false
	for name, c := range map[string]struct {
		f       faulty
		want    string
		streams bool
	}{
		"refuses": {f: faulty{newErr: errors.New("no place")}, want: "remote engine b: no place"},
		"unreachable": {f: faulty{stream: func(context.Context) (remote.ColumnStream, error) { return nil, errors.New("connection refused") }},
			want: "remote engine b: connection refused"},
		"breaks off": {f: faulty{stream: streaming(func(context.Context) (*remote.Columns, error) {
			if sent = !sent; sent {
				return remote.NewColumns([]remote.Series{{Labels: labels.FromStrings("cluster", "b")}}, 0, 61), nil
			}
			return nil, io.ErrUnexpectedEOF
		})}, want: "remote engine b: unexpected EOF", streams: true},
		"answers nonsense": {f: faulty{stream: streaming(func(context.Context) (*remote.Columns, error) {
			return &remote.Columns{Series: make([]remote.Series, 1), From: 60, Steps: 100, F: make([]float64, 100)}, nil
		})}, want: "make no sense", streams: true},
		"panics": {f: faulty{stream: func(context.Context) (remote.ColumnStream, error) { panic("boom") }}, want: "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			closed.Store(0)
			f := c.f
			f.RemoteEngine = b
			e := engine.NewDistributed(o, remote.StaticEndpoints{a, &f})
			res, _ := execute(t, e, nil, nil, `sum(rate(reqs_total[5m]))`, hour)
			require.ErrorContains(t, res.Err, c.want)
			if c.streams {
				require.EqualValues(t, 1, closed.Load())
			}

			res, _ = execute(t, e, nil, engine.WithPartialResponse(nil, true), `sum(rate(reqs_total[5m]))`, hour)
			require.NoError(t, res.Err)
			warnings, _ := texts(res, "")
			require.Len(t, warnings, 1)
			require.Contains(t, warnings[0], "remote engine b failed, so that results from 1970-01-01T00:10:00Z to 1970-01-01T01:10:00Z of series with the external labels {cluster=\"b\"} may be missing")
			m := res.Value.(promql.Matrix)
			require.Len(t, m, 1)
			require.InDelta(t, 3./30, m[0].Floats[30].F, 1e-9, "the other engine's part")
		})
	}
}

// unheard is an engine that has said nothing yet when queries are planned, and may have when they run: it is not asked.
type unheard struct {
	remote.RemoteEngine
	last error
}

func (u unheard) LastError() error { return u.last }
func (unheard) Labels() []string   { return nil }
func (unheard) Coverage() []remote.Coverage {
	return []remote.Coverage{{Labels: labels.EmptyLabels(), Intervals: remote.Intervals{remote.Always}}}
}
func (unheard) Capabilities() remote.Capabilities { return remote.Capabilities{Unheard: true} }

// An engine that has said nothing yet is an error, or a warning, that names it, and leaves what others do as it is.
func TestUnheardEngine(t *testing.T) {
	o := baseOpts()
	a, b, all := twoClusters(t, o)
	dead := unheard{a, errors.New("connection refused")}
	e := engine.NewDistributed(o, remote.StaticEndpoints{a, b, dead})
	for _, query := range []string{
		`sum(rate(reqs_total[5m]))`, `sum by (pod) (rate(reqs_total[5m]))`, `quantile(0.5, reqs_total)`, `reqs_total{cluster="a"}`,
		`absent(reqs_total{cluster="c"})`, `max_over_time(sum(reqs_total)[10m:1m])`, `topk(1, reqs_total)`, `count_values("v", reqs_total)`,
	} {
		res, _ := execute(t, e, nil, nil, query, hour)
		require.ErrorContains(t, res.Err, "it has not said yet what it is and what data it has: connection refused", query)
		require.ErrorContains(t, res.Err, "remote engine ", query)

		res, _ = execute(t, e, nil, engine.WithPartialResponse(nil, true), query, hour)
		require.NoError(t, res.Err, query)
		warnings, _ := texts(res, "")
		require.Len(t, warnings, 1, query)
		require.Contains(t, warnings[0], "it has not said yet", query)
		want, _ := execute(t, prometheusEngine(t, o), all, nil, query, hour)
		require.Equal(t, want.Value.String(), res.Value.String(), query)
	}
	res, _ := execute(t, e, nil, nil, `vector(1)`, hour)
	require.NoError(t, res.Err, "it selects nothing")

	dead.last = nil
	res, _ = execute(t, engine.NewDistributed(o, remote.StaticEndpoints{dead}), nil, nil, `up`, hour)
	require.EqualError(t, res.Err, "remote engine a: it has not said yet what it is and what data it has")
}

// A query that is cancelled or times out ends, though an engine hangs, and leaves nothing behind.
func TestHangingEngine(t *testing.T) {
	o := baseOpts()
	o.Timeout = 50 * time.Millisecond
	a, b, _ := twoClusters(t, o)
	var closed atomic.Int32
	f := &faulty{RemoteEngine: b, stream: func(context.Context) (remote.ColumnStream, error) {
		return funcStream{func(ctx context.Context) (*remote.Columns, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, &closed}, nil
	}}
	e := engine.NewDistributed(o, remote.StaticEndpoints{a, f})
	res, _ := execute(t, e, nil, engine.WithPartialResponse(nil, true), `sum(reqs_total)`, hour)
	require.EqualError(t, res.Err, "query timed out in expression evaluation")
	require.EqualValues(t, 1, closed.Load())
}

// Errors of the query itself are those that one engine would give.
func TestQueryErrorsFromEngines(t *testing.T) {
	o := baseOpts()
	a, b, all := twoClusters(t, o)
	e := engine.NewDistributed(o, remote.StaticEndpoints{a, b})
	for _, query := range []string{
		`reqs_total * ignoring (pod) reqs_total`,
		`label_replace(reqs_total, "pod", "x", "", "")`,
		`label_join(reqs_total, "cluster", "")`,
	} {
		want, _ := execute(t, engine.New(o), all, nil, query, hour)
		require.Error(t, want.Err)
		res, _ := execute(t, e, nil, nil, query, hour)
		require.Error(t, res.Err)
		require.Equal(t, want.Err.Error()[:40], res.Err.Error()[:40], query)
	}
}

// All parts of a query have its id, which the caller may choose.
func TestPartsHaveOneRequestID(t *testing.T) {
	o := baseOpts()
	a, b, _ := twoClusters(t, o)
	var mu sync.Mutex
	ids := map[string]int{}
	note := func(r remote.RemoteEngine) remote.RemoteEngine {
		return &faulty{RemoteEngine: r, stream: func(ctx context.Context) (remote.ColumnStream, error) {
			mu.Lock()
			defer mu.Unlock()
			ids[remote.RequestFrom(ctx).ID]++
			return nil, errors.New("enough")
		}}
	}
	e := engine.NewDistributed(o, remote.StaticEndpoints{note(a), note(b)})
	for _, ctx := range []context.Context{t.Context(), t.Context(), remote.WithRequest(t.Context(), remote.Request{ID: "mine"})} {
		q, err := e.NewInstantQuery(ctx, nil, engine.WithPartialResponse(nil, true), `sum(reqs_total) / count(reqs_total)`, time.Unix(600, 0))
		require.NoError(t, err)
		require.NoError(t, q.Exec(ctx).Err)
	}
	require.Len(t, ids, 3)
	require.Equal(t, 4, ids["mine"])
	require.NotContains(t, ids, "")
}

// Without engines the query is evaluated over what is here, and says so; with engines that have nothing to do with it, it is empty.
func TestNobodyToAsk(t *testing.T) {
	o := baseOpts()
	a, b, all := twoClusters(t, o)
	res, _ := execute(t, engine.NewDistributed(o, remote.StaticEndpoints{}), all, nil, `sum(reqs_total)`, hour)
	require.NoError(t, res.Err)
	require.NotEmpty(t, res.Value)
	warnings, _ := texts(res, "")
	require.Equal(t, []string{"PromQL warning: no remote engine is known: the query was evaluated over local data alone"}, warnings)

	res, _ = execute(t, engine.NewDistributed(o, remote.StaticEndpoints{a, b}), nil, nil, `sum(reqs_total{cluster="c"}) or absent(reqs_total{cluster="c"})`, hour)
	require.NoError(t, res.Err)
	require.Empty(t, res.Warnings)
	require.Equal(t, `{cluster="c"}`, res.Value.(promql.Matrix)[0].Metric.String())

	_, err := engine.NewDistributed(o, nil).NewInstantQuery(t.Context(), nil, nil, "1", time.Unix(0, 0))
	require.ErrorContains(t, err, "NewDistributed needs endpoints")
}

// Sample statistics are those of one engine, and per step, where no engines overlap.
func TestDistributedStats(t *testing.T) {
	o := baseOpts()
	a, b, all := twoClusters(t, o)
	opts := promql.NewPrometheusQueryOpts(true, 0, nil)
	for _, query := range []string{`sum(rate(reqs_total[5m]))`, `reqs_total`, `max_over_time(sum(reqs_total)[10m:1m])`, `avg(reqs_total)`} {
		_, want := execute(t, engine.New(o), all, opts, query, hour)
		_, got := execute(t, engine.NewDistributed(o, remote.StaticEndpoints{a, b}), nil, opts, query, hour)
		require.Equal(t, want.TotalSamples, got.TotalSamples, query)
		require.Equal(t, want.TotalSamplesPerStep, got.TotalSamplesPerStep, query)
	}
}

// streaming is an engine that evaluates text and streams the result.
type streaming struct{ remote.RemoteEngine }

func (e streaming) NewRangeQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	of, err := e.RemoteEngine.NewRangeQuery(ctx, opts, q, start, end, interval)
	return streamedQuery{of, start, end, interval}, err
}

type streamedQuery struct {
	promql.Query
	start, end time.Time
	interval   time.Duration
}

func (q streamedQuery) Stream(ctx context.Context) (remote.ColumnStream, error) {
	res := q.Exec(ctx)
	return remote.ResultStream(res, q.Stats(), q.start.UnixMilli(), q.interval.Milliseconds(), 0, int(q.end.Sub(q.start)/q.interval)+1)
}

// Engines that evaluate text are asked for some steps only, and count theirs.
func TestStatsOfTextByStep(t *testing.T) {
	o := baseOpts()
	all := memory(t, func(a storage.Appender) { series(t, a, pod(1, "a"), 0, 2*time.Hour, rising) })
	set := labels.FromStrings("cluster", "a")
	d := engine.NewDistributed(o, remote.StaticEndpoints{
		streaming{textEngine{holder("a", between(all, 0, time.Hour), set, 0, time.Hour)}},
		streaming{textEngine{holder("b", between(all, time.Hour+time.Millisecond, forever), set, time.Hour+time.Millisecond, forever)}},
	})
	opts := promql.NewPrometheusQueryOpts(true, 0, nil)
	for _, tm := range []times{{start: 600, end: 6000, step: 60}, {start: 600, end: 6000, step: 1800}} {
		_, want := execute(t, engine.New(o), all, opts, `m`, tm)
		_, got := execute(t, d, all, opts, `m`, tm)
		require.Equal(t, want.TotalSamplesPerStep, got.TotalSamplesPerStep)
		require.Equal(t, want.SamplesReadPerStep, got.SamplesReadPerStep)
	}
}

// Explain shows who is asked for what.
func TestDistributedExplain(t *testing.T) {
	o := baseOpts()
	a, b, _ := twoClusters(t, o)
	q, err := engine.NewDistributed(o, remote.StaticEndpoints{a, b}).NewRangeQuery(t.Context(), nil, nil, `sum(rate(reqs_total[2m]))`, time.Unix(600, 0), time.Unix(1200, 0), time.Minute)
	require.NoError(t, err)
	text := q.(engine.ExplainableQuery).Explain().String()
	require.Contains(t, text, "remote a: sum by (cluster) (rate(reqs_total[2m]))")
	require.Contains(t, text, "remote b: sum by (cluster) (rate(reqs_total[2m]))")
	require.Contains(t, text, "passthrough, distribute")
	require.NoError(t, q.Exec(t.Context()).Err)
	text = q.(engine.ExplainableQuery).Analyze().String()
	require.Contains(t, text, "   │ 1. scan rate of reqs_total[2m]", "what the other engine did")
	require.Contains(t, text, "⇒ send")
}

// A budget holds what engines send.
func TestDistributedMemoryBudget(t *testing.T) {
	o := baseOpts()
	a, b, _ := twoClusters(t, o)
	o.MemoryBudget = 1000
	res, _ := execute(t, engine.NewDistributed(o, remote.StaticEndpoints{a, b}), nil, nil, `reqs_total`, hour)
	require.ErrorContains(t, res.Err, "query needs more memory than its budget of 1000 bytes")
}
