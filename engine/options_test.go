package engine_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/features"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/physicalplan"
)

// TestZeroOptions: an engine of the zero options answers.
func TestZeroOptions(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	e := engine.New(engine.Opts{})
	require.Len(t, answer(t, e, st, `three`, at(201)), 3)
	require.Len(t, answer(t, e, st, `max_over_time(three[5m:])`, times{100, 500, 50}), 3)
	require.Len(t, answer(t, e, st, `sum(rate(three[5m]))`, times{100, 500, 50}), 1)
	_, err := newQuery(context.Background(), e, st, nil, `three @ 10`, at(201))
	require.Equal(t, promql.ErrValidationAtModifierDisabled, err)
	_, err = newQuery(context.Background(), e, st, nil, `info(three)`, at(201))
	require.ErrorContains(t, err, "not enabled")
	require.NoError(t, e.Close())
}

// TestOptionsAtTheirLimits: sizes that make no sense are mended.
func TestOptionsAtTheirLimits(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, n := range []int{-1, math.MinInt, 1, 1000} {
		o := baseOpts()
		o.Workers, o.BatchSeries, o.BatchSteps, o.MemoryBudget = n, n, n, int64(min(n, 0))
		require.Len(t, answer(t, engine.New(o), st, `sum by (a) (rate(three[1m])) + 1`, times{100, 500, 50}), 3, "%d", n)
	}
}

// TestBadOptions: New answers always; every query then says what is wrong.
func TestBadOptions(t *testing.T) {
	for want, set := range map[string]func(*engine.Opts){
		"LookbackDelta is negative":        func(o *engine.Opts) { o.LookbackDelta = -1 },
		"Optimizers holds a nil optimizer": func(o *engine.Opts) { o.Optimizers = []logicalplan.Optimizer{nil} },
		"Builders holds a nil builder":     func(o *engine.Opts) { o.Builders = []physicalplan.Builder{nil} },
	} {
		o := baseOpts()
		set(&o)
		e := engine.New(o)
		for range 2 {
			qry, err := newQuery(context.Background(), e, nil, nil, `1`, at(0))
			require.ErrorContains(t, err, want)
			require.Nil(t, qry)
			qry, err = newQuery(context.Background(), e, nil, nil, `1`, times{0, 10, 1})
			require.ErrorContains(t, err, want)
			require.Nil(t, qry)
		}
		require.NoError(t, e.Close())
	}
	o := baseOpts()
	o.LookbackDelta = -1
	o.Optimizers = []logicalplan.Optimizer{nil}
	_, err := newQuery(context.Background(), engine.New(o), nil, nil, `1`, at(0))
	require.ErrorContains(t, err, "LookbackDelta")
	require.ErrorContains(t, err, "Optimizers")
}

// TestNoStorage: a query without a storage fails when it runs, with an error.
func TestNoStorage(t *testing.T) {
	for _, tm := range []times{at(0), {0, 10, 1}} {
		res, _ := execute(t, engine.New(baseOpts()), nil, nil, `up`, tm)
		require.Error(t, res.Err)
		require.Nil(t, res.Value)
	}
}

