package binary

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

// Histograms with an invalid layout fail the query, but only if their trouble is the last of the step.
func TestInvalidLayoutAgainstPrometheus(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	outcomes := map[string]int{}
	for range operatortest.Rounds(800) {
		p := profile{steps: 1 + rng.Intn(5), series: 1 + rng.Intn(4), histograms: 0.9, invalid: true, distinct: rng.Intn(4) > 0, constant: true}
		a := randomRows(rng, "a", p)
		p.invalid = false
		b := randomRows(rng, "b", p)
		query := selectA + pick(rng, " + ", " - ") + pick(rng, "", "on (x, y) ", "on (x, y) group_left () ", "ignoring (z) fill_left (1) ") + selectB
		o := scenario{
			query: query, data: append(slices.Clone(a), b...), inputs: []operatortest.Input{{Series: a}, {Series: b}}, steps: p.steps, instant: p.steps == 1, delayed: rng.Intn(2) == 0,
			build: func(q *operators.Query, e *parser.BinaryExpr, in []*operators.Schema, grid operators.Grid) operators.Operator {
				return NewVectorVector(q, e.Op, in[0], in[1], e.VectorMatching, e.ReturnBool, grid, grid.Steps > 1, e.PositionRange())
			},
		}.check(t, rng)
		count(outcomes, o)
	}
	t.Log(outcomes)
	require.NotZero(t, outcomes["histogram"])
	require.NotZero(t, outcomes["samples"])
}
