package logicalplan

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
)

// A field that a later version of Prometheus adds to its AST may change what a query means. This
// test then fails until Build, Text and Equal treat it.
func TestAllFieldsOfTheASTAreKnown(t *testing.T) {
	for _, tc := range []struct {
		node   any
		fields string
	}{
		{parser.EvalStmt{}, "Expr Start End Interval LookbackDelta"},
		{parser.NumberLiteral{}, "Val Duration PosRange"},
		{parser.StringLiteral{}, "Val PosRange"},
		{parser.VectorSelector{}, "Name OriginalOffset OriginalOffsetExpr Offset Timestamp SkipHistogramBuckets StartOrEnd LabelMatchers " +
			"UnexpandedSeriesSet Series BypassEmptyMatcherCheck Anchored Smoothed unquotedUTF8Names PosRange"},
		{parser.MatrixSelector{}, "VectorSelector Range RangeExpr EndPos"},
		{parser.SubqueryExpr{}, "Expr Range RangeExpr OriginalOffset OriginalOffsetExpr Offset Timestamp StartOrEnd Step StepExpr EndPos"},
		{parser.Call{}, "Func Args PosRange"},
		{parser.Function{}, "Name ArgTypes Variadic ReturnType Experimental"},
		{parser.AggregateExpr{}, "Op Expr Param Grouping Without unquotedUTF8Names PosRange"},
		{parser.BinaryExpr{}, "Op LHS RHS VectorMatching ReturnBool unquotedUTF8Names"},
		{parser.VectorMatching{}, "Card MatchingLabels On Include FillValues"},
		{parser.VectorMatchFillValues{}, "RHS LHS"},
		{parser.UnaryExpr{}, "Op Expr StartPos"},
		{parser.ParenExpr{}, "Expr PosRange"},
		{parser.StepInvariantExpr{}, "Expr"},
		{storage.SelectHints{}, "Start End Limit Step Func Grouping By Range ShardCount ShardIndex DisableTrimming ProjectionLabels ProjectionInclude"},
	} {
		typ := reflect.TypeOf(tc.node)
		var fields []string
		for i := range typ.NumField() {
			fields = append(fields, typ.Field(i).Name)
		}
		require.Equal(t, strings.Fields(tc.fields), fields, typ.String())
	}
}

// A new function must be looked at: whether it annotates, and whether it reads its arguments in a
// way of its own.
func TestAllFunctionsAreKnown(t *testing.T) {
	known := strings.Fields(`abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp
		clamp_max clamp_min cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg delta deriv
		double_exponential_smoothing end exp first_over_time floor histogram_avg histogram_count histogram_fraction
		histogram_quantile histogram_quantiles histogram_stddev histogram_stdvar histogram_sum hour idelta increase info
		integral irate label_join label_replace last_over_time ln log10 log2 mad_over_time max_of max_over_time min_of
		min_over_time minute month pi predict_linear present_over_time quantile_over_time rad range rate resets round
		scalar sgn sin sinh sort sort_by_label sort_by_label_desc sort_desc sqrt start start_timestamp stddev_over_time
		stdvar_over_time step sum_over_time tan tanh time timestamp ts_of_first_over_time ts_of_last_over_time
		ts_of_max_over_time ts_of_min_over_time vector year`)
	require.Equal(t, known, slices.Sorted(maps.Keys(parser.Functions)))
	for name := range functionsThatNeverAnnotate {
		require.Contains(t, known, name)
	}
}

