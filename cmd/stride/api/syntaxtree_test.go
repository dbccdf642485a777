package api

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"
)

func TestFormatQuery(t *testing.T) {
	mux := newMux(Options{})
	require.Equal(t, success(`"foo + bar"`), get(mux, "format_query", values(t, "query", "foo+bar")).Body.String())
	require.Equal(t, success(`"foo \u003c bar"`), post(mux, "format_query", values(t, "query", "foo<bar")).Body.String())
	w := get(mux, "format_query", values(t, "query", "invalid_expression/"))
	require.Equal(t, 400, w.Code)
	require.Equal(t, failure(errorBadData, `invalid parameter "query": 1:20: parse error: unexpected end of input`), w.Body.String())
}

func TestParseQuery(t *testing.T) {
	mux := newMux(Options{})
	foo := func(typ, more string) string {
		return `{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"foo"}],"name":"foo","offset":0,"offsetExpr":null,` + more +
			`"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"` + typ + `"}`
	}
	for expr, want := range map[string]string{
		`foo`:                             foo("vectorSelector", ""),
		`(1)`:                             `{"expr":{"type":"numberLiteral","val":"1"},"type":"parenExpr"}`,
		`-"x"`:                            "",
		`"x"`:                             `{"type":"stringLiteral","val":"x"}`,
		`-foo`:                            `{"expr":` + foo("vectorSelector", "") + `,"op":"-","type":"unaryExpr"}`,
		`rate(foo[5m])`:                   `{"args":[` + foo("matrixSelector", `"range":300000,"rangeExpr":null,`) + `],"func":{"argTypes":["matrix"],"name":"rate","returnType":"vector","variadic":0},"type":"call"}`,
		`foo[5m:1m]`:                      `{"expr":` + foo("vectorSelector", "") + `,"offset":0,"offsetExpr":null,"range":300000,"rangeExpr":null,"startOrEnd":null,"step":60000,"stepExpr":null,"timestamp":null,"type":"subquery"}`,
		`topk by (a) (2, foo)`:            `{"expr":` + foo("vectorSelector", "") + `,"grouping":["a"],"op":"topk","param":{"type":"numberLiteral","val":"2"},"type":"aggregation","without":false}`,
		`sum(foo)`:                        `{"expr":` + foo("vectorSelector", "") + `,"grouping":[],"op":"sum","param":null,"type":"aggregation","without":false}`,
		`1 > bool 2`:                      `{"bool":true,"lhs":{"type":"numberLiteral","val":"1"},"matching":null,"op":"\u003e","rhs":{"type":"numberLiteral","val":"2"},"type":"binaryExpr"}`,
		`foo * on (a) group_left (b) foo`: `{"bool":false,"lhs":` + foo("vectorSelector", "") + `,"matching":{"card":"many-to-one","fillValues":{"lhs":null,"rhs":null},"include":["b"],"labels":["a"],"on":true},"op":"*","rhs":` + foo("vectorSelector", "") + `,"type":"binaryExpr"}`,
		`foo @ end() offset -1m`:          `{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"foo"}],"name":"foo","offset":-60000,"offsetExpr":null,"smoothed":false,"startOrEnd":"end","timestamp":null,"type":"vectorSelector"}`,
	} {
		w := get(mux, "parse_query", values(t, "query", expr))
		if want == "" {
			require.Equal(t, 400, w.Code, expr)
			continue
		}
		require.Equal(t, success(want), w.Body.String(), expr)
	}
}

func TestDurationTree(t *testing.T) {
	number := func(val string, duration bool) node {
		return node{"type": "numberLiteral", "val": val, "duration": duration}
	}
	expression := func(op string, lhs, rhs any, wrapped bool) node {
		return node{"type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": wrapped}
	}
	for expr, want := range map[string]node{
		`foo[5m+1m] offset (10m/2)`:     {"rangeExpr": expression("+", number("300", true), number("60", true), false), "offsetExpr": expression("/", number("600", true), number("2", false), true)},
		`foo[max_of(step(),5m+3m)]`:     {"rangeExpr": expression("max_of", expression("step", nil, nil, false), expression("+", number("300", true), number("180", true), false), false)},
		`foo[range()]`:                  {"rangeExpr": expression("range", nil, nil, false)},
		`foo[4s+4s:1s*2] offset (5s-8)`: {"stepExpr": expression("*", number("1", true), number("2", false), false), "range": int64(0)},
		`foo offset -step()`:            {"offsetExpr": expression("-", nil, expression("step", nil, nil, false), false)},
	} {
		e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
		require.NoError(t, err, expr)
		got := syntaxTree(e).(node)
		for field, w := range want {
			require.Equal(t, w, got[field], "%s: %s", expr, field)
		}
	}
}

// Every expression of Prometheus' test suite has a tree.
func TestSyntaxTreeOfEverything(t *testing.T) {
	exprs, err := promqltest.GetBuiltInExprs()
	require.NoError(t, err)
	p := parser.NewParser(parser.Options{EnableExperimentalFunctions: true, EnableBinopFillModifiers: true})
	seen := 0
	for _, expr := range exprs {
		e, err := p.ParseExpr(expr)
		if err != nil {
			continue
		}
		if _, err = encodable(syntaxTree(e)); strings.Contains(expr, "fill(NaN)") || strings.Contains(expr, "Inf)") {
			continue // for which there is no JSON, in Prometheus either
		}
		require.NoError(t, err, expr)
		seen++
	}
	require.Greater(t, seen, 500)
}
