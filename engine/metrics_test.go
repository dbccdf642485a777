package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/stride-promql/stride/engine"
)

// described are names, types and help texts of all metrics, and the labels of each.
func described(t *testing.T, reg *prometheus.Registry) map[string]string {
	families, err := reg.Gather()
	require.NoError(t, err)
	all := map[string]string{}
	for _, f := range families {
		s := f.GetType().String() + " " + f.GetHelp()
		for _, m := range f.GetMetric() {
			s += " {"
			for _, l := range m.GetLabel() {
				s += l.GetName() + "=" + l.GetValue() + " "
			}
			s += "}"
		}
		all[f.GetName()] = s
	}
	return all
}

// TestMetricsEqualPrometheus: names, help texts, labels.
func TestMetricsEqualPrometheus(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, cost := range []bool{false, true} {
		want, got := prometheus.NewRegistry(), prometheus.NewRegistry()
		o := baseOpts()
		o.EnableQueryCost, o.ActiveQueryTracker = cost, &tracker{}
		theirs := o.EngineOpts
		theirs.Reg, theirs.MaxSamples, theirs.Timeout = want, 1000, time.Hour
		oracle := promqltest.NewTestEngineWithOpts(t, theirs)
		o.Reg = got
		e := engine.New(o)
		oracle.SetQueryLimits(2, 0, 0)
		e.SetQueryLimits(2, 0, 0)
		for _, eng := range []promql.QueryEngine{oracle, e} {
			execute(t, eng, st, nil, `one`, times{100, 200, 50})
			execute(t, eng, st, nil, `three`, times{100, 200, 50})
		}
		require.Equal(t, described(t, want), described(t, got))
	}
}

func metric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			switch {
			case m.GetGauge() != nil:
				return m.GetGauge().GetValue()
			case m.GetCounter() != nil:
				return m.GetCounter().GetValue()
			case m.GetHistogram() != nil:
				return m.GetHistogram().GetSampleSum()
			}
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestMetricsCount: what the metrics say after, and while, queries run.
func TestMetricsCount(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	reg := prometheus.NewRegistry()
	o := baseOpts()
	o.Reg, o.EnableQueryCost = reg, true
	e := engine.New(o)
	require.Equal(t, -1.0, metric(t, reg, "prometheus_engine_queries_concurrent_max"))
	require.Equal(t, 0.0, metric(t, reg, "prometheus_engine_query_log_enabled"))
	e.SetQueryLogger(newQueryLog())
	require.Equal(t, 1.0, metric(t, reg, "prometheus_engine_query_log_enabled"))
	e.SetQueryLogger(nil)
	require.Equal(t, 0.0, metric(t, reg, "prometheus_engine_query_log_enabled"))

	running := -1.0
	s := hookedSamples{st, &hooks{selected: func(context.Context, *storage.SelectHints, []*labels.Matcher) error {
		running = metric(t, reg, "prometheus_engine_queries")
		return nil
	}}}
	_, samples := execute(t, e, s, nil, `sum_over_time(three[1m])`, times{100, 200, 50})
	require.Equal(t, 1.0, running)
	require.Equal(t, 0.0, metric(t, reg, "prometheus_engine_queries"))
	require.Equal(t, float64(samples.TotalSamples), metric(t, reg, "prometheus_engine_query_samples_total"))
	require.Equal(t, float64(samples.SamplesRead), metric(t, reg, "prometheus_engine_query_samples_read_total"))
	require.Equal(t, float64(samples.SamplesRead), metric(t, reg, "prometheus_engine_query_samples_read"))
	require.Equal(t, 3.0, metric(t, reg, "prometheus_engine_query_series_touched"))

	// Failed and cancelled queries leave no trace in the number that runs.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, execUnder(t, ctx, e, st, `three`, at(201)).Err)
	require.Error(t, execUnder(t, context.Background(), e, st, `three + on(b) three`, at(201)).Err)
	broken := hookedSamples{st, &hooks{next: func(int, int) error { panic("broken") }}}
	require.Error(t, execUnder(t, context.Background(), e, broken, `three`, at(201)).Err)
	require.Equal(t, 0.0, metric(t, reg, "prometheus_engine_queries"))
}

// TestMetricsOfConcurrency: the tracker's limit is shown.
func TestMetricsOfConcurrency(t *testing.T) {
	o := baseOpts()
	reg := prometheus.NewRegistry()
	o.Reg, o.ActiveQueryTracker = reg, &tracker{}
	engine.New(o)
	require.Equal(t, 7.0, metric(t, reg, "prometheus_engine_queries_concurrent_max"))
}