// TestConstructionErrorsEqualPrometheus compares the errors of queries that cannot be made, and of ones that options forbid.
func TestConstructionErrorsEqualPrometheus(t *testing.T) {
	queries := []string{
		``, `(`, `sum(`, `foo{`, `foo{a=~"("}`, `1 +`, `foo + "a"`, `rate(foo)`, `foo[5m]`, `"text"`, `foo[5m:1m]`, `foo[0s]`, `foo[-5m]`, `foo[5m] offset 1`, `rate(foo[5m]) by (a)`,
		`foo @ 10`, `foo @ start()`, `foo[5m] @ end()`, `rate(foo[5m] @ 10)`, `foo offset -5m`, `rate(foo[5m] offset -5m)`, `max_over_time(foo[5m:1m] offset -5m)`, `max_over_time(foo[5m:1m] @ 10)`,
		`foo @ 10 offset -5m`, `foo offset -5m + bar @ 10`, `sum(foo @ 10) + sum(bar offset -1s)`, `foo[5m:1m] @ start()`, `foo offset 5m`, `foo + on(a) group_left bar`, `sum by (a) (foo)`,
		`info(foo)`, `limitk(1, foo)`, `foo + fill(0) bar`, `mad_over_time(foo[5m])`, `min_of(1, 2)`, `foo[1m/0]`, `rate(foo[step()/0])`, `rate(foo[5m-5m])`, `foo offset (1h*1000000000000)`,
		`rate(foo[5m] smoothed)`, `max_over_time(foo[5m] smoothed)`, `foo smoothed anchored`, `{}`, `{a=""}`, `topk(foo, bar)`, `count_values(1, foo)`, `label_replace(foo, "a")`, `time(1)`, `foo{a="\xff"}`,
		`histogram_quantile(foo, 0.5)`, `a.b`, `{"a.b"}`, `sort_by_label(foo)`, `foo @ Inf`, `foo @ NaN`, strings.Repeat("foo or ", 100) + "foo",
	}
	for _, modifiers := range []bool{false, true} {
		for _, negative := range []bool{false, true} {
			for _, p := range []parser.Parser{nil, parser.NewParser(promqltest.TestParserOpts)} {
				o := baseOpts()
				o.EnableAtModifier, o.EnableNegativeOffset, o.Parser = modifiers, negative, p
				oracle, e := prometheusEngine(t, o), engine.New(o)
				for _, query := range queries {
					for _, tm := range []times{at(100), {100, 200, 10}, {100, 100, 10}} {
						_, want := newQuery(context.Background(), oracle, nil, nil, query, tm)
						_, got := newQuery(context.Background(), e, nil, nil, query, tm)
						if want == nil && got != nil && strings.Contains(query, "smoothed") {
							continue // Prometheus finds out while it runs.
						}
						require.Equal(t, fmt.Sprint(want), fmt.Sprint(got), "%s %v", query, tm)
						require.IsType(t, want, got, query)
					}
				}
			}
		}
	}
}

// TestStepOfRangeQuery: a range query of several steps needs a step of at least a millisecond.
func TestStepOfRangeQuery(t *testing.T) {
	e := engine.New(baseOpts())
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, step := range []time.Duration{0, -time.Second, 999 * time.Microsecond} {
		_, err := e.NewRangeQuery(context.Background(), st, nil, `1`, time.Unix(0, 0), time.Unix(10, 0), step)
		require.ErrorContains(t, err, "step of a range query")
	}
	qry, err := e.NewRangeQuery(context.Background(), st, nil, `one`, time.Unix(10, 0), time.Unix(10, 0), 0)
	require.NoError(t, err)
	require.NoError(t, qry.Exec(context.Background()).Err)
	qry, err = e.NewRangeQuery(context.Background(), st, nil, `one`, time.Unix(20, 0), time.Unix(10, 0), time.Second)
	require.NoError(t, err)
	res := qry.Exec(context.Background())
	require.NoError(t, res.Err)
	require.Empty(t, res.Value)
}

// TestQueryAccessors: what a query says of itself, before and after it ran.
func TestQueryAccessors(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	qry, err := newQuery(context.Background(), engine.New(baseOpts()), st, promql.NewPrometheusQueryOpts(false, time.Minute, nil), ` sum(three @ end()) `, times{100, 200, 50})
	require.NoError(t, err)
	check := func() {
		require.Equal(t, ` sum(three @ end()) `, qry.String())
		stmt, ok := qry.Statement().(*parser.EvalStmt)
		require.True(t, ok)
		require.Equal(t, time.Unix(100, 0), stmt.Start)
		require.Equal(t, time.Unix(200, 0), stmt.End)
		require.Equal(t, 50*time.Second, stmt.Interval)
		require.Equal(t, time.Minute, stmt.LookbackDelta)
		require.Equal(t, `sum(three @ 200.000)`, strings.ReplaceAll(stmt.Expr.String(), "end()", "200.000"))
		require.NotNil(t, qry.Stats().Timers)
		require.NotNil(t, qry.Stats().Samples)
	}
	check()
	text := qry.Statement().String()
	require.NoError(t, qry.Exec(context.Background()).Err)
	check()
	qry.Close()
	qry.Close()
	check()
	require.Equal(t, text, qry.Statement().String())
}

// TestLookback: the engine's, the default, a query's own.
func TestLookback(t *testing.T) {
	st := promqltest.LoadedStorage(t, "load 1m\n  m 1 _x100\n")
	for _, engines := range []time.Duration{0, time.Minute, 10 * time.Minute} {
		for _, queries := range []time.Duration{0, -time.Hour, 30 * time.Second, 2 * time.Minute, 20 * time.Minute} {
			o := baseOpts()
			o.LookbackDelta = engines
			oracle, e := prometheusEngine(t, o), engine.New(o)
			opts := promql.NewPrometheusQueryOpts(false, queries, nil)
			for _, query := range []string{`m`, `timestamp(m)`, `max_over_time(m[10m:10s])`, `m smoothed`} {
				want, _ := execute(t, oracle, st, opts, query, times{0, 1500, 10})
				got, _ := execute(t, e, st, opts, query, times{0, 1500, 10})
				require.NoError(t, got.Err)
				require.Equal(t, want.String(), got.String(), "%s %s %s", query, engines, queries)
			}
		}
	}
}

