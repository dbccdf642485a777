package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestCaret(t *testing.T) {
	for _, tc := range []struct {
		expr string
		pos  int
		want string
	}{
		{"up", 0, "  up\n  ^\n"},
		{"up", 2, "  up\n    ^\n"},
		{"up", 99, "  up\n    ^\n"},
		{"up", -1, ""},
		{"", 0, ""},
		{"sum(\n\tup +\n)", 9, "  \tup +\n  \t   ^\n"},
		{"a\r\nb", 3, "  b\n  ^\n"},
		{`{a="üü"} x`, 11, "  {a=\"üü\"} x\n           ^\n"},
	} {
		require.Equal(t, tc.want, caret(tc.expr, tc.pos), "%q at %d", tc.expr, tc.pos)
	}
}

func TestExpressionError(t *testing.T) {
	const expr = "sum(rate(x[5m))"
	_, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	require.Error(t, err)
	var b strings.Builder
	require.Equal(t, exitExpression, report(&b, expressionError(expr, err)))
	require.Equal(t, "stride: "+err.Error()+"\n  "+expr+"\n               ^\n", b.String())

	b.Reset()
	require.Equal(t, exitExpression, report(&b, expressionError(expr, errors.New("too deep"))))
	require.Equal(t, "stride: too deep\n", b.String())
}

func TestReadExpression(t *testing.T) {
	got, err := readExpression(fromStdin, strings.NewReader("sum(\n up\n)\r\n\n"))
	require.NoError(t, err)
	require.Equal(t, "sum(\n up\n)", got)
	got, err = readExpression("-up", strings.NewReader("down"))
	require.NoError(t, err)
	require.Equal(t, "-up", got)
}
