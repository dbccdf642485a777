package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
)

const annotatedLoad = `
load 10s
  gauge{i="1"} 1+1x30
  gauge{i="2"} 2+1x30
  c_total{i="1"} 1+1x30
  hist{i="1"} {{schema:0 count:3 sum:4 buckets:[1 2]}}+{{schema:0 count:3 sum:4 buckets:[1 2]}}x30
  hist{i="2"} {{schema:0 count:3 sum:4 buckets:[1 2]}}+{{schema:0 count:3 sum:4 buckets:[1 2]}}x30
  ghist{i="1"} {{schema:0 count:3 sum:4 buckets:[1 2] counter_reset_hint:gauge}}x30
  holes{i="1"} {{schema:0 count:5 sum:NaN buckets:[1 2]}}x30
  custom{i="1"} {{schema:-53 count:3 sum:4 custom_values:[5 10] buckets:[1 2]}}x30
  custom{i="2"} {{schema:-53 count:3 sum:4 custom_values:[5 20] buckets:[1 2]}}x30
  mixed{i="1"} 1 2 3 {{schema:0 count:3 sum:4 buckets:[1 2]}}x30
  both{i="1"} 1+1x30
  both{i="2"} {{schema:0 count:3 sum:4 buckets:[1 2]}}x30
  cl{i="1",le="1"} 1x30
  cl{i="1",le="2"} 5x30
  cl{i="1",le="+Inf"} 9x30
  bad{i="1",le="x"} 1x30
  bad{i="1",le="+Inf"} 9x30
  bad{i="2"} 9x30
  clnat{i="1"} {{schema:0 count:3 sum:4 buckets:[1 2]}}x30
  clnat{i="1",le="1"} 1x30
  clnat{i="1",le="+Inf"} 9x30
`

var annotatedQueries = []string{
	`rate(gauge[1m])`, `rate(gauge[1m]) + rate(gauge[2m])`, `sum(rate(gauge[1m])) / sum(rate(gauge[1m]))`, `increase(gauge[1m])`, `rate(c_total[1m])`, `rate(hist[1m])`, `rate(ghist[1m])`, `delta(hist[1m])`, `delta(ghist[1m])`,
	`irate(ghist[1m])`, `idelta(hist[1m])`, `rate(mixed[1m])`, `irate(mixed[1m])`, `avg_over_time(mixed[1m])`, `sum_over_time(mixed[1m])`, `deriv(mixed[1m])`, `min_over_time(mixed[1m])`, `stddev_over_time(mixed[1m])`,
	`quantile_over_time(2, gauge[1m])`, `quantile_over_time(-1, gauge[1m])`, `quantile_over_time(NaN, gauge[1m])`, `quantile_over_time(2, hist[1m])`, `quantile_over_time(2, gauge[1m:10s])`, `predict_linear(mixed[1m], 5)`,
	`quantile(2, gauge)`, `quantile(NaN, gauge)`, `quantile(0.5, both)`, `sum(both)`, `avg(both)`, `min(both)`, `max(hist)`, `stddev(both)`, `stdvar(hist)`, `topk(1, both)`, `bottomk(1, hist)`, `count(both)`, `limit_ratio(2, gauge)`, `limit_ratio(-3, gauge)`,
	`sum(custom)`, `avg(custom)`, `custom + on() group_right custom{i="1"}`, `custom{i="1"} + on() custom{i="2"}`, `hist + on(i) custom`, `sum({__name__=~"hist|custom"})`, `hist - on(i) ghist`, `hist + on(i) ghist`,
	`histogram_quantile(2, hist)`, `histogram_quantile(2, cl)`, `histogram_quantile(NaN, cl)`, `histogram_quantile(0.5, bad)`, `histogram_quantile(0.5, clnat)`, `histogram_quantile(0.5, holes)`, `histogram_fraction(0, 1, holes)`, `histogram_quantile(0.9, holes)`, `histogram_quantile(0.5, gauge)`,
	`hist + gauge`, `gauge + hist`, `hist * hist`, `hist * gauge`, `hist > gauge`, `hist > 5`, `2 / hist`, `hist ^ 2`, `1 - hist`, `-hist`, `hist == bool hist`, `hist / gauge`, `hist and gauge`, `hist + 1`, `gauge </ 2`, `hist </ hist`,
	`sort(gauge)`, `sort_desc(gauge)`, `sum(rate(gauge[1m])) + min(both) + quantile(2, gauge)`, "sum(\n  rate(gauge[1m]))\n+ min(both)", `max_over_time(rate(gauge[1m])[1m:10s])`, `max_over_time(sum(both)[1m:10s])`, `rate(gauge[1m] @ 100)`, `rate(gauge[1m:10s])`,
	`mixed smoothed`, `rate(mixed[1m] smoothed)`, `rate(mixed[1m] anchored)`, `integral(gauge[1m], 7)`, `integral(mixed[1m])`, `mad_over_time(mixed[1m])`, `ts_of_min_over_time(mixed[1m])`, `double_exponential_smoothing(mixed[1m], 0.5, 0.5)`,
	`histogram_quantiles(hist, "q", 0.5, 2)`, `label_replace(rate(gauge[1m]), "a", "b", "", "")`, `rate(nope[1m])`, `rate(gauge[1m]) > 100`, `absent(rate(gauge[1m]))`, `gauge{i="1"} * on() sum(both)`, `scalar(rate(gauge{i="1"}[1m]))`,
}

