package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
	"github.com/stride-promql/stride/operators"
)

// memoryQueries are ones whose operators hold much: columns, groups, joins, sorted rows, subqueries.
var memoryQueries = []string{
	`quantile by (pod) (0.5, wide)`,
	`sum by (pod, n) (rate(wide[1m]))`,
	`wide / on (pod, n) wide offset 1m`,
	`wide or wide offset 5m`,
	`topk by (pod) (2, wide)`,
	`sum by (pod) (wide) * on (pod) group_left () max by (pod) (wide)`,
	`max_over_time(quantile by (pod) (0.5, wide)[5m:30s])`,
	`histogram_quantile(0.9, sum by (pod, le) (rate(wide_bucket[2m])))`,
	`sum by (pod) (native)`,
	`count_values by (pod) ("v", wide % 7)`,
}

const memoryData = `load 15s
  wide{pod="a",n="1"} 1+1x400
  wide{pod="a",n="2"} 5+2x400
  wide{pod="a",n="3"} 9+3x400
  wide{pod="b",n="1"} 1+4x400
  wide{pod="b",n="2"} 5+1x400
  wide{pod="b",n="3"} 0+1x200 1+2x200
  wide_bucket{pod="a",le="1"} 1+1x400
  wide_bucket{pod="a",le="+Inf"} 1+2x400
  wide_bucket{pod="b",le="1"} 1+1x400
  wide_bucket{pod="b",le="+Inf"} 1+3x400
  native{pod="a"} {{schema:1 sum:1 count:3 buckets:[1 2]}}+{{schema:1 sum:1 count:3 buckets:[1 2]}}x400
  native{pod="b"} {{schema:1 sum:1 count:3 buckets:[1 2]}}+{{schema:1 sum:1 count:3 buckets:[1 2]}}x400
`

// memoryOpts have no limit on samples.
func memoryOpts() engine.Opts {
	o := suiteOpts()
	o.MaxSamples = 0
	o.EnableDelayedNameRemoval = false
	return o
}

// measured is what Analyze says of a query's memory.
type measured struct {
	Analysis struct {
		Peak   int64 `json:"peakBytes"`
		Series int64 `json:"seriesBytes"`
		Result int64 `json:"resultBytes"`
		Ranges int   `json:"stepRanges"`
	} `json:"analysis"`
}

// TestMemoryBudgetCutsRanges: queries whose naive need is ten times the budget give the right answer within it.
func TestMemoryBudgetCutsRanges(t *testing.T) {
	st := promqltest.LoadedStorage(t, memoryData)
	referenceOpts := memoryOpts().EngineOpts
	referenceOpts.MaxSamples = 1e9
	reference := promql.NewEngine(referenceOpts)
	tm := difftest.Times{Start: 0, End: 6_000_000, Step: 1000}
	run := func(o engine.Opts, query string) (*difftest.Outcome, measured) {
		q := &capture{QueryEngine: engine.New(o)}
		out := difftest.Case{Query: query, Times: tm}.Run(context.Background(), q, st)
		b, err := q.last.(engine.ExplainableQuery).Analyze().MarshalJSON()
		require.NoError(t, err)
		var m measured
		require.NoError(t, json.Unmarshal(b, &m))
		return out, m
	}
	for _, q := range memoryQueries {
		t.Run(q, func(t *testing.T) {
			want := difftest.Case{Query: q, Times: tm}.Run(context.Background(), reference, st)
			defer want.Close()
			require.NoError(t, want.Err)

			o := memoryOpts()
			o.MemoryBudget = 1 << 40 // no limit, but accounts for all
			free, whole := run(o, q)
			defer free.Close()
			require.NoError(t, free.Err)
			require.Equal(t, 1, whole.Analysis.Ranges)

			// The labels and the result are there in any case: what is left for the operators is a tenth of what they held.
			fixed := whole.Analysis.Series + whole.Analysis.Result
			o.MemoryBudget = fixed + (whole.Analysis.Peak-fixed)/10
			got, cut := run(o, q)
			defer got.Close()
			require.NoError(t, got.Err)
			require.Greater(t, cut.Analysis.Ranges, 1)
			expr, err := o.Parser.ParseExpr(q)
			require.NoError(t, err)
			require.Nil(t, difftest.NewComparer(expr, tm, difftest.DefaultTolerance, false).Compare(want, got))
		})
	}
}

// capture keeps the last query of an engine.
type capture struct {
	promql.QueryEngine
	last promql.Query
}

func (c *capture) NewRangeQuery(ctx context.Context, st storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	q, err := c.QueryEngine.NewRangeQuery(ctx, st, opts, qs, start, end, interval)
	c.last = q
	return q, err
}

