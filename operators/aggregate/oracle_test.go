package aggregate

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// build makes the operator of an aggregation's AST.
func build(q *operators.Query, e *parser.AggregateExpr, in *operators.Schema, grid operators.Grid) operators.Operator {
	grouping := slices.Clone(e.Grouping)
	slices.Sort(grouping)
	param := operators.FoldedScalar()
	if n, ok := e.Param.(*parser.NumberLiteral); ok {
		param = operators.ConstantScalar(n.Val)
	}
	switch e.Op {
	case parser.QUANTILE:
		return NewQuantile(q, in, param, grouping, e.Without, grid, e.Expr.PositionRange(), e.Param.PositionRange())
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		return NewPick(q, e.Op, in, param, grouping, e.Without, grid, e.PosRange, e.Param.PositionRange())
	case parser.COUNT_VALUES:
		return NewCountValues(q, in, e.Param.(*parser.StringLiteral).Val, grouping, e.Without, grid)
	default:
		return NewAccumulate(q, e.Op, in, grouping, e.Without, grid, e.Expr.PositionRange())
	}
}

// check runs an aggregation of m over rows in several shapes and compares it with Prometheus. param is
// the value of p by step, if the query has one.
func check(t *testing.T, rnd *rand.Rand, rows []operatortest.Series, param []float64, query string, steps int) {
	t.Helper()
	all := rows
	inputs := []operatortest.Input{{Series: rows}}
	if param != nil {
		p := operatortest.Scalar(param...)
		inputs = append(inputs, p)
		all = append(slices.Clone(rows), operatortest.Series{Labels: labels.FromStrings("__name__", "p"), Samples: p.Series[0].Samples})
	}
	delayed := rnd.Intn(2) == 0 || slices.ContainsFunc(rows, func(r operatortest.Series) bool { return r.DropName })
	want := operatortest.Prometheus(t, all, operatortest.Query{Text: query, Grid: operatortest.Grid(steps), Instant: steps == 1, Delayed: delayed})
	expr, err := operatortest.Parser.ParseExpr(query)
	require.NoError(t, err)
	e := expr.(*parser.AggregateExpr)

	o := operatortest.Options{Steps: steps, Seed: rnd.Uint64(), Shapes: 2}
	switch e.Op {
	case parser.QUANTILE:
		// Warnings name the extreme values of a range.
		o.OneRange = param != nil
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		// Errors, too, go by the range; and the parameter has to come first.
		o.OneRange = param != nil || want.Err != nil
		o.Order = []int{inputParam, inputVector}
	}
	got := operatortest.Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator {
		return build(q, e, in[0], operatortest.Grid(steps))
	}, o, inputs...)
	if want.Err != nil {
		require.EqualError(t, got.Err, want.Err.Error(), query)
		return
	}
	require.NoError(t, got.Err, query)
	got.Series, err = operatortest.DropNames(got.Series)
	require.NoError(t, err, query)
	require.NoError(t, operatortest.Equal(want.Series, got.Series, steps == 1 && e.Op != parser.COUNT_VALUES), query)
	require.Equal(t, want.Strings(query), got.Strings(query), query)
}
