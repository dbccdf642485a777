package engine_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/logicalplan"
)

// TestMaxSamplesDoesNotDependOnShape: the most samples held are the same number however a query is run; with that as
// the limit the query answers, with one less it fails. Only where the steps are cut into ranges less is held.
func TestMaxSamplesDoesNotDependOnShape(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, query := range statsQueries {
		for _, tm := range []times{at(201), {100, 500, 20}} {
			whole := 0
			for _, s := range shapes {
				o := s.applied(baseOpts())
				res, samples := execute(t, engine.New(o), st, nil, query, tm)
				if res.Err != nil {
					continue
				}
				peak := samples.PeakSamples
				switch {
				case whole == 0:
					whole = peak
				case o.BatchSteps == 0:
					require.Equal(t, whole, peak, "%s %v %s", query, tm, s.name)
				default:
					require.LessOrEqual(t, peak, whole, "%s %v %s", query, tm, s.name)
				}
				if peak == 0 {
					continue
				}
				o.MaxSamples = peak
				res, _ = execute(t, engine.New(o), st, nil, query, tm)
				require.NoError(t, res.Err, "%s %s %s", query, tm, s.name)
				if o.MaxSamples--; o.MaxSamples > 0 {
					res, _ = execute(t, engine.New(o), st, nil, query, tm)
					require.Equal(t, promql.ErrTooManySamples("query execution"), res.Err, "%s %v %s", query, tm, s.name)
					require.EqualError(t, res.Err, "query processing would load too many samples into memory in query execution")
					require.Nil(t, res.Value)
				}
			}
		}
	}
}

// TestMaxSamplesCounts: what the limit counts. Columns that stream through are not held; results and
// what operators keep are.
func TestMaxSamplesCounts(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	const histogramSize = 13 // (Size()+8)/16 of the histogram in hist
	for _, c := range []struct {
		query string
		tm    times
		peak  int
	}{
		{`"text"`, at(201), 0},
		{`1`, at(201), 1},
		{`nope`, at(201), 0},
		{`three`, at(201), 3},
		{`three`, times{100, 190, 10}, 30},
		{`three[1m]`, at(201), 18},
		{`hist`, at(201), histogramSize},
		{`hist[20s]`, at(201), 2 * histogramSize},
		{`rate(three[1m])`, times{100, 190, 10}, 30},
		{`sum(three)`, at(201), 1 + 1},
		{`sum(rate(three[1m]))`, times{100, 190, 10}, 10 + 10},
		{`sum by (a) (three)`, times{100, 190, 10}, 30 + 30},
		{`sum(sum by (a) (three))`, times{100, 190, 10}, 30 + 10 + 10},
	} {
		_, samples := execute(t, engine.New(baseOpts()), st, nil, c.query, c.tm)
		require.Equal(t, c.peak, samples.PeakSamples, "%s %v", c.query, c.tm)
	}
}

// TestMaxSamplesNone: 0 and less are no limit.
func TestMaxSamplesNone(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, limit := range []int{0, -1, math.MinInt} {
		o := baseOpts()
		o.MaxSamples = limit
		require.Len(t, answer(t, engine.New(o), st, `three`, at(201)), 3)
	}
}

// costStorage has series for the query-cost limits, floats and histograms.
func costStorage(t *testing.T) *teststorage.TestStorage {
	return promqltest.LoadedStorage(t, statsLoad)
}

// TestQueryCostEqualsPrometheus compares errors, and the numbers of queries within the limits, at limits just below and at what a query needs.
func TestQueryCostEqualsPrometheus(t *testing.T) {
	st := costStorage(t)
	o := baseOpts()
	o.EnableQueryCost = true
	oracle := prometheusEngine(t, o)
	for _, query := range statsQueries {
		if strings.HasPrefix(query, "info(") && strings.Contains(query, "rate") {
			continue
		}
		for _, tm := range []times{{200, 300, 25}} {
			oracle.SetQueryLimits(0, 0, 0)
			res, full := execute(t, oracle, st, nil, query, tm)
			require.NoError(t, res.Err)
			for _, limit := range [][2]int64{{full.TotalSeries, full.SamplesRead}, {full.TotalSeries - 1, 0}, {0, full.SamplesRead - 1}} {
				if limit[0] < 0 || limit[1] < 0 {
					continue
				}
				oracle.SetQueryLimits(uint64(limit[0]), uint64(limit[1]), 0)
				want, wantSamples := execute(t, oracle, st, nil, query, tm)
				for _, s := range shapes {
					so := s.applied(o)
					if so.Optimizers != nil {
						so.Optimizers = []logicalplan.Optimizer{logicalplan.HistogramStats{}}
					}
					e := engine.New(so)
					e.SetQueryLimits(uint64(limit[0]), uint64(limit[1]), 0)
					got, samples := execute(t, e, st, nil, query, tm)
					if assert.Equal(t, want.Err, got.Err, "%s %v %s limits %v", query, tm, s.name, limit) && want.Err == nil {
						assert.Equal(t, countsOf(wantSamples), countsOf(samples), "%s %v %s", query, tm, s.name)
					}
				}
			}
		}
	}
}

// TestQueryCostOff: without the feature, limits are not in force and not checked.
func TestQueryCostOff(t *testing.T) {
	st := costStorage(t)
	e := engine.New(baseOpts())
	e.SetQueryLimits(1, 1, time.Nanosecond)
	res, _ := execute(t, e, st, promql.NewPrometheusQueryOptsWithLimits(false, 0, 100, 100, time.Hour, nil), `three`, at(201))
	require.NoError(t, res.Err)
	require.Len(t, res.Value, 3)
}

