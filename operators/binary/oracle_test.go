package binary

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	selectA = `{__name__=~"a.*"}`
	selectB = `{__name__=~"b.*"}`
)

// scenario is one query over one set of data.
type scenario struct {
	query   string
	data    []operatortest.Series
	inputs  []operatortest.Input
	steps   int
	instant bool
	delayed bool
	// build makes the operator from the query's expression and the schemas of the inputs.
	build func(q *operators.Query, e *parser.BinaryExpr, in []*operators.Schema, grid operators.Grid) operators.Operator
	// merges says that rows of the result with equal labels are left to be merged.
	merges bool
	// unordered says that Prometheus takes the operands' series in the random order of a map, so
	// that which of several duplicates it names is left to chance.
	unordered bool
}

// outcome is what became of a scenario, to see that tests reach what they are for.
type outcome struct {
	err         string
	samples     int
	annotations int
}

func (sc scenario) check(t *testing.T, rng *rand.Rand) outcome {
	t.Helper()
	expr, err := operatortest.Parser.ParseExpr(sc.query)
	require.NoError(t, err, sc.query)
	msg := fmt.Sprintf("%s instant=%v delayed=%v steps=%d\n%v", sc.query, sc.instant, sc.delayed, sc.steps, sc.data)
	grid := operatortest.Grid(sc.steps)
	got, err := operatortest.Check(func(q *operators.Query, in []*operators.Schema) operators.Operator {
		return sc.build(q, expr.(*parser.BinaryExpr), in, grid)
	}, operatortest.Options{
		Steps: sc.steps, Seed: rng.Uint64(), Shapes: 2,
		Setup: func(q *operators.Query) { q.DelayedNameRemoval = sc.delayed },
	}, sc.inputs...)
	require.NoError(t, err, msg)
	if got.Err == nil {
		got.Series, got.Err = sc.settle(t, got.Series)
	}

	want := operatortest.Prometheus(t, sc.data, operatortest.Query{Text: sc.query, Grid: grid, Instant: sc.instant, Delayed: sc.delayed})
	if want.Err != nil {
		require.Error(t, got.Err, "want %v\n%s", want.Err, msg)
		if sc.unordered && strings.HasPrefix(want.Err.Error(), "found duplicate") {
			require.ErrorContains(t, got.Err, "found duplicate", msg)
		} else {
			require.Equal(t, want.Err.Error(), got.Err.Error(), msg)
		}
		return outcome{err: want.Err.Error()}
	}
	require.NoError(t, got.Err, msg)
	require.NoError(t, operatortest.Equal(want.Series, got.Series, sc.instant), msg)
	require.Equal(t, want.Strings(sc.query), got.Strings(sc.query), msg)
	return outcome{samples: want.Samples(), annotations: len(want.Annotations)}
}

// settle does to the rows what the rest of a plan would: rows with equal labels are merged, and the
// metadata labels go that delayed name removal has left.
func (sc scenario) settle(t *testing.T, rows []operatortest.Series) (_ []operatortest.Series, err error) {
	switch {
	case sc.steps == 1 && sc.delayed:
	case sc.merges:
		if rows, err = operatortest.Merge(rows); err != nil {
			return nil, err
		}
	default:
		seen := map[string]bool{}
		for _, r := range rows {
			require.False(t, seen[r.Labels.String()], "two rows %s for %s", r.Labels, sc.query)
			seen[r.Labels.String()] = true
		}
	}
	if !sc.delayed {
		return rows, nil
	}
	return operatortest.DropNames(rows)
}

func randomSteps(rng *rand.Rand) int {
	switch rng.Intn(8) {
	case 0:
		return 1
	case 1:
		return 60 + rng.Intn(80)
	default:
		return 2 + rng.Intn(12)
	}
}

func pick(rng *rand.Rand, of ...string) string { return of[rng.Intn(len(of))] }

// operand is a side of an operation: the rows that selector gets or, under delayed name removal now and then, what
// floor() makes of them, with the labels kept until the end.
func operand(rng *rand.Rand, selector string, rows []operatortest.Series, delayed bool) (text string, in operatortest.Input, drop bool) {
	if !delayed || rng.Intn(3) > 0 {
		return selector, operatortest.Input{Series: rows}, false
	}
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].DropName = true
		rows[i].Samples = slices.Clone(rows[i].Samples)
		for k, x := range rows[i].Samples {
			if x.H != nil {
				rows[i].Samples[k] = operatortest.Sample{}
			} else {
				rows[i].Samples[k].F = math.Floor(x.F)
			}
		}
	}
	return "floor(" + selector + ")", operatortest.Input{Series: rows}, true
}

