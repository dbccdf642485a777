package difftest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// aggregation returns an aggregation of one expression.
func (g *grammar) aggregation(depth int, w want) string {
	op := Pick(g.Choices, "sum", "sum", "avg", "avg", "min", "max", "count", "group", "stddev", "stdvar",
		"topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio")
	if w == wantHistogram && g.Chance(80) {
		op = Pick(g.Choices, "sum", "sum", "avg", "avg", "limitk", "limit_ratio", "count", "group")
	}
	v := g.vector(depth, w)
	param := ""
	switch op {
	case "topk", "bottomk", "limitk":
		param = g.small(depth-1) + ", "
	case "quantile":
		param = g.fraction(depth-1) + ", "
	case "limit_ratio":
		param = Pick(g.Choices, "0.5", "-0.5", "0.8", "1", "-1", "0.1", "1.5", g.fraction(depth-1)) + ", "
	case "count_values":
		param = Pick(g.Choices, `"value"`, `"value"`, `"id"`, `"le"`, `"温"`, `"__name__"`, strconv.Quote(g.anyLabel())) + ", "
	}
	grouping := g.grouping()
	switch {
	case grouping == "":
		return fmt.Sprintf("%s(%s%s)", op, param, v)
	case g.Chance(50):
		return fmt.Sprintf("%s %s (%s%s)", op, grouping, param, v)
	default:
		return fmt.Sprintf("%s(%s%s) %s", op, param, v, grouping)
	}
}

func (g *grammar) grouping() string {
	if g.Chance(30) {
		return ""
	}
	return Pick(g.Choices, "by", "by", "without") + " " + list(g.someLabels())
}

// someLabels returns a few labels of the metric chosen last.
func (g *grammar) someLabels() []string {
	if g.last == nil || len(g.last.labels) == 0 || g.Chance(5) {
		return Pick(g.Choices, nil, []string{"missing"}, []string{"__name__"})
	}
	out := []string{g.last.labels[g.N(len(g.last.labels))]}
	if l := g.last.labels[g.N(len(g.last.labels))]; l != out[0] && g.Chance(50) {
		out = append(out, l)
	}
	slices.Sort(out)
	return out
}

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = label(n)
	}
	return "(" + strings.Join(quoted, ", ") + ")"
}
