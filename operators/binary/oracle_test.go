package binary

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

const (
	selectA = `{__name__=~"a.*"}`
	selectB = `{__name__=~"b.*"}`
)

// scenario is one query over one set of data.
type scenario struct {
	query   string
	data    memory
	steps   int
	instant bool
	delayed bool
	// build makes the operator and its inputs from the query's expression.
	build func(rng *rand.Rand, q *operators.Query, e *parser.BinaryExpr, grid operators.Grid) (operators.Operator, []*relation)
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
	expr, err := promqlParser.ParseExpr(sc.query)
	require.NoError(t, err, sc.query)
	q := &operators.Query{Workers: 3, MorselRows: rng.Intn(4), DelayedNameRemoval: sc.delayed}
	grid := operators.NewGrid(0, int64(sc.steps-1)*interval, interval)
	copies := copyHistograms(sc.data)

	op, inputs := sc.build(rng, q, expr.(*parser.BinaryExpr), grid)
	require.NotEmpty(t, op.Describe())
	d := &driver{t: t, rng: rng, op: op, inputs: inputs, grid: grid, parallel: rng.Intn(4) == 0}
	for id := range q.Workers {
		d.worker = append(d.worker, &operators.Worker{ID: id, Poison: true})
	}
	rows, err := d.run()
	op.Close()
	requireReleased(t, q, sc.query)
	if err == nil {
		for i := range rows {
			rows[i].labels = op.Schema().Labels(i)
		}
		rows, err = sc.settle(t, op.Schema(), rows)
	}
	requireUnchanged(t, copies, sc.data)

	want := oracle(t, sc.query, sc.data, sc.steps, sc.instant, sc.delayed)
	msg := fmt.Sprintf("%s instant=%v delayed=%v steps=%d\n%v", sc.query, sc.instant, sc.delayed, sc.steps, dump(sc.data))
	if want.Err != nil {
		require.Error(t, err, "want %v\n%s", want.Err, msg)
		if sc.unordered && strings.HasPrefix(want.Err.Error(), "found duplicate") {
			require.ErrorContains(t, err, "found duplicate", msg)
		} else {
			require.Equal(t, want.Err.Error(), err.Error(), msg)
		}
		return outcome{err: want.Err.Error()}
	}
	require.NoError(t, err, msg)
	requireSameMatrix(t, want.Value.(promql.Matrix), matrix(rows, sc.instant), msg)
	wantWarnings, wantInfos := want.Warnings.AsStrings(sc.query, 0, 0)
	gotWarnings, gotInfos := q.Annotations().AsStrings(sc.query, 0, 0)
	require.ElementsMatch(t, wantWarnings, gotWarnings, msg)
	require.ElementsMatch(t, wantInfos, gotInfos, msg)
	return outcome{samples: want.Value.(promql.Matrix).TotalSamples(), annotations: len(want.Warnings)}
}

// settle does to the rows what the rest of a plan would: rows with equal labels are merged, and the
// metadata labels go that delayed name removal has left.
func (sc scenario) settle(t *testing.T, s *operators.Schema, rows []row) (_ []row, err error) {
	drop := map[string]bool{}
	for i := range rows {
		drop[rows[i].labels.String()] = s.DropName(i)
	}
	switch {
	case sc.steps == 1 && sc.delayed:
	case sc.merges:
		if rows, err = mergeEqual(rows); err != nil {
			return nil, err
		}
	default:
		seen := map[string]bool{}
		for _, r := range rows {
			require.False(t, seen[r.labels.String()], "two rows %s for %s", r.labels, sc.query)
			seen[r.labels.String()] = true
		}
	}
	if !sc.delayed {
		return rows, nil
	}
	for i := range rows {
		if drop[rows[i].labels.String()] {
			rows[i].labels = dropMetadata(rows[i].labels)
		}
	}
	return mergeEqual(rows)
}

// requireReleased tells whether an operator has given back all that it accounted for.
func requireReleased(t *testing.T, q *operators.Query, msg string) {
	q.MaxSamples, q.MemoryBudget = 1, 1
	require.NoError(t, q.Hold(1), msg)
	require.Error(t, q.Hold(1), msg)
	require.NoError(t, q.Grow(1), msg)
	require.Error(t, q.Grow(1), msg)
}

func copyHistograms(data memory) map[*histogram.FloatHistogram]*histogram.FloatHistogram {
	copies := map[*histogram.FloatHistogram]*histogram.FloatHistogram{}
	for _, r := range data {
		for _, v := range r.values {
			if v.h != nil {
				copies[v.h] = v.h.Copy()
			}
		}
	}
	return copies
}

func requireUnchanged(t *testing.T, copies map[*histogram.FloatHistogram]*histogram.FloatHistogram, data memory) {
	for h, c := range copies {
		require.Equal(t, c.String(), h.String(), "an input histogram was written to")
		require.Equal(t, c.CounterResetHint, h.CounterResetHint)
	}
}