var elementwiseOps = []string{"+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "</", ">/"}

func isComparison(op string) bool {
	return slices.Contains([]string{"==", "!=", ">", "<", ">=", "<="}, op)
}

func randomProfile(rng *rand.Rand, steps int) profile {
	return profile{
		steps:      steps,
		series:     1 + rng.Intn(7),
		histograms: []float64{0, 0, 0.2, 0.7}[rng.Intn(4)],
		invalid:    rng.Intn(12) == 0,
		distinct:   rng.Intn(2) == 0,
		constant:   rng.Intn(4) == 0,
	}
}

func TestVectorVectorAgainstPrometheus(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	outcomes := map[string]int{}
	for range operatortest.Rounds(2500) {
		op := elementwiseOps[rng.Intn(len(elementwiseOps))]
		returnBool := isComparison(op) && rng.Intn(2) == 0
		text := op
		if returnBool {
			text += " bool"
		}
		text += pick(rng, "", " on (x)", " on (x, y)", " on (y, x)", " on ()", " ignoring (z)", " ignoring (y, z)", " ignoring (x)",
			" on (__name__)", " on (__name__, x)", " on (z)", " ignoring (__name__, z)", " ignoring (z)", " on (x, y)")
		if strings.Contains(text, "(") {
			include := pick(rng, "", "", " (z)", " (y)", " (__name__)", " (nope)", " (y, z)", " (__type__)")
			text += pick(rng, "", "", " group_left"+include, " group_right"+include)
		}
		text += pick(rng, "", "", "", " fill (0)", " fill_left (3)", " fill_right (2)", " fill_left (1) fill_right (5)")
		steps := randomSteps(rng)
		instant := rng.Intn(4) == 0
		if instant {
			steps = 1
		}
		delayed := rng.Intn(2) == 0
		p := randomProfile(rng, steps)
		a := randomRows(rng, "a", p)
		p.invalid = false
		b := randomRows(rng, "b", p)
		left, inA, dropA := operand(rng, selectA, a, delayed)
		right, inB, dropB := operand(rng, selectB, b, delayed)
		query := left + " " + text + " " + right
		if _, err := operatortest.Parser.ParseExpr(query); err != nil {
			outcomes["not parsed"]++
			continue
		}
		o := scenario{
			query: query, data: append(slices.Clone(a), b...), inputs: []operatortest.Input{inA, inB}, steps: steps, instant: instant, delayed: delayed,
			unordered: !instant && (dropA || dropB),
			build: func(q *operators.Query, e *parser.BinaryExpr, in []*operators.Schema, grid operators.Grid) operators.Operator {
				return NewVectorVector(q, e.Op, in[0], in[1], e.VectorMatching, e.ReturnBool, grid, grid.Steps > 1, e.PositionRange())
			},
		}.check(t, rng)
		count(outcomes, o)
	}
	t.Log(outcomes)
	for _, kind := range []string{"samples", "annotations", "found duplicate", "multiple matches for labels: many", "multiple matches for labels: grouping", "vector cannot contain"} {
		require.NotZero(t, outcomes[kind], kind)
	}
}

// count files an outcome under what it shows.
func count(outcomes map[string]int, o outcome) {
	switch {
	case o.err == "":
	case strings.HasPrefix(o.err, "found duplicate"):
		outcomes["found duplicate"]++
	case strings.HasPrefix(o.err, errManyToOne.Error()):
		outcomes["multiple matches for labels: many"]++
	case strings.HasPrefix(o.err, errGrouping.Error()):
		outcomes["multiple matches for labels: grouping"]++
	case strings.HasPrefix(o.err, "vector cannot contain"):
		outcomes["vector cannot contain"]++
	case strings.Contains(o.err, "histogram"):
		outcomes["histogram"]++
	default:
		outcomes["other error: "+o.err]++
	}
	if o.samples > 0 {
		outcomes["samples"]++
	}
	if o.annotations > 0 {
		outcomes["annotations"]++
	}
}

func TestSetOperationsAgainstPrometheus(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	outcomes := map[string]int{}
	for range operatortest.Rounds(1000) {
		text := pick(rng, "and", "or", "unless") + pick(rng, "", " on (x)", " on (x, y)", " on ()", " ignoring (z)", " ignoring (y, z)", " on (__name__)", " ignoring (__name__)")
		steps := randomSteps(rng)
		instant := rng.Intn(4) == 0
		if instant {
			steps = 1
		}
		delayed := rng.Intn(2) == 0
		p := randomProfile(rng, steps)
		a, b := randomRows(rng, "a", p), randomRows(rng, "b", p)
		left, inA, _ := operand(rng, selectA, a, delayed)
		right, inB, _ := operand(rng, selectB, b, delayed)
		o := scenario{
			query: left + " " + text + " " + right, data: append(slices.Clone(a), b...), inputs: []operatortest.Input{inA, inB}, steps: steps, instant: instant, delayed: delayed, merges: true,
			build: func(q *operators.Query, e *parser.BinaryExpr, in []*operators.Schema, grid operators.Grid) operators.Operator {
				if e.Op == parser.LOR {
					return NewOr(q, in[0], in[1], e.VectorMatching, grid)
				}
				return NewSetFilter(q, e.Op, in[0], in[1], e.VectorMatching)
			},
		}.check(t, rng)
		count(outcomes, o)
	}
	t.Log(outcomes)
	require.NotZero(t, outcomes["samples"])
}

// randomScalar is a scalar operand: its text and, unless it is a constant, an input.
func randomScalar(rng *rand.Rand, steps int) (text string, constant float64, in *operatortest.Input) {
	if rng.Intn(2) == 0 {
		c := float64(rng.Intn(5) - 1)
		return fmt.Sprintf("(%v)", c), c, nil
	}
	var values []float64
	for i := range steps {
		values = append(values, math.Mod(float64(i)+1, 4))
	}
	folded := operatortest.Scalar(values...)
	return "((time() / 60 + 1) % 4)", 0, &folded
}

// scalarOf is the operand of a call of randomScalar, for one operator.
func scalarOf(constant float64, in *operatortest.Input) *operators.Scalar {
	if in != nil {
		return operators.FoldedScalar()
	}
	return operators.ConstantScalar(constant)
}

func TestVectorScalarAgainstPrometheus(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	outcomes := map[string]int{}
	for range operatortest.Rounds(1000) {
		op := elementwiseOps[rng.Intn(len(elementwiseOps))]
		text := op
		if isComparison(op) && rng.Intn(2) == 0 {
			text += " bool"
		}
		steps := randomSteps(rng)
		instant := rng.Intn(4) == 0
		if instant {
			steps = 1
		}
		delayed := rng.Intn(2) == 0
		p := randomProfile(rng, steps)
		p.invalid = false
		if rng.Intn(3) == 0 {
			p.series = 100
		}
		a := randomRows(rng, "a", p)
		scalarText, constant, folded := randomScalar(rng, steps)
		onLeft := rng.Intn(2) == 0
		vector, in, _ := operand(rng, selectA, a, delayed)
		inputs := []operatortest.Input{in}
		if folded != nil {
			inputs = append(inputs, *folded)
		}
		query := vector + " " + text + " " + scalarText
		if onLeft {
			query = scalarText + " " + text + " " + vector
		}
		o := scenario{
			query: query, data: a, inputs: inputs, steps: steps, instant: instant, delayed: delayed, merges: true,
			build: func(q *operators.Query, e *parser.BinaryExpr, in []*operators.Schema, _ operators.Grid) operators.Operator {
				return NewVectorScalar(q, e.Op, in[0], scalarOf(constant, folded), onLeft, e.ReturnBool, e.PositionRange())
			},
		}.check(t, rng)
		count(outcomes, o)
	}
	t.Log(outcomes)
	require.NotZero(t, outcomes["samples"])
	require.NotZero(t, outcomes["annotations"])
}

func TestScalarScalarAgainstPrometheus(t *testing.T) {
	rng := rand.New(rand.NewSource(4))
	for range operatortest.Rounds(300) {
		op := elementwiseOps[rng.Intn(len(elementwiseOps))]
		text := op
		if isComparison(op) {
			text += " bool"
		}
		steps := randomSteps(rng)
		l, lhs, foldedL := randomScalar(rng, steps)
		r, rhs, foldedR := randomScalar(rng, steps)
		var inputs []operatortest.Input
		for _, in := range []*operatortest.Input{foldedL, foldedR} {
			if in != nil {
				inputs = append(inputs, *in)
			}
		}
		scenario{
			query: l + " " + text + " " + r, inputs: inputs, steps: steps, instant: steps == 1,
			build: func(q *operators.Query, e *parser.BinaryExpr, _ []*operators.Schema, grid operators.Grid) operators.Operator {
				return NewScalarScalar(q, e.Op, scalarOf(lhs, foldedL), scalarOf(rhs, foldedR), grid)
			},
		}.check(t, rng)
	}
}