// TestQueryCostCeilings: a query may ask for less than the engine allows, not for more.
func TestQueryCostCeilings(t *testing.T) {
	st := costStorage(t)
	type limits struct {
		series, samples uint64
		duration        time.Duration
	}
	for _, c := range []struct {
		ceiling, asked limits
		timeout        time.Duration
	}{
		{},
		{asked: limits{series: 10}},
		{ceiling: limits{series: 10}, asked: limits{series: 10}},
		{ceiling: limits{series: 10}, asked: limits{series: 11}},
		{ceiling: limits{series: 10}, asked: limits{series: 2}},
		{ceiling: limits{series: 2}, asked: limits{}},
		{ceiling: limits{series: math.MaxUint64}, asked: limits{series: math.MaxUint64}},
		{ceiling: limits{samples: 10}, asked: limits{samples: 10}},
		{ceiling: limits{samples: 10}, asked: limits{samples: 11}},
		{ceiling: limits{samples: 10}, asked: limits{samples: 2}},
		{ceiling: limits{duration: time.Minute}, asked: limits{duration: time.Minute}, timeout: time.Hour},
		{ceiling: limits{duration: time.Minute}, asked: limits{duration: time.Minute + 1}, timeout: time.Hour},
		{ceiling: limits{duration: 2 * time.Hour}, asked: limits{duration: 2 * time.Hour}, timeout: time.Hour},
		{asked: limits{duration: time.Hour}, timeout: time.Hour},
		{asked: limits{duration: time.Hour + 1}, timeout: time.Hour},
		{ceiling: limits{duration: -1}, asked: limits{duration: -1}, timeout: time.Hour},
		{ceiling: limits{duration: time.Nanosecond}, timeout: time.Hour},
		{asked: limits{duration: time.Nanosecond}, timeout: time.Hour},
		{ceiling: limits{series: 1, samples: 1, duration: 1}, asked: limits{series: 2, samples: 2, duration: 2}, timeout: time.Hour},
		{ceiling: limits{samples: 1, duration: 1}, asked: limits{samples: 2, duration: 2}, timeout: time.Hour},
	} {
		o := baseOpts()
		o.EnableQueryCost, o.Timeout = true, c.timeout
		opts := promql.NewPrometheusQueryOptsWithLimits(false, 0, c.asked.series, c.asked.samples, c.asked.duration, nil)
		oracle, e := prometheusEngine(t, o), engine.New(o)
		oracle.SetQueryLimits(c.ceiling.series, c.ceiling.samples, c.ceiling.duration)
		e.SetQueryLimits(c.ceiling.series, c.ceiling.samples, c.ceiling.duration)
		for _, tm := range []times{at(201), {100, 200, 50}} {
			_, want := newQuery(context.Background(), oracle, st, opts, `three`, tm)
			qry, err := newQuery(context.Background(), e, st, opts, `three`, tm)
			require.Equal(t, want, err, "%+v", c)
			if err != nil {
				require.Nil(t, qry)
				continue
			}
			wanted, _ := execute(t, oracle, st, opts, `three`, tm)
			got := qry.Exec(context.Background())
			require.Equal(t, wanted.Err, got.Err, "%+v", c)
		}
	}
}

// TestQueryCostUnknownOpts: options that carry no limits get the engine's.
func TestQueryCostUnknownOpts(t *testing.T) {
	o := baseOpts()
	o.EnableQueryCost = true
	e := engine.New(o)
	e.SetQueryLimits(2, 0, 0)
	res, _ := execute(t, e, costStorage(t), plainOpts{}, `three`, at(201))
	require.Equal(t, promql.ErrTooManySeries("query execution"), res.Err)
}

type plainOpts struct{}

func (plainOpts) EnablePerStepStats() bool     { return false }
func (plainOpts) LookbackDelta() time.Duration { return 0 }
func (plainOpts) UseStartTimestamps() *bool    { return nil }

// TestQueryCostEndsSelection: the limit on series ends the selection, it does not come after it.
func TestQueryCostEndsSelection(t *testing.T) {
	st := costStorage(t)
	o := baseOpts()
	o.EnableQueryCost = true
	e := engine.New(o)
	e.SetQueryLimits(1, 0, 0)
	last := -1
	for kind, s := range hooked(st, func() *hooks {
		return &hooks{next: func(_, n int) error {
			last = n
			return nil
		}}
	}) {
		res, _ := execute(t, e, s, nil, `three`, at(201))
		require.Equal(t, promql.ErrTooManySeries("query execution"), res.Err, kind)
		require.Equal(t, 1, last, kind)
	}
}

// TestMemoryBudget: a query that needs more fails, with an error that says so.
func TestMemoryBudget(t *testing.T) {
	st := costStorage(t)
	o := baseOpts()
	o.MemoryBudget = 64
	res, _ := execute(t, engine.New(o), st, nil, `quantile(0.5, three)`, times{100, 500, 1})
	require.ErrorContains(t, res.Err, "memory")
	o.MemoryBudget = 64 << 20
	res, _ = execute(t, engine.New(o), st, nil, `quantile(0.5, three)`, times{100, 500, 1})
	require.NoError(t, res.Err)
}
