package logicalplan

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

var testParser = parser.NewParser(parser.Options{EnableExperimentalFunctions: true, EnableBinopFillModifiers: true})

// statement is a query as Build expects it: preprocessed, from start to end (ms).
func statement(t testing.TB, query string, start, end, interval int64) *parser.EvalStmt {
	t.Helper()
	expr, err := testParser.ParseExpr(query)
	require.NoError(t, err, query)
	return preprocessed(t, expr, start, end, interval)
}

func preprocessed(t testing.TB, expr parser.Expr, start, end, interval int64) *parser.EvalStmt {
	t.Helper()
	s := &parser.EvalStmt{
		Start:         time.UnixMilli(start),
		End:           time.UnixMilli(end),
		Interval:      time.Duration(interval) * time.Millisecond,
		LookbackDelta: 5 * time.Minute,
	}
	var err error
	s.Expr, err = promql.PreprocessExpr(expr, s.Start, s.End, s.Interval)
	require.NoError(t, err)
	return s
}

func build(t testing.TB, query string, start, end, interval int64) *Plan {
	t.Helper()
	p, err := Build(statement(t, query, start, end, interval), BuildOptions{})
	require.NoError(t, err, query)
	return p
}