func dump(data memory) string {
	var s strings.Builder
	for _, r := range data {
		fmt.Fprintf(&s, "%s ", r.labels)
		for _, v := range r.values {
			switch {
			case !v.present:
				s.WriteString(" _")
			case v.h != nil:
				fmt.Fprintf(&s, " H%d", v.h.Schema)
			default:
				fmt.Fprintf(&s, " %v", v.f)
			}
		}
		s.WriteString("\n")
	}
	return s.String()
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

// floored is what floor() makes of an operand under delayed name removal; its rows keep their labels.
func floored(rows []row) []row {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].values = slices.Clone(rows[i].values)
		for k, v := range rows[i].values {
			if v.h != nil {
				rows[i].values[k] = value{}
			} else if v.present {
				rows[i].values[k].f = math.Floor(v.f)
			}
		}
	}
	return rows
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
	n := 8000
	if testing.Short() {
		n = 2000
	}
	for range n {
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
		left, right := selectA, selectB
		inA, inB := a, b
		var dropA, dropB bool
		if delayed && rng.Intn(3) == 0 {
			left, inA, dropA = "floor("+selectA+")", floored(a), true
		}
		if delayed && rng.Intn(3) == 0 {
			right, inB, dropB = "floor("+selectB+")", floored(b), true
		}
		query := left + " " + text + " " + right
		if _, err := promqlParser.ParseExpr(query); err != nil {
			outcomes["not parsed"]++
			continue
		}
		o := scenario{
			query: query, data: append(slices.Clone(memory(a)), b...), steps: steps, instant: instant, delayed: delayed,
			unordered: !instant && (dropA || dropB),
			build: func(rng *rand.Rand, q *operators.Query, e *parser.BinaryExpr, grid operators.Grid) (operators.Operator, []*relation) {
				l, r := newRelation(rng, inA, dropA), newRelation(rng, inB, dropB)
				return NewVectorVector(q, e.Op, l.schema, r.schema, e.VectorMatching, e.ReturnBool, grid, grid.Steps > 1, e.PositionRange()), []*relation{l, r}
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
	for range 3000 {
		text := pick(rng, "and", "or", "unless") + pick(rng, "", " on (x)", " on (x, y)", " on ()", " ignoring (z)", " ignoring (y, z)", " on (__name__)", " ignoring (__name__)")
		steps := randomSteps(rng)
		instant := rng.Intn(4) == 0
		if instant {
			steps = 1
		}
		delayed := rng.Intn(2) == 0
		p := randomProfile(rng, steps)
		a, b := randomRows(rng, "a", p), randomRows(rng, "b", p)
		left, right := selectA, selectB
		inA, inB := a, b
		var dropA, dropB bool
		if delayed && rng.Intn(3) == 0 {
			left, inA, dropA = "floor("+selectA+")", floored(a), true
		}
		if delayed && rng.Intn(3) == 0 {
			right, inB, dropB = "floor("+selectB+")", floored(b), true
		}
		o := scenario{
			query: left + " " + text + " " + right, data: append(slices.Clone(memory(a)), b...), steps: steps, instant: instant, delayed: delayed, merges: true,
			build: func(rng *rand.Rand, q *operators.Query, e *parser.BinaryExpr, grid operators.Grid) (operators.Operator, []*relation) {
				l, r := newRelation(rng, inA, dropA), newRelation(rng, inB, dropB)
				if e.Op == parser.LOR {
					return NewOr(q, l.schema, r.schema, e.VectorMatching, grid), []*relation{l, r}
				}
				return NewSetFilter(q, e.Op, l.schema, r.schema, e.VectorMatching), []*relation{l, r}
			},
		}.check(t, rng)
		count(outcomes, o)
	}
	t.Log(outcomes)
	require.NotZero(t, outcomes["samples"])
}

// randomScalar is a scalar operand: its text and, unless it is a constant, its row.
func randomScalar(rng *rand.Rand, steps int) (text string, s *operators.Scalar, values []value) {
	if rng.Intn(2) == 0 {
		c := float64(rng.Intn(5) - 1)
		return fmt.Sprintf("(%v)", c), operators.ConstantScalar(c), nil
	}
	for i := range steps {
		values = append(values, value{present: true, f: math.Mod(float64(i)+1, 4)})
	}
	return "((time() / 60 + 1) % 4)", operators.FoldedScalar(), values
}

func TestVectorScalarAgainstPrometheus(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	outcomes := map[string]int{}
	for range 3000 {
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
		scalarText, scalar, values := randomScalar(rng, steps)
		onLeft := rng.Intn(2) == 0
		vector, in, drop := selectA, a, false
		if delayed && rng.Intn(3) == 0 {
			vector, in, drop = "floor("+selectA+")", floored(a), true
		}
		query := vector + " " + text + " " + scalarText
		if onLeft {
			query = scalarText + " " + text + " " + vector
		}
		o := scenario{
			query: query, data: a, steps: steps, instant: instant, delayed: delayed, merges: true,
			build: func(rng *rand.Rand, q *operators.Query, e *parser.BinaryExpr, _ operators.Grid) (operators.Operator, []*relation) {
				inputs := []*relation{newRelation(rng, in, drop)}
				v := NewVectorScalar(q, e.Op, inputs[0].schema, scalar, onLeft, e.ReturnBool, e.PositionRange())
				if values != nil {
					require.Equal(t, 1, v.ScalarInput())
					inputs = append(inputs, newRelation(rng, []row{{values: values}}, false))
				} else {
					require.Equal(t, -1, v.ScalarInput())
				}
				return v, inputs
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
	for range 300 {
		op := elementwiseOps[rng.Intn(len(elementwiseOps))]
		text := op
		if isComparison(op) {
			text += " bool"
		}
		steps := randomSteps(rng)
		l, lhs, lv := randomScalar(rng, steps)
		r, rhs, rv := randomScalar(rng, steps)
		scenario{
			query: l + " " + text + " " + r, steps: steps, instant: steps == 1,
			build: func(rng *rand.Rand, q *operators.Query, e *parser.BinaryExpr, grid operators.Grid) (operators.Operator, []*relation) {
				var inputs []*relation
				for _, values := range [][]value{lv, rv} {
					if values != nil {
						inputs = append(inputs, newRelation(rng, []row{{values: values}}, false))
					}
				}
				return NewScalarScalar(q, e.Op, lhs, rhs, grid), inputs
			},
		}.check(t, rng)
	}
}
