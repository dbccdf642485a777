package binary

import (
	"math/rand"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

// Histograms with an invalid layout fail the query, but only if their trouble is the last of the step.
func TestInvalidLayoutAgainstPrometheus(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	outcomes := map[string]int{}
	for range 2000 {
		p := profile{steps: 1 + rng.Intn(5), series: 1 + rng.Intn(4), histograms: 0.9, invalid: true, distinct: rng.Intn(4) > 0, constant: true}
		a := randomRows(rng, "a", p)
		p.invalid = false
		b := randomRows(rng, "b", p)
		query := selectA + pick(rng, " + ", " - ") + pick(rng, "", "on (x, y) ", "on (x, y) group_left () ", "ignoring (z) fill_left (1) ") + selectB
		o := scenario{
			query: query, data: append(memory(a), b...), steps: p.steps, instant: p.steps == 1, delayed: rng.Intn(2) == 0,
			build: func(rng *rand.Rand, q *operators.Query, e *parser.BinaryExpr, grid operators.Grid) (operators.Operator, []*relation) {
				l, r := newRelation(rng, a, false), newRelation(rng, b, false)
				return NewVectorVector(q, e.Op, l.schema, r.schema, e.VectorMatching, e.ReturnBool, grid, grid.Steps > 1, e.PositionRange()), []*relation{l, r}
			},
		}.check(t, rng)
		count(outcomes, o)
	}
	t.Log(outcomes)
	require.NotZero(t, outcomes["histogram"])
	require.NotZero(t, outcomes["samples"])
}