// TestNoStepSubqueryInterval: the engine's function is asked with the subquery's range.
func TestNoStepSubqueryInterval(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	o := baseOpts()
	o.NoStepSubqueryIntervalFn = func(rangeMillis int64) int64 { return rangeMillis / 4 }
	oracle, e := prometheusEngine(t, o), engine.New(o)
	for _, query := range []string{`count_over_time(one[1m:])`, `count_over_time(one[2m:])`, `sum_over_time(count_over_time(one[40s:])[4m:])`} {
		require.Equal(t, answer(t, oracle, st, query, times{300, 500, 30}), answer(t, e, st, query, times{300, 500, 30}), query)
	}
}

// TestStartTimestamps: on by the engine or by the query, which has the last word.
func TestStartTimestamps(t *testing.T) {
	st := promqltest.LoadedStorage(t, "load 10s\n  m@st 0 -5s\n  m 1 1\n", func(o *tsdb.Options) {
		o.FloatChunkEncoding, o.EnableSTStorage = chunkenc.EncXOR2, true
	})
	yes, no := true, false
	for _, c := range []struct {
		engine bool
		query  *bool
		on     bool
	}{{true, nil, true}, {true, &no, false}, {true, &yes, true}, {false, nil, false}, {false, &yes, true}, {false, &no, false}} {
		o := baseOpts()
		o.UseStartTimestamps = c.engine
		opts := promql.NewPrometheusQueryOpts(false, 0, c.query)
		for _, query := range []string{`increase(m[20s])`, `resets(m[20s])`, `start_timestamp(m)`, `irate(m[20s])`} {
			want, _ := execute(t, prometheusEngine(t, o), st, opts, query, at(10))
			inShapes(t, o, func(t *testing.T, o engine.Opts) {
				got, _ := execute(t, engine.New(o), st, opts, query, at(10))
				require.Equal(t, want.String(), got.String(), query)
			})
		}
		res, _ := execute(t, engine.New(o), st, opts, `increase(m[20s])`, at(10))
		require.Equal(t, map[bool]string{true: "{} => 2 @[10000]", false: "{} => 0 @[10000]"}[c.on], res.String())
	}
}

const namesLoad = `
load 5m
  metric{env="1"} 0 60 120
  another_metric{env="1"} 60 120 180
  _total{env="1"} 0 60 120
  typed{__type__="counter",__unit__="requests",job="api",instance="0"} 10 20 30
  other{__type__="gauge",__unit__="seconds",job="only",instance="1"} 20 20 20
  untyped_total{job="api"} 1 2 3
  gauge{__type__="gauge",job="api"} 1 2 3
  native{__type__="histogram",__unit__="seconds",job="api"} {{schema:1 sum:10 count:5 buckets:[1 2 2]}} {{schema:1 sum:20 count:10 buckets:[2 4 4]}} {{schema:1 sum:20 count:10 buckets:[2 4 4]}}
  bucket{le="1"} 1 2 3
  bucket{le="+Inf"} 2 4 6
  turns{x="1"} 1 _ _
  turned{x="1"} _ 1 1
  target_info{__type__="info",job="api",instance="0",env="prod"} 1 1 1
`

