package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/stats"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/logicalplan"
)

const statsLoad = `
load 10s
  one 1+1x100
  three{a="1",b="1"} 1+1x100
  three{a="2",b="2"} 1+1x100
  three{a="3",b="2"} 1+1x100
  gaps{a="1"} 1 _ _ 4 stale _ 7+1x30 _x20 5+1x20
  late{a="1"} _x50 1+1x40
  hist {{schema:1 count:5 sum:20 buckets:[1 2 1 1]}}+{{schema:1 count:10 sum:5 buckets:[1 2 3 4]}}x100
  mixed 1+1x20 {{schema:0 count:5 sum:20 buckets:[1 2 2]}}x20 3+1x30
  target_info{instance="i",job="j",version="2"} 1x100
  up{instance="i",job="j"} 1x100
`

var statsQueries = []string{
	// Nothing is selected.
	`1`, `time()`, `vector(3)`, `pi() + time()`, `absent(nope)`, `nope`, `sum(nope)`, `rate(nope[1m])`,
	// Instant selectors.
	`one`, `three`, `three{a="1"}`, `one offset 10s`, `one offset -10s`, `one @ 15`, `three @ 15 offset 5s`, `three @ start()`, `three @ end()`,
	`gaps`, `late`, `hist`, `mixed`, `{__name__=~"one|three"}`, `-three`, `+three`, `three smoothed`, `three anchored`,
	// Functions of samples.
	`timestamp(one)`, `timestamp(three @ 15)`, `timestamp(hist)`, `timestamp(-three)`, `start_timestamp(one)`, `timestamp(timestamp(three))`,
	`abs(three)`, `histogram_count(hist)`, `histogram_sum(hist) + histogram_count(hist)`, `histogram_quantile(0.5, hist)`, `absent(one)`, `scalar(one)`,
	`clamp_max(three, scalar(one))`, `label_replace(three, "c", "$1", "a", "(.*)")`, `sort_desc(three)`, `round(three, 2)`, `vector(scalar(one @ 20))`,
	// Ranges.
	`rate(one[60s])`, `rate(three[60s] offset 10s)`, `sum_over_time(three[61s])`, `sum_over_time(three[60s] @ 30)`, `sum_over_time(three[1s])`,
	`rate(gaps[1m])`, `count_over_time(gaps[2m])`, `count_over_time(late[3m])`, `rate(hist[60s])`, `sum_over_time(hist[60s])`, `count_over_time(mixed[100s])`,
	`avg_over_time(mixed[3m])`, `rate(one[60s] anchored)`, `increase(three[60s] smoothed)`, `absent_over_time(one[1m])`, `absent_over_time(nope[1m])`,
	`quantile_over_time(scalar(one)/1000, three[30s])`, `predict_linear(one[2m], 100)`, `last_over_time(three[5s])`, `histogram_count(rate(hist[60s]))`,
	`sum_over_time(three[60s] @ end())`, `sum_over_time(three[60s] @ start() offset 20s)`, `quantile_over_time(time() / 1000, one[20s] @ 200)`,
	// Aggregations.
	`sum(three)`, `sum by (b) (three)`, `topk(2, three)`, `quantile(0.5, three)`, `count_values("v", three)`, `topk(scalar(one), three)`,
	`quantile(scalar(one @ 10), three)`, `sum(rate(three[60s]))`, `sum by (b) (max_over_time(three[60s] @ 30))`, `limitk(1, three)`, `limit_ratio(0.5, three)`, `stddev(three)`,
	// Binary operations, also with equal parts.
	`one + one`, `three + on(a) group_left three`, `three / on() group_left sum(three)`, `three or one`, `three and three`, `three unless three{a="1"}`,
	`sum(three) / count(three)`, `rate(three[60s]) / rate(three[60s])`, `rate(three[60s]) + rate(three[60s] offset 10s)`, `three > 5`, `three{a="1"} or three{a="2"} or three{a="3"}`,
	`one + one @ 15`, `one @ 15 + one @ 15`, `(one @ 15 + one @ 15) * one`, `sum(three) + sum(three) + sum(three)`, `1 + 2 * one`, `hist + hist`, `hist * 2`, `one + on() mixed`,
	`three{a=~"1|2"} + three{a=~"1|2"}`, `sum(three{a="1"}) / sum(three)`, `nope or three`, `nope and three`, `three unless nope`,
	// Subqueries.
	`max_over_time(one[60s:5s])`, `max_over_time(three[60s:5s])`, `max_over_time(three[60s:])`, `rate(three[60s:10s] offset 10s)`, `rate(one[60s:7s])`,
	`max_over_time(rate(three[60s])[60s:10s])`, `max_over_time(sum_over_time(one[60s])[20s:5s])`, `max_over_time(sum_over_time(one[61s])[20s:5s])`,
	`last_over_time(sum_over_time(one[60s])[10s:10s])`, `last_over_time(last_over_time(sum_over_time(one[60s])[10s:10s])[10s:10s])`,
	`max_over_time(max_over_time(three[30s:5s])[60s:10s])`, `max_over_time(max_over_time(three[30s:5s] offset 5s)[60s:10s] offset 10s)`,
	`max_over_time(three[60s:5s] @ 100)`, `max_over_time(rate(three[60s])[60s:5s] @ 100)`, `max_over_time(rate(three[60s] @ 50)[60s:5s])`,
	`max_over_time(rate(three[60s] @ 50)[60s:5s] @ 100 offset 10s)`, `max_over_time((three @ 50)[60s:5s])`, `max_over_time((three + one @ 20)[1m:20s])`,
	`sum(max_over_time(three[60s:5s])) + sum(max_over_time(one[60s:5s]))`, `sum(max_over_time(three[60s:5s])) + sum(max_over_time(three[60s:5s]))`,
	`max_over_time(hist[60s:5s])`, `count_over_time(hist[60s:20s])`, `max_over_time(sum_over_time(hist[60s])[20s:5s])`, `count_over_time(gaps[2m:15s])`, `count_over_time(late[4m:15s])`,
	`quantile_over_time(time() / 1000, one[20s:10s] @ 200)`, `quantile_over_time(scalar(one)/1000, three[30s:10s])`, `avg_over_time(vector(time())[1m:10s])`,
	`sum_over_time(sum_over_time(one[20s:10s] @ 100)[60s:20s])`, `absent_over_time(nope[1m:10s])`, `absent_over_time(one[1m:10s])`,
	`max_over_time(sum by (b) (rate(three[30s]))[1m:15s])`, `max_over_time(timestamp(three)[1m:15s])`, `sum_over_time(one[10s:1h])`, `last_over_time(one[5s:10s])`,
	`max_over_time(topk(scalar(one), three)[1m:20s])`, `max_over_time(three[60s:5s] offset -20s)`, `increase(three[50s:10s] @ end())`, `max_over_time(three[60s:5s] @ start() offset 5s)`,
	// info().
	`info(up)`, `info(up, {version="2"})`, `info(up offset 10s)`, `info(up @ 60)`, `sum(info(up))`, `max_over_time(info(up)[1m:20s])`, `info(nope)`, `info(three)`,
}

