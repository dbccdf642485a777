package physicalplan

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
)

func planOf(t *testing.T, query string, delayed bool) *Plan {
	t.Helper()
	p, err := tryPlan(t, query, delayed)
	require.NoError(t, err)
	return p
}

func tryPlan(t *testing.T, query string, delayed bool) (*Plan, error) {
	t.Helper()
	expr, err := parser.NewParser(promqltest.TestParserOpts).ParseExpr(query)
	require.NoError(t, err)
	stmt := &parser.EvalStmt{Start: time.Unix(0, 0), End: time.Unix(600, 0), Interval: time.Minute, LookbackDelta: 5 * time.Minute}
	stmt.Expr, err = promql.PreprocessExpr(expr, stmt.Start, stmt.End, stmt.Interval)
	require.NoError(t, err)
	lp, err := logicalplan.Build(stmt, logicalplan.BuildOptions{})
	require.NoError(t, err)
	for _, pass := range logicalplan.DefaultOptimizers() {
		lp, _ = pass.Optimize(lp)
	}
	return Build(lp, Options{Query: &operators.Query{Workers: 1, DelayedNameRemoval: delayed, Lookback: 300000}})
}

func TestTooManySteps(t *testing.T) {
	_, err := tryPlan(t, `count_over_time(x[10y:1s])`, true)
	require.EqualError(t, err, "the subquery has 315360600 steps of 1s, the limit is 16777216: choose a longer step or a shorter range")
	_, err = tryPlan(t, `count_over_time(x[30d:1m])`, true)
	require.NoError(t, err)
}

func TestPipelines(t *testing.T) {
	for _, c := range []struct {
		name, query string
		delayed     bool
		want        string
	}{
		{"a fused leaf", `sum by (job) (rate(x[5m]))`, false, `
1. scan rate of x[5m]
   → merge (only where labels collide)
      ⇒ sum by (job)
2. sum by (job)
   ⇒ result
`},
		{"equal functions share a scan though they annotate", `sum(rate(x[5m])) / on () count(rate(x[5m]))`, true, `
1. scan rate of x[5m]
   ⇒ sum
   ⇒ count
2. sum
   ⇒ / on ()
3. count
   ⇒ / on () (input 1)
4. / on ()
   → merge, dropping names (only where labels collide)
      ⇒ result
`},
		{"a narrow selector filters a wide one's scan", `sum(x{a="1"}) / sum(x)`, true, `
1. scan x
   → filter {a="1"}
      ⇒ sum
   ⇒ sum
2. sum
   ⇒ /
3. sum
   ⇒ / (input 1)
4. /
   → merge, dropping names (only where labels collide)
      ⇒ result
`},
		{"a set operation needs its right side first, so that its sides cannot share", `x and on (a) (x > 1)`, true, `
1. scan x
   → vector > scalar
      → merge (only where labels collide)
         ⇒ and on (a) (input 1)
2. scan x
   → and on (a)
      → merge (only where labels collide)
         → merge, dropping names (only where labels collide)
            ⇒ result
`},
		{"parts that never vary are evaluated once", `x + on () group_left () sum(y @ 10)`, true, `
1. scan x
   ⇒ + on () group_left ()
2. scan y @ 10
   ⇒ sum
3. sum
   → repeat
      ⇒ + on () group_left () (input 1)
4. + on () group_left ()
   → merge, dropping names (only where labels collide)
      ⇒ result
`},
		{"a subquery is a stage behind its expression", `max_over_time(sum(x)[10m:1m])`, true, `
1. scan x
   ⇒ sum
2. sum
   → subquery window max_over_time
      → merge, dropping names (only where labels collide)
         ⇒ result
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, strings.TrimPrefix(c.want, "\n"), FormatPipelines(planOf(t, c.query, c.delayed).Pipelines(false)))
		})
	}
}

func TestNodesStandBehindTheirInputs(t *testing.T) {
	for _, query := range []string{
		`topk(scalar(x), x)`, `x and x`, `x unless (x or x)`, `quantile_over_time(scalar(x), x[5m])`,
		`clamp(x, scalar(x), scalar(max(x)))`, `sum(x) / on () group_right () (x and on () sum(x))`,
	} {
		p := planOf(t, query, true)
		require.NoError(t, p.checkOrder())
		for _, n := range p.nodes {
			for _, in := range n.inputs {
				require.Less(t, in.id, n.id, query)
			}
		}
	}
}
