package difftest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestSimplificationsAreShorterQueries(t *testing.T) {
	sets, p, generate := Datasets(2), Parser(), Grammar(4)
	simplified := 0
	for i := range uint64(500) {
		c := SeededChoices(i)
		d := sets[c.N(len(sets))]
		q := generate(c, d, ChooseTimes(c, d, 30))
		for _, s := range simplifications(q) {
			require.Less(t, len(s), len(q))
			_, err := p.ParseExpr(s)
			if err == nil {
				simplified++
			}
		}
	}
	require.Greater(t, simplified, 1000)
}

func TestShrink(t *testing.T) {
	c := Case{
		Query: `sum by (a, b) (abs(rate(x{a="b", c!="d"}[5m] offset 3m)) * on (a) group_left (z) fill (0) max by (a) (y @ 12)) > bool (scalar(w) + 2)`,
		Times: Times{Start: 0, End: 10_000, Step: 1000},
	}
	shrunk := Shrink(c, func(c Case) bool {
		expr, err := Parser().ParseExpr(c.Query)
		return err == nil && c.Times.Start <= 7000 && c.Times.End >= 7000 && contains(expr, func(n parser.Node) bool {
			call, ok := n.(*parser.Call)
			return ok && call.Func.Name == "rate" && strings.Contains(call.String(), "!=")
		})
	})
	require.Equal(t, `rate(x{c!="d"}[5m])`, shrunk.Query)
	require.Equal(t, Times{Instant: true, Start: 7000, End: 7000}, shrunk.Times)
}