var statsTimes = []times{at(535), {201, 220, 5}, {0, 300, 17}, at(21), {201, 201, 10}, {201, 225, 50}, {500, 1400, 90}}

// counts are what Prometheus' statistics say of a query, but for the peak, which is an engine's own affair.
type counts struct {
	total, read, series         int64
	totalPerStep, readPerStep   stats.TotalSamplesPerStep
	hasTotalSteps, hasReadSteps bool
}

func countsOf(s *stats.QuerySamples) counts {
	c := counts{total: s.TotalSamples, read: s.SamplesRead, series: s.TotalSeries}
	if m := s.TotalSamplesPerStepMap(); m != nil {
		c.totalPerStep, c.hasTotalSteps = *m, true
	}
	if m := s.SamplesReadPerStepMap(); m != nil {
		c.readPerStep, c.hasReadSteps = *m, true
	}
	return c
}

func testStatistics(t *testing.T, base engine.Opts, in []shape, queries []string, when []times) {
	st := promqltest.LoadedStorage(t, statsLoad)
	opts := promql.NewPrometheusQueryOpts(true, 0, nil)
	oracle := prometheusEngine(t, base)
	type key struct {
		query string
		tm    times
	}
	type expectation struct {
		counts counts
		err    string
	}
	want := map[key]expectation{}
	for _, query := range queries {
		for _, tm := range when {
			qry, err := newQuery(context.Background(), oracle, st, opts, query, tm)
			require.NoError(t, err, query)
			res := qry.Exec(context.Background())
			want[key{query, tm}] = expectation{countsOf(qry.Stats().Samples), fmt.Sprint(res.Err)}
			qry.Close()
		}
	}
	for _, s := range in {
		o := s.applied(base)
		if o.Optimizers != nil {
			// Without it histograms count with buckets that Prometheus does not read.
			o.Optimizers = []logicalplan.Optimizer{logicalplan.HistogramStats{}}
		}
		e := engine.New(o)
		t.Run(s.name, func(t *testing.T) {
			for _, query := range queries {
				for _, tm := range when {
					res, samples := execute(t, e, st, opts, query, tm)
					w := want[key{query, tm}]
					if fmt.Sprint(res.Err) != w.err {
						t.Errorf("%s %v: error %v, want %s", query, tm, res.Err, w.err)
					} else if res.Err == nil {
						if got := countsOf(samples); fmt.Sprint(got) != fmt.Sprint(w.counts) {
							t.Errorf("%s %v:\n got %v\nwant %v", query, tm, got, w.counts)
						}
					}
				}
			}
		})
	}
}