// TestAnnotationsEqualPrometheus: the same warnings and infos, at the same places of the query, each once.
func TestAnnotationsEqualPrometheus(t *testing.T) {
	st := promqltest.LoadedStorage(t, annotatedLoad)
	for _, delayed := range []bool{false, true} {
		o := baseOpts()
		o.EnableDelayedNameRemoval = delayed
		oracle := prometheusEngine(t, o)
		annotated := 0
		for _, query := range annotatedQueries {
			for _, tm := range []times{at(100), {60, 200, 20}} {
				want, _ := execute(t, oracle, st, nil, query, tm)
				annotated += len(want.Warnings)
				for _, s := range shapes {
					got, _ := execute(t, engine.New(s.applied(o)), st, nil, query, tm)
					message := fmt.Sprint(query, " ", tm, " ", s.name)
					require.Equal(t, fmt.Sprint(want.Err), fmt.Sprint(got.Err), message)
					wantWarnings, wantInfos := texts(want, query)
					gotWarnings, gotInfos := texts(got, query)
					require.ElementsMatch(t, wantWarnings, gotWarnings, message)
					require.ElementsMatch(t, wantInfos, gotInfos, message)
				}
			}
		}
		require.Greater(t, annotated, 100)
	}
}

// TestWarningsOfStorage: what the storage warns of comes with the result, and also with an error that comes after it.
func TestWarningsOfStorage(t *testing.T) {
	st := promqltest.LoadedStorage(t, annotatedLoad)
	broken := errors.New("broken")
	var slow annotations.Annotations
	slow.Add(errors.New("slow"))
	slow.Add(errors.New("partial"))
	for _, c := range []struct {
		query string
		hooks func() *hooks
	}{
		{`gauge`, func() *hooks { return &hooks{} }},
		{`gauge + gauge{i="1"}`, func() *hooks { return &hooks{} }},
		{`rate(gauge[1m])`, func() *hooks { return &hooks{} }},
		{`sort_by_label(info(gauge), "i")`, func() *hooks { return &hooks{} }},
		{`max_over_time(gauge[1m:10s])`, func() *hooks { return &hooks{} }},
		// The first selector answers, the second fails.
		{`gauge + hist`, func() *hooks {
			return &hooks{next: func(selector, n int) error {
				if selector == 1 && n == 1 {
					return broken
				}
				return nil
			}}
		}},
		{`gauge`, func() *hooks { return &hooks{next: func(int, int) error { return broken }} }},
		{`rate(gauge[1m])`, func() *hooks {
			return &hooks{selected: func(context.Context, *storage.SelectHints, []*labels.Matcher) error { return broken }}
		}},
		{`gauge`, func() *hooks { return &hooks{sample: func(labels.Labels, int) error { return broken }} }},
		{`gauge * on() group_left gauge`, func() *hooks { return &hooks{} }},
		{`topk(NaN, gauge)`, func() *hooks { return &hooks{} }},
	} {
		for _, tm := range []times{at(100), {60, 200, 20}} {
			warned := func() *hooks {
				h := c.hooks()
				h.warnings = slow
				return h
			}
			want, _ := execute(t, prometheusEngine(t, baseOpts()), hookedSamples{st, warned()}, nil, c.query, tm)
			for _, workers := range []int{1, 2, 4} {
				o := baseOpts()
				o.Workers, o.BatchSeries = workers, 1
				for kind, s := range hooked(st, warned) {
					got, _ := execute(t, engine.New(o), s, nil, c.query, tm)
					sameResult(t, want, got, c.query, fmt.Sprint(kind, " ", c.query, " ", tm))
				}
			}
		}
	}
}

// TestAnnotationsOfOptimizers: an optimizer's annotations are the query's.
func TestAnnotationsOfOptimizers(t *testing.T) {
	st := promqltest.LoadedStorage(t, annotatedLoad)
	o := baseOpts()
	o.Optimizers = append(o.Optimizers, annotating{})
	for _, tm := range []times{at(100), {60, 200, 20}} {
		res, _ := execute(t, engine.New(o), st, nil, `gauge`, tm)
		require.NoError(t, res.Err)
		warnings, infos := texts(res, `gauge`)
		require.Equal(t, []string{"changed the plan"}, warnings)
		require.Empty(t, infos)
	}
}