func TestBuildRefusesWhatItDoesNotKnow(t *testing.T) {
	foo := func() *parser.VectorSelector { return &parser.VectorSelector{Name: "foo"} }
	one := &parser.NumberLiteral{Val: 1}
	custom := &parser.Function{Name: "abs", ArgTypes: []parser.ValueType{parser.ValueTypeScalar}, ReturnType: parser.ValueTypeVector}
	for want, e := range map[string]parser.Expr{
		"a part of it is missing":     &parser.UnaryExpr{Op: parser.SUB},
		"unknown type":                &parser.UnaryExpr{Op: parser.SUB, Expr: &parser.DurationExpr{}},
		"unknown unary operator":      &parser.UnaryExpr{Op: parser.MUL, Expr: foo()},
		"unknown binary operator":     &parser.BinaryExpr{Op: parser.SUM, LHS: foo(), RHS: one},
		"needs vectors on both sides": &parser.BinaryExpr{Op: parser.LAND, LHS: foo(), RHS: one},
		"matching rules":              &parser.BinaryExpr{Op: parser.ADD, LHS: foo(), RHS: foo()},
		"unknown cardinality":         &parser.BinaryExpr{Op: parser.ADD, LHS: foo(), RHS: foo(), VectorMatching: &parser.VectorMatching{Card: 7}},
		"cannot match many-to-many":   &parser.BinaryExpr{Op: parser.ADD, LHS: foo(), RHS: foo(), VectorMatching: &parser.VectorMatching{Card: parser.CardManyToMany}},
		"modifier bool":               &parser.BinaryExpr{Op: parser.ADD, LHS: foo(), RHS: one, ReturnBool: true},
		"unknown aggregation":         &parser.AggregateExpr{Op: parser.ADD, Expr: foo()},
		"parameter too many":          &parser.AggregateExpr{Op: parser.SUM, Expr: foo(), Param: one},
		"unknown function":            &parser.Call{Func: &parser.Function{Name: "frobnicate"}},
		"known of it":                 &parser.Call{Func: custom, Args: parser.Expressions{one}},
		"does not take":               &parser.Call{Func: parser.Functions["abs"], Args: parser.Expressions{one}},
		"it needs 1":                  &parser.Call{Func: parser.Functions["abs"]},
		"unknown time":                &parser.VectorSelector{StartOrEnd: parser.STEP},
		"anchored and smoothed":       &parser.VectorSelector{Anchored: true, Smoothed: true},
		"unknown matcher":             &parser.VectorSelector{LabelMatchers: append(foo().LabelMatchers, nil)},
		"already evaluated":           &parser.VectorSelector{Series: []storage.Series{}},
		"only selectors can have":     &parser.MatrixSelector{VectorSelector: one},
		"only vectors can have one":   &parser.SubqueryExpr{Expr: one, Range: 1e9},
		"shorter than 1ms":            &parser.SubqueryExpr{Expr: foo(), Range: 1e9, Step: 1},
	} {
		_, err := Build(&parser.EvalStmt{Expr: e}, BuildOptions{})
		require.ErrorContains(t, err, want)
	}
	_, err := Build(&parser.EvalStmt{Expr: one, Interval: 1}, BuildOptions{})
	require.ErrorContains(t, err, "at least 1ms")
}

func TestBuildLimits(t *testing.T) {
	nested := func(n int) parser.Expr {
		var e parser.Expr = &parser.NumberLiteral{Val: 1}
		for range n - 1 {
			e = &parser.UnaryExpr{Op: parser.SUB, Expr: e}
		}
		return e
	}
	_, err := Build(&parser.EvalStmt{Expr: nested(1_000_000)}, BuildOptions{MaxNodes: 2_000_000})
	require.EqualError(t, err, "expression is nested 1000000 deep, the limit is 10000")
	_, err = Build(&parser.EvalStmt{Expr: nested(11)}, BuildOptions{MaxDepth: 10})
	require.EqualError(t, err, "expression is nested 11 deep, the limit is 10")
	_, err = Build(&parser.EvalStmt{Expr: nested(11)}, BuildOptions{MaxNodes: 10})
	require.EqualError(t, err, "expression has more than 10 nodes, which is the limit")

	p, err := Build(&parser.EvalStmt{Expr: nested(DefaultMaxDepth)}, BuildOptions{})
	require.NoError(t, err)
	require.Less(t, len(p.String()), 200*DefaultMaxDepth)
	for _, o := range DefaultOptimizers() {
		p, _ = o.Optimize(p)
	}
	require.Equal(t, "-1\n", Tree(p.Root))
}