// TestLimiter: many queries at once hold no more than the limit together, give right answers or clear refusals, and give
// everything back.
func TestLimiter(t *testing.T) {
	st := promqltest.LoadedStorage(t, memoryData)
	l := engine.NewLimiter(3 << 19)
	o := memoryOpts()
	o.Limiter = l
	limited, free := engine.New(o), engine.New(memoryOpts())
	ctx := context.Background()
	exec := func(e *engine.Engine, query string) (string, error) {
		q, err := e.NewRangeQuery(ctx, st, nil, query, time.UnixMilli(0), time.UnixMilli(6_000_000), time.Second)
		if err != nil {
			return "", err
		}
		defer q.Close()
		res := q.Exec(ctx)
		if res.Err != nil {
			return "", res.Err
		}
		return res.String(), nil
	}
	want := map[string]string{}
	for _, q := range memoryQueries {
		var err error
		want[q], err = exec(free, q)
		require.NoError(t, err)
	}
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		refused int
		right   int
	)
	for i := range 40 {
		wg.Go(func() {
			q := memoryQueries[i%len(memoryQueries)]
			got, err := exec(limited, q)
			mu.Lock()
			defer mu.Unlock()
			var limit *engine.LimitError
			switch {
			case errors.As(err, &limit):
				require.ErrorIs(t, err, operators.ErrShortOfMemory)
				require.ErrorContains(t, err, fmt.Sprintf("queries may hold %d bytes together", l.Limit()))
				refused++
			default:
				if err != nil || got != want[q] {
					t.Errorf("%s: %v, want the same answer as without a limit", q, err)
				}
				right++
			}
		})
	}
	wg.Wait()
	t.Logf("%d answered, %d refused", right, refused)
	require.Positive(t, right)
	used, waiting := l.Used()
	require.Zero(t, used, "everything was given back")
	require.Zero(t, waiting)
}

// TestLimiterQueue: a query waits until what it needs is free, and can be cancelled while it does.
func TestLimiterQueue(t *testing.T) {
	st := promqltest.LoadedStorage(t, memoryData)
	o := memoryOpts()
	o.Limiter = engine.NewLimiter(300 << 10)
	e := engine.New(o)
	newQuery := func(query string) promql.Query {
		q, err := e.NewRangeQuery(context.Background(), st, nil, query, time.UnixMilli(0), time.UnixMilli(6_000_000), time.Second)
		require.NoError(t, err)
		return q
	}
	// Its result counts until it is closed.
	first := newQuery(`wide{n="1"}`)
	require.NoError(t, first.Exec(context.Background()).Err)
	used, _ := o.Limiter.Used()
	require.Greater(t, used, int64(2*6000*16-1))
	first.Close()
	first.Close()
	used, _ = o.Limiter.Used()
	require.Zero(t, used)
}

// TestLimiterCutsNothing: queries that fit easily run all their steps at once. A wrong estimate once made a range of every step.
func TestLimiterCutsNothing(t *testing.T) {
	st := promqltest.LoadedStorage(t, memoryData)
	o := memoryOpts()
	o.Limiter = engine.NewLimiter(64 << 20)
	for _, query := range append([]string{`count(wide and on (pod) native)`, `max(sum by (pod) (rate(wide[1m])))`}, memoryQueries...) {
		q := &capture{QueryEngine: engine.New(o)}
		out := difftest.Case{Query: query, Times: difftest.Times{Start: 0, End: 6_000_000, Step: 1000}}.Run(context.Background(), q, st)
		require.NoError(t, out.Err, query)
		b, err := q.last.(engine.ExplainableQuery).Analyze().MarshalJSON()
		require.NoError(t, err)
		var m measured
		require.NoError(t, json.Unmarshal(b, &m))
		require.Equal(t, 1, m.Analysis.Ranges, query)
		out.Close()
	}
}

// TestBudgetOfInvariantParts: statistics are those of a query without a budget, whatever was read ahead of parts that do not depend on
// the step.
func TestBudgetOfInvariantParts(t *testing.T) {
	var data strings.Builder
	data.WriteString("load 15s\n")
	for i := range 1500 {
		fmt.Fprintf(&data, "  many{i=\"%d\"} %dx100\n", i, i)
	}
	st := promqltest.LoadedStorage(t, data.String())
	query := `sum by (i) (rate(many[1m])) / on () group_left () sum(many @ 600)`
	run := func(budget int64) (*promql.Result, int64, measured) {
		o := memoryOpts()
		o.MemoryBudget = budget
		q, err := engine.New(o).NewRangeQuery(context.Background(), st, nil, query, time.UnixMilli(0), time.UnixMilli(1_500_000), time.Second)
		require.NoError(t, err)
		defer q.Close()
		res := q.Exec(context.Background())
		require.NoError(t, res.Err)
		b, err := q.(engine.ExplainableQuery).Analyze().MarshalJSON()
		require.NoError(t, err)
		var m measured
		require.NoError(t, json.Unmarshal(b, &m))
		return res, q.Stats().Samples.TotalSamples, m
	}
	want, samples, whole := run(1 << 40)
	fixed := whole.Analysis.Series + whole.Analysis.Result
	got, samplesCut, cut := run(fixed + (whole.Analysis.Peak-fixed)/4)
	require.Greater(t, cut.Analysis.Ranges, 1)
	require.Equal(t, samples, samplesCut)
	require.Equal(t, want.Warnings, got.Warnings)
}

// TestBudgetOfRawSamples: a matrix selector that is the whole query is accounted for, too.
func TestBudgetOfRawSamples(t *testing.T) {
	st := promqltest.LoadedStorage(t, memoryData)
	o := memoryOpts()
	o.MemoryBudget = 20 << 10
	q, err := engine.New(o).NewInstantQuery(context.Background(), st, nil, `wide[2h]`, time.UnixMilli(6_000_000))
	require.NoError(t, err)
	defer q.Close()
	var budget *operators.BudgetError
	require.ErrorAs(t, q.Exec(context.Background()).Err, &budget)
}