var namesQueries = []string{
	`metric`, `-metric`, `+metric`, `metric * 2`, `metric + another_metric`, `metric > 5`, `metric > bool 5`, `metric > on(env) another_metric`, `metric or another_metric`,
	`rate({env="1"}[10m])`, `sum by (__name__) (rate({env="1"}[10m]))`, `{env="1"} * 2`, `-{env="1"}`, `abs({env="1"})`, `{env="1"} == bool 60`, `{env="1"} + on(__name__, env) {env="1"}`,
	`rate({__name__=~"turn.+"}[10m])`, `count_over_time({__name__=~"turn.+"}[5m])`, `{__name__=~"turn.+"} * 1`, `-{__name__=~"turn.+"}`, `quantile(0.5, rate({__name__=~"metric|another_metric"}[10m]))`,
	`sum by (__name__) (metric * 2)`, `sum by (__name__, env) ({env="1"} + 1)`, `label_replace(rate(metric[10m]), "__name__", "rate_of_$1", "env", "(.*)")`, `label_join(metric * 2, "__name__", "_", "env", "env")`,
	`label_replace(metric, "__name__", "a", "", "")`, `label_replace({env="1"}, "__name__", "a", "", "")`, `label_replace({env="1"} * 2, "env", "b", "", "")`, `count_values("__name__", metric)`, `sort_by_label(count_values("v", {env="1"}), "v")`,
	`last_over_time({env="1"}[10m])`, `first_over_time(metric[10m])`, `max_over_time((rate(metric[10m]))[10m:5m])`, `max_over_time({env="1"}[10m:5m])`, `sum_over_time((metric * 2)[10m:5m])`,
	`topk(5, {env="1"} * 2)`, `sort(rate(metric[10m]))`, `sort({env="1"})`, `histogram_quantile(0.5, bucket)`, `histogram_quantile(0.5, rate(bucket[10m]))`, `histogram_count(native)`, `timestamp({env="1"})`,
	`avg by (__name__, env) (rate({env="1"}[10m]))`, `metric and rate(metric[10m])`, `rate(metric[10m]) and metric`, `rate(metric[10m]) unless another_metric`, `rate(metric[10m]) or metric`,
	`rate(untyped_total[10m])`, `rate(typed[10m])`, `rate(gauge[10m])`, `increase(gauge[10m])`, `rate(native[10m])`, `irate(gauge[10m])`, `increase(metric[10m])`, `rate(other[10m])`,
	`sum without (instance) (typed)`, `typed > ignoring(instance) fill_left(100) other`, `info(sum by (job, instance) (typed))`, `info(typed)`, `absent(nope{__type__="counter",__unit__="s",job="api"})`, `typed + ignoring(job, instance) other`,
	`sum by (__type__) (typed)`, `typed * on(__type__, job) typed`, `max by (__unit__) ({__unit__="seconds"})`, `sgn({__name__=~"metric|typed"})`, `absent_over_time(nope{a="b"}[5m])`, `(metric > 5) * 2`, `rate(metric[10m]) > metric`, `rate(metric[10m]) > 0`,
}

// TestNamesEqualPrometheus: delayed name removal and type-and-unit labels, on and off.
func TestNamesEqualPrometheus(t *testing.T) {
	st := promqltest.LoadedStorage(t, namesLoad)
	for _, delayed := range []bool{false, true} {
		for _, typed := range []bool{false, true} {
			o := baseOpts()
			o.EnableDelayedNameRemoval, o.EnableTypeAndUnitLabels = delayed, typed
			oracle := prometheusEngine(t, o)
			t.Run(fmt.Sprintf("delayed=%v,typed=%v", delayed, typed), func(t *testing.T) {
				for _, query := range namesQueries {
					for _, tm := range []times{at(600), {300, 600, 300}, {0, 900, 60}} {
						want, _ := execute(t, oracle, st, nil, query, tm)
						for _, s := range shapes {
							got, _ := execute(t, engine.New(s.applied(o)), st, nil, query, tm)
							sameResult(t, want, got, query, fmt.Sprint(query, " ", tm, " ", s.name))
						}
					}
				}
			})
		}
	}
}

// sameResult compares values, errors and annotations, the latter as the API shows them.
func sameResult(t *testing.T, want, got *promql.Result, query, message string) {
	t.Helper()
	require.Equal(t, fmt.Sprint(want.Err), fmt.Sprint(got.Err), message)
	if want.Err == nil {
		require.Equal(t, want.Value.String(), got.Value.String(), message)
	} else {
		require.Nil(t, got.Value, message)
	}
	wantWarnings, wantInfos := texts(want, query)
	gotWarnings, gotInfos := texts(got, query)
	require.ElementsMatch(t, wantWarnings, gotWarnings, message)
	require.ElementsMatch(t, wantInfos, gotInfos, message)
}

// TestFeatureRegistryEqualsPrometheus: the same features under the same names.
func TestFeatureRegistryEqualsPrometheus(t *testing.T) {
	for _, on := range []bool{false, true} {
		o := baseOpts()
		o.EnableAtModifier, o.EnableNegativeOffset, o.EnablePerStepStats = on, on, on
		o.EnableDelayedNameRemoval, o.EnableTypeAndUnitLabels = on, on
		if !on {
			o.Parser = nil
		}
		want, got := features.NewRegistry(), features.NewRegistry()
		o.FeatureRegistry = got
		engine.New(o)
		theirs := o.EngineOpts
		theirs.FeatureRegistry = want
		promql.NewEngine(theirs)
		require.NotEmpty(t, want.Get())
		require.Equal(t, want.Get(), got.Get())
	}
}
