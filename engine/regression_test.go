package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
)

// TestRegressions holds queries that once differed from Prometheus.
func TestRegressions(t *testing.T) {
	st := promqltest.LoadedStorage(t, `load 10s
  k{i="1"} 1+1x200
  k{i="2"} 3+1x200
  other{i="1"} 1+1x200
  mixed{i="1"} 1 2 {{schema:1 sum:1 count:1 buckets:[1]}}x60
  custom{i="1"} {{schema:-53 sum:5 count:4 custom_values:[5 10] buckets:[1 2 1]}}x60
  q{i="1"} -0.25 2 -0.25 2 -0.25 2
  q{i="2"} 0x200
  dup_a{i="1"} 1+1x200
  dup_b{i="1"} 1+1x200
  exp{i="1"} {{schema:1 sum:1 count:1 buckets:[1]}}x60
  exp2{i="1"} {{schema:1 sum:1 count:1 buckets:[1]}}+{{schema:1 sum:1 count:1 buckets:[1]}}x200
  within{i="1"} {{schema:0 sum:1 count:5 z_bucket:1 z_bucket_w:2 buckets:[1 2 1]}}+{{schema:0 sum:1 count:5 z_bucket:1 z_bucket_w:2 buckets:[1 2 1]}}x200
`)
	opts := suiteOpts()
	for _, c := range []struct {
		why, query string
		delayed    bool
	}{
		{"the number of series to pick comes from the scan that topk picks from", `topk(scalar(k{i="1"}), k)`, false},
		{"both sides of a set operation share a scan", `1 / k unless on (i) k{i="1"}`, false},
		{"the pipeline's source has many steps, its sink one", `sum(count_over_time(k[30m:1s]))`, false},
		{"custom buckets know no zero bucket", `first_over_time((-custom)[1m:10s])`, true},
		{"custom buckets divided by 0", `first_over_time((custom / 0)[1m:10s])`, true},
		{"the zero bucket of the result", `-custom`, true},
		{"a subquery without steps evaluates nothing: quantile", `avg_over_time(quantile(2, k)[1s:7m])`, false},
		{"a subquery without steps evaluates nothing: topk", `avg_over_time(topk(NaN, k)[1s:7m])`, false},
		{"a subquery without steps evaluates nothing: limit_ratio", `avg_over_time(limit_ratio(2, k)[1s:7m])`, false},
		{"a subquery without steps holds a part that never varies", `((scalar(max(k @ 20))) * k)[1s:3m]`, true},
		{"of equal warnings the one of the later place stays", `avg_over_time(mixed[30s]) and irate(mixed[1m])`, false},
		{"a scalar on the left is evaluated first", `scalar(k < exp) </ (k < exp)`, false},
		{"equal invariant parts count each for itself", `k @ 20 + k unless k @ 20`, false},
		{"of equal infos of a shared scan the one of the later place stays", `rate(k[1m]) % rate(k{i!="2"}[1m])`, false},
		{"uses of a shared scan are in the query's order, whichever is built first", `k != idelta(exp2[20s * 2 - 20s]) unless idelta(exp2[20s])`, false},
		{"buckets within the zero bucket are not subtracted", `delta(within[20s])`, false},
		{"of equal infos the one of the later place stays", `exp ^ exp unless exp ^ exp`, false},
		{"quantile arguments warn step by step", `histogram_quantiles(exp, "le", 0.25, scalar(q{i="1"}), scalar(q{i="1"} offset 10s))`, true},
		{"equal selectors and a narrower one count each for itself", `k{i="1"} + k < k`, false},
		{"of equal warnings about buckets too", `histogram_quantile(0.5, k) unless histogram_quantile(0.9, k)`, false},
		{"a failed evaluation has no annotations", `rate({__name__=~"dup_.*"}[1m])`, false},
		{"a failed end of delayed name removal has", `rate({__name__=~"dup_.*"}[1m])`, true},
	} {
		t.Run(c.query, func(t *testing.T) {
			o := opts
			o.EnableDelayedNameRemoval = c.delayed
			reference := promql.NewEngine(o.EngineOpts)
			expr, err := o.Parser.ParseExpr(c.query)
			require.NoError(t, err)
			for _, m := range suiteModes {
				mode := o
				m.set(&mode)
				candidate := engine.New(mode)
				for _, at := range []int64{0, 20, 50, 120, 320} {
					run := difftest.Case{Query: c.query, Times: difftest.Times{Instant: true, Start: at * 1000, End: at * 1000}}
					want, got := run.Run(context.Background(), reference, st), run.Run(context.Background(), candidate, st)
					compare := difftest.NewComparer(expr, run.Times, difftest.DefaultTolerance, true)
					require.Nil(t, compare.Compare(want, got), "%s: %s at %d", c.why, m.name, at)
					want.Close()
					got.Close()
				}
			}
		})
	}
}

// TestInvariantDuplicates: a step-invariant part is evaluated at a single time, where delayed name removal does
// not look for equal labels; what stands around it does.
func TestInvariantDuplicates(t *testing.T) {
	st := promqltest.LoadedStorage(t, `load 10s
  exp{i="1"} {{schema:1 sum:1 count:1 buckets:[1]}}x60
`)
	for _, query := range []string{
		`histogram_quantiles(exp @ 10, "q", 0, 0) unless missing`,
		`sort(histogram_quantiles(exp @ 10, "q", 0, 0) and on (i) exp)`,
	} {
		for _, m := range suiteModes {
			o := suiteOpts()
			m.set(&o)
			q, err := engine.New(o).NewRangeQuery(context.Background(), st, nil, query, time.Unix(0, 0), time.Unix(60, 0), 10*time.Second)
			require.NoError(t, err)
			require.EqualError(t, q.Exec(context.Background()).Err, "vector cannot contain metrics with the same labelset", "%s: %s", m.name, query)
		}
	}
}

// TestCutGrids: what is said of a parameter is said once, of all its values.
func TestCutGrids(t *testing.T) {
	st := promqltest.LoadedStorage(t, "load 1s\n  x 0+1x10\n")
	for _, query := range []string{`limit_ratio(time(), vector(time()))`, `quantile(time() + 2, vector(time()))`} {
		for _, m := range suiteModes {
			o := suiteOpts()
			m.set(&o)
			expr, err := o.Parser.ParseExpr(query)
			require.NoError(t, err)
			run := difftest.Case{Query: query, Times: difftest.Times{Start: 0, End: 5000, Step: 1000}}
			want, got := run.Run(context.Background(), promql.NewEngine(o.EngineOpts), st), run.Run(context.Background(), engine.New(o), st)
			require.Len(t, want.Warnings, 1)
			require.Nil(t, difftest.NewComparer(expr, run.Times, difftest.DefaultTolerance, true).Compare(want, got), m.name)
			want.Close()
			got.Close()
		}
	}
}
