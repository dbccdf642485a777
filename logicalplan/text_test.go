package logicalplan

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestTextParsesBackToTheSameTree(t *testing.T) {
	for _, q := range queries(t) {
		for _, times := range testTimes[1:4] {
			p, ok := tryBuild(t, q, times)
			if !ok {
				continue
			}
			text := Text(p.Root)
			again, ok := tryBuild(t, text, times)
			require.True(t, ok, "%s\n%s", q, text)
			require.True(t, Equal(p.Root, again.Root), "%s\n%s\n%s\n%s", q, text, p, again)
			require.Equal(t, text, Text(again.Root), q)
		}
	}
}

// A fragment taken out of its place has other hints and is not marked as step-invariant inside
// subqueries or parameters alike, so here the text alone is compared.
func TestTextOfFragmentsParses(t *testing.T) {
	for _, q := range queries(t) {
		p, ok := tryBuild(t, q, testTimes[2])
		if !ok {
			continue
		}
		Walk(p.Root, func(n Node) bool {
			text := Text(n)
			again, ok := tryBuild(t, text, testTimes[2])
			require.True(t, ok, "%s\n%s", q, text)
			require.Equal(t, text, Text(again.Root), q)
			require.Equal(t, n.Type(), again.Root.Type(), text)
			call, _ := n.(*Call)
			return call == nil || call.Info == nil // its second argument is no query
		})
	}
}

// tryBuild is false for what Prometheus' preprocessing or Build refuses.
func tryBuild(t testing.TB, query string, times [3]int64) (*Plan, bool) {
	t.Helper()
	expr, err := testParser.ParseExpr(query)
	require.NoError(t, err, query)
	s := &parser.EvalStmt{
		Start:         time.UnixMilli(times[0]),
		End:           time.UnixMilli(times[1]),
		Interval:      time.Duration(times[2]) * time.Millisecond,
		LookbackDelta: 5 * time.Minute,
	}
	if s.Expr, err = promql.PreprocessExpr(expr, s.Start, s.End, s.Interval); err != nil {
		return nil, false
	}
	p, err := Build(s, BuildOptions{NoStepSubqueryInterval: noStepInterval})
	return p, err == nil
}

func TestText(t *testing.T) {
	for query, want := range map[string]string{
		"-(1)":                        "-(1)",
		"(-5)^2":                      "(-5) ^ 2",
		"2^3^2":                       "2 ^ 3 ^ 2",
		"(2^3)^2":                     "(2 ^ 3) ^ 2",
		"a-(b-c)":                     "a - (b - c)",
		"a-b-c":                       "a - b - c",
		"sum by () (a)":               "sum by () (a)",
		"foo offset 5m-3":             "(foo offset 5m) - 3",
		`{"sum"}`:                     `{__name__="sum"}`,
		`foo{"a b"!~"\\."}`:           `foo{"a b"!~"\\."}`,
		"a + ignoring() group_left b": "a + ignoring () group_left () b",
		"a + on(x) group_right(y) fill_right(NaN) b": "a + on (x) group_right (y) fill_right (NaN) b",
		"rate(a[5m] @ start() offset -1m)":           "rate(a[5m] @ 600 offset -1m)",
		"(a @ end())[10m:step()]":                    "(a @ 1200)[10m:15s]",
	} {
		require.Equal(t, want, Text(build(t, query, 600_000, 1_200_000, 15_000).Root), query)
	}
}