// TestMetricsOfRejections: every query that a cost limit ends is counted once, by its reason.
func TestMetricsOfRejections(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	reg := prometheus.NewRegistry()
	o := baseOpts()
	o.Reg, o.EnableQueryCost = reg, true
	e := engine.New(o)
	reasons := func() map[string]float64 {
		all := map[string]float64{}
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "prometheus_engine_query_rejected_total" {
				for _, m := range f.GetMetric() {
					all[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		return all
	}
	e.SetQueryLimits(2, 0, 0)
	res, _ := execute(t, e, st, nil, `three`, at(201))
	require.Equal(t, promql.ErrTooManySeries("query execution"), res.Err)
	require.EqualError(t, res.Err, promql.ErrTooManySeries("query execution").Error())
	require.Equal(t, map[string]float64{"max_series": 1}, reasons())

	e.SetQueryLimits(0, 5, 0)
	res, _ = execute(t, e, st, nil, `three`, times{100, 200, 50})
	require.Equal(t, promql.ErrTooManySamplesRead("query execution"), res.Err)
	require.Equal(t, map[string]float64{"max_series": 1, "max_samples_read": 1}, reasons())

	e.SetQueryLimits(0, 0, 1)
	_, err := newQuery(context.Background(), e, st, nil, `three`, at(201))
	require.Equal(t, promql.ErrQueryTimeout("query execution"), err)
	require.Equal(t, map[string]float64{"max_series": 1, "max_samples_read": 1, "max_duration": 1}, reasons())

	// The caller's own deadline is no rejection, nor is a query that fails otherwise.
	e.SetQueryLimits(0, 0, time.Hour)
	expired, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	defer cancel()
	_, err = newQuery(expired, e, st, nil, `three`, at(201))
	require.Equal(t, promql.ErrQueryTimeout("query execution"), err)
	require.Error(t, execUnder(t, context.Background(), e, st, `three + on(b) three`, at(201)).Err)
	require.Equal(t, map[string]float64{"max_series": 1, "max_samples_read": 1, "max_duration": 1}, reasons())
}

// TestMetricsShared: engines on one registry count into the same metrics, whether they know query cost or not.
func TestMetricsShared(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, costs := range [][]bool{{false, false}, {true, true}, {false, true}, {true, false}, {false, true, false, true}} {
		reg := prometheus.NewRegistry()
		for _, cost := range costs {
			o := baseOpts()
			o.Reg, o.EnableQueryCost = reg, cost
			answer(t, engine.New(o), st, `three`, at(201))
		}
		require.Equal(t, float64(3*len(costs)), metric(t, reg, "prometheus_engine_query_samples_total"))
		require.Positive(t, testutil.CollectAndCount(reg))
	}
}

// TestMetricsCollide: a registry that holds something else under one of the names gives an error, not a panic.
func TestMetricsCollide(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "prometheus_engine_queries", Help: "Something else."}))
	o := baseOpts()
	o.Reg = reg
	_, err := newQuery(context.Background(), engine.New(o), nil, nil, `1`, at(0))
	require.ErrorContains(t, err, "registering metrics")

	// Same description, other kind of metric.
	reg = prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "prometheus_engine_queries", Help: "The current number of queries being executed or waiting."}))
	o.Reg = reg
	_, err = newQuery(context.Background(), engine.New(o), nil, nil, `1`, at(0))
	require.ErrorContains(t, err, "registering metrics")
	var already prometheus.AlreadyRegisteredError
	require.True(t, errors.As(err, &already))
}

// spans records the spans that are started, and that all are ended.
type spans struct {
	noop.TracerProvider
	mu      sync.Mutex
	started []string
	parents map[string]string
	open    int
}

type spanTracer struct {
	noop.Tracer
	spans *spans
}

type recordedSpan struct {
	noop.Span
	name  string
	spans *spans
	once  sync.Once
}

func (s *spans) Tracer(string, ...trace.TracerOption) trace.Tracer { return spanTracer{spans: s} }

func (t spanTracer) Start(ctx context.Context, name string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	s := &recordedSpan{name: name, spans: t.spans}
	t.spans.mu.Lock()
	t.spans.started = append(t.spans.started, name)
	if parent, ok := trace.SpanFromContext(ctx).(*recordedSpan); ok {
		t.spans.parents[name] = parent.name
	}
	t.spans.open++
	t.spans.mu.Unlock()
	return trace.ContextWithSpan(ctx, s), s
}

func (s *recordedSpan) End(...trace.SpanEndOption) {
	s.once.Do(func() {
		s.spans.mu.Lock()
		s.spans.open--
		s.spans.mu.Unlock()
	})
}

// TestSpans: a trace shows Prometheus' spans around and below one another, and all come to an end.
func TestSpans(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	before := otel.GetTracerProvider()
	defer otel.SetTracerProvider(before)
	record := func(query string, q storage.Queryable, tm times) *spans {
		s := &spans{parents: map[string]string{}}
		otel.SetTracerProvider(s)
		o := baseOpts()
		o.ActiveQueryTracker = &tracker{}
		qry, err := newQuery(context.Background(), engine.New(o), q, nil, query, tm)
		require.NoError(t, err)
		qry.Exec(context.Background())
		require.Zero(t, s.open, query)
		return s
	}
	s := record(`sum(rate(three[1m])) + sum(one)`, st, times{100, 200, 50})
	for name, parent := range map[string]string{
		"promqlExec":      "",
		"promqlExecQueue": "promqlExec",
		"promqlEval":      "promqlExec",
		"promqlPrepare":   "promqlEval",
		"Querier":         "promqlPrepare",
		"querierSelect":   "promqlPrepare",
		"promqlInnerEval": "promqlEval",
		"promqlSort":      "promqlEval",
	} {
		require.Contains(t, s.started, name)
		require.Equal(t, parent, s.parents[name], name)
	}
	require.Contains(t, s.started, "promqlExpandSeries")

	broken := errors.New("broken")
	for _, h := range []*hooks{
		{querier: func(int64, int64) error { return broken }},
		{querier: func(int64, int64) error { panic(broken) }},
		{selected: func(context.Context, *storage.SelectHints, []*labels.Matcher) error { return broken }},
		{selected: func(context.Context, *storage.SelectHints, []*labels.Matcher) error { panic(broken) }},
		{next: func(int, int) error { panic(broken) }},
		{sample: func(labels.Labels, int) error { panic(broken) }},
	} {
		s := record(`three`, hookedSamples{st, h}, at(201))
		require.Contains(t, s.started, "promqlExec")
	}
}