func TestStatisticsEqualPrometheus(t *testing.T) {
	for _, delayed := range []bool{false, true} {
		t.Run(fmt.Sprintf("delayed name removal %v", delayed), func(t *testing.T) {
			o := baseOpts()
			o.EnableDelayedNameRemoval = delayed
			testStatistics(t, o, shapes, statsQueries, statsTimes[:map[bool]int{false: len(statsTimes), true: 3}[delayed]])
		})
	}
}

// Info series are looked up for the steps that are evaluated together, and not at all where none of these has a
// sample to enrich. So these are Prometheus' numbers only while the steps stay together.
func TestStatisticsOfInfoOverGaps(t *testing.T) {
	var whole []shape
	for _, s := range shapes {
		if s.applied(baseOpts()).BatchSteps == 0 {
			whole = append(whole, s)
		}
	}
	testStatistics(t, baseOpts(), whole, []string{`info(rate(up[1m]))`, `info(up > 1)`}, statsTimes)
}

// TestStatisticsPerStep holds a range query's numbers against those of instant queries at its steps.
func TestStatisticsPerStep(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	opts := promql.NewPrometheusQueryOpts(true, 0, nil)
	e := engine.New(baseOpts())
	for _, query := range statsQueries {
		if strings.Contains(query, "start()") || strings.Contains(query, "end()") {
			continue
		}
		_, samples := execute(t, e, st, opts, query, times{201, 261, 20})
		perStep := *samples.TotalSamplesPerStepMap()
		require.Len(t, perStep, 4, query)
		sum := int64(0)
		for ms, n := range perStep {
			_, single := execute(t, e, st, nil, query, at(ms/1000))
			require.Equal(t, single.TotalSamples, int64(n), "%s at %d", query, ms)
			sum += int64(n)
		}
		require.Equal(t, samples.TotalSamples, sum, query)
	}
}

// TestStatisticsPerStepSwitch: steps are told apart only where the engine and the query both ask for it.
func TestStatisticsPerStepSwitch(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, engineOn := range []bool{false, true} {
		for _, queryOn := range []bool{false, true} {
			o := baseOpts()
			o.EnablePerStepStats = engineOn
			_, samples := execute(t, engine.New(o), st, promql.NewPrometheusQueryOpts(queryOn, 0, nil), `sum(three)`, times{201, 221, 10})
			require.Equal(t, engineOn && queryOn, samples.TotalSamplesPerStepMap() != nil)
			require.Equal(t, engineOn && queryOn, samples.SamplesReadPerStepMap() != nil)
			require.Equal(t, int64(9), samples.TotalSamples)
		}
	}
}

// TestStatisticsTimers: all timers that the HTTP API shows have run once Exec is through.
func TestStatisticsTimers(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	e := engine.New(baseOpts())
	qry, err := newQuery(context.Background(), e, st, nil, `rate(three[1m])`, times{201, 221, 10})
	require.NoError(t, err)
	require.NoError(t, qry.Exec(context.Background()).Err)
	builtin := stats.NewQueryStats(qry.Stats()).Builtin()
	require.Positive(t, builtin.Timings.ExecTotalTime)
	require.Positive(t, builtin.Timings.EvalTotalTime)
	require.Positive(t, builtin.Timings.QueryPreparationTime)
	require.Positive(t, builtin.Timings.InnerEvalTime)
	require.Positive(t, builtin.Timings.ResultSortTime)
	require.LessOrEqual(t, builtin.Timings.InnerEvalTime+builtin.Timings.QueryPreparationTime+builtin.Timings.ResultSortTime, builtin.Timings.EvalTotalTime)
	require.LessOrEqual(t, builtin.Timings.EvalTotalTime, builtin.Timings.ExecTotalTime)
	require.Equal(t, qry.Stats().Samples.SamplesRead, builtin.Samples.SamplesRead)
}
