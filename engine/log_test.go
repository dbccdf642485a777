package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/logging"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/stride-promql/stride/engine"
)

// queryLog is a promql.QueryLogger that keeps its records as JSON.
type queryLog struct {
	slog.Handler
	buf      *bytes.Buffer
	closed   int
	closeErr error
}

func newQueryLog() *queryLog {
	buf := &bytes.Buffer{}
	return &queryLog{Handler: slog.NewJSONHandler(buf, nil), buf: buf}
}

func (l *queryLog) Close() error {
	l.closed++
	return l.closeErr
}

// records are the records so far, without what differs from run to run.
func (l *queryLog) records(t *testing.T) []map[string]any {
	var records []map[string]any
	for _, line := range strings.Split(strings.TrimSpace(l.buf.String()), "\n") {
		if line == "" {
			continue
		}
		r := map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		delete(r, "time")
		if s, ok := r["stats"].(map[string]any); ok {
			delete(s, "timings")
			delete(s["samples"].(map[string]any), "peakSamples")
		}
		records = append(records, r)
	}
	return records
}

// TestQueryLogEqualsPrometheus: the same queries leave the same records.
func TestQueryLogEqualsPrometheus(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}})
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	origin := map[string]any{"ruleGroup": map[string]any{"file": "rules.yml", "name": "g"}, "httpRequest": map[string]any{"path": "/api/v1/query"}}
	o := baseOpts()
	oracle, e := prometheusEngine(t, o), engine.New(o)
	for _, c := range []struct {
		ctx   context.Context
		query string
		tm    times
		opts  promql.QueryOpts
	}{
		{context.Background(), `three`, at(201), nil},
		{context.Background(), ` sum( rate(three[1m]) )`, times{100, 200, 50}, nil},
		{context.Background(), `three`, times{100, 200, 50}, promql.NewPrometheusQueryOpts(true, 0, nil)},
		{context.Background(), `three + on(b) three`, at(201), nil},
		{promql.NewOriginContext(context.Background(), origin), `three`, at(201), nil},
		{promql.NewOriginContext(context.Background(), map[string]any{}), `three`, at(201), nil},
		{trace.ContextWithSpanContext(context.Background(), span), `three`, at(201), nil},
		{cancelled, `three`, at(201), nil},
	} {
		want, got := newQueryLog(), newQueryLog()
		oracle.SetQueryLogger(want)
		e.SetQueryLogger(got)
		for _, eng := range []promql.QueryEngine{oracle, e} {
			qry, err := newQuery(context.Background(), eng, st, c.opts, c.query, c.tm)
			require.NoError(t, err)
			qry.Exec(c.ctx)
			qry.Close()
		}
		require.Len(t, got.records(t), 1)
		if c.query != `three + on(b) three` { // ended half way
			require.Equal(t, want.records(t), got.records(t), c.query)
		} else {
			require.Equal(t, want.records(t)[0]["error"], got.records(t)[0]["error"])
			require.Equal(t, want.records(t)[0]["params"], got.records(t)[0]["params"])
		}
	}
}

// TestQueryLogStep: the log says fractions of a second of times, and whole seconds of the step.
func TestQueryLogStep(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	l, e := newQueryLog(), engine.New(baseOpts())
	e.SetQueryLogger(l)
	zone := time.FixedZone("far", 3600)
	qry, err := e.NewRangeQuery(context.Background(), st, nil, `one`, time.UnixMilli(1234).In(zone), time.UnixMilli(9876).In(zone), 2500*time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, qry.Exec(context.Background()).Err)
	require.Equal(t, map[string]any{"query": "one", "start": "1970-01-01T00:00:01.234Z", "end": "1970-01-01T00:00:09.876Z", "step": 2.0}, l.records(t)[0]["params"])
}

// TestSetQueryLogger: a log is closed when another one takes its place, and only then.
func TestSetQueryLogger(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	e := engine.New(baseOpts())
	a, b := newQueryLog(), newQueryLog()
	a.closeErr = errors.New("cannot close") // only worth a line in the engine's own log
	answer(t, e, st, `one`, at(201))
	e.SetQueryLogger(a)
	answer(t, e, st, `one`, at(201))
	require.Zero(t, a.closed)
	e.SetQueryLogger(b)
	answer(t, e, st, `one`, at(201))
	answer(t, e, st, `one`, at(201))
	require.Equal(t, 1, a.closed)
	require.Zero(t, b.closed)
	e.SetQueryLogger(nil)
	require.Equal(t, 1, b.closed)
	answer(t, e, st, `one`, at(201))
	e.SetQueryLogger(nil)
	require.Len(t, a.records(t), 1)
	require.Len(t, b.records(t), 2)
	require.Equal(t, 1, a.closed)
	require.Equal(t, 1, b.closed)
}

// TestQueryLogWhileSwapping: the log can be swapped while queries run.
func TestQueryLogWhileSwapping(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	e := engine.New(baseOpts())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5 {
				qry, err := newQuery(context.Background(), e, st, nil, `three`, at(201))
				if err != nil {
					t.Error(err)
					return
				}
				if err := qry.Exec(context.Background()).Err; err != nil {
					t.Error(err)
				}
			}
		})
	}
	var logs []*queryLog
	for range 20 {
		logs = append(logs, newQueryLog())
		e.SetQueryLogger(logs[len(logs)-1])
	}
	all.Wait()
	e.SetQueryLogger(nil)
	for _, l := range logs {
		require.Equal(t, 1, l.closed)
	}
}

// TestQueryLogFile: Prometheus' own log file serves.
func TestQueryLogFile(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	l, err := logging.NewJSONFileLogger(t.TempDir() + "/queries.log")
	require.NoError(t, err)
	e := engine.New(baseOpts())
	e.SetQueryLogger(l)
	answer(t, e, st, `one`, at(201))
	e.SetQueryLogger(nil)
	require.ErrorContains(t, l.Close(), "already closed")
}
