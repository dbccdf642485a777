package difftest

import (
	"strconv"
	"strings"
)

// Generator produces a query for a data set at the given times.
type Generator func(c *Choices, d *Dataset, t Times) string

// Grammar returns a generator that follows PromQL's grammar: queries are well
// typed by construction, at most depth operations deep, and made of the names,
// labels and ranges that the data set has, so that most return data. It knows
// every function, aggregation, operator and modifier of the parser.
func Grammar(depth int) Generator {
	return func(c *Choices, d *Dataset, t Times) string {
		g := &grammar{Choices: c, data: d, vocab: d.words, times: t}
		return g.query(1 + c.N(depth))
	}
}

// want says which samples an expression should yield. It is a wish: now and
// then a generator gives something else, for the sake of annotations.
type want uint8

const (
	wantFloat want = iota
	wantCounter
	wantHistogram
	wantBucket
	wantAny
)

type grammar struct {
	*Choices
	data  *Dataset
	vocab *vocabulary
	times Times
	// last is the metric chosen last, whose labels suit what is built around it.
	last *metric
	// pin is an @ modifier that all selectors below take, which makes the
	// expression step invariant.
	pin string
}

func (g *grammar) query(depth int) string {
	switch n := g.N(100); {
	case n < 4:
		return g.scalar(depth)
	case n < 8 && g.times.Instant:
		return g.matrix(depth, wantAny, "")
	case n < 9 && g.times.Instant:
		return `"a string"`
	case n < 15 && g.times.Instant:
		return g.orderedResult(depth)
	}
	w := wantFloat
	if (g.vocab.has(NativeHistogram) || g.vocab.has(Mixed)) && g.Chance(35) {
		w = wantHistogram
	}
	return g.vector(depth, w)
}

// orderedResult returns an expression whose result has a defined order.
func (g *grammar) orderedResult(depth int) string {
	if g.Chance(60) {
		return g.sortCall(depth - 1)
	}
	return Pick(g.Choices, "topk", "bottomk") + " " + g.grouping() + " (" + g.small(0) + ", " + g.vector(depth-1, wantFloat) + ")"
}

// vector returns an expression of type instant vector.
func (g *grammar) vector(depth int, w want) string {
	if depth <= 0 {
		return g.vectorSelector(g.metric(w))
	}
	if g.pin == "" && g.Chance(3) {
		g.pin = " @ " + g.timestamp()
		defer func() { g.pin = "" }()
	}
	type production = func(int, want) string
	make := pickWeighted(g.Choices, []weighted[production]{
		{10, func(_ int, w want) string { return g.vectorSelector(g.metric(w)) }},
		{38, g.call},
		{20, g.aggregation},
		{26, g.binary},
		{3, g.unary},
		{2, func(d int, w want) string { return "(" + g.vector(d, w) + ")" }},
	})
	return make(depth-1, w)
}

func (g *grammar) unary(depth int, w want) string {
	return Pick(g.Choices, "-", "-", "+") + g.operand(g.vector(depth, w))
}

// scalar returns an expression of type scalar.
func (g *grammar) scalar(depth int) string {
	if depth <= 0 || g.Chance(45) {
		return g.number()
	}
	switch g.N(9) {
	case 0:
		return "scalar(" + g.vector(depth-1, wantFloat) + ")"
	case 1, 2:
		return Pick(g.Choices, "time()", "pi()", "start()", "end()", "range()", "step()")
	case 3:
		return Pick(g.Choices, "min_of(", "max_of(") + g.scalar(depth-1) + ", " + g.scalar(depth-1) + ")"
	case 4:
		return Pick(g.Choices, "-", "+") + g.operand(g.scalar(depth-1))
	case 5:
		return g.operand(g.scalar(depth-1)) + " " + Pick(g.Choices, "==", "!=", "<", ">", "<=", ">=") + " bool " + g.operand(g.scalar(depth-1))
	case 6:
		return "scalar(" + Pick(g.Choices, "sum", "max", "avg", "count") + "(" + g.vector(depth-1, wantFloat) + "))"
	default:
		return g.operand(g.scalar(depth-1)) + " " + Pick(g.Choices, "+", "-", "*", "/", "%", "^", "atan2") + " " + g.operand(g.scalar(depth-1))
	}
}

func (g *grammar) number() string {
	if g.Chance(70) {
		return Pick(g.Choices, "0", "1", "2", "3", "0.5", "10", "100", "7.25", "1000")
	}
	return Pick(g.Choices, "-1", "1e-3", "1e9", "0x1F", "1_000", "Inf", "-Inf", "NaN", "5m", "1h30m", ".5", "-2.75", "1e308")
}

// small returns a scalar that tends to be a sensible count, as parameters are.
func (g *grammar) small(depth int) string {
	switch n := g.N(20); {
	case n < 14:
		return strconv.Itoa(g.N(6))
	case n < 15:
		return Pick(g.Choices, "-1", "2.9", "1e3")
	case n < 16:
		return Pick(g.Choices, "NaN", "Inf", "9e18")
	case n < 18:
		return "scalar(" + g.vectorSelector(g.parameter("k")) + ")"
	default:
		return g.scalar(depth)
	}
}

// fraction returns a scalar that tends to lie between 0 and 1.
func (g *grammar) fraction(depth int) string {
	switch n := g.N(20); {
	case n < 14:
		return Pick(g.Choices, "0", "0.1", "0.25", "0.5", "0.9", "0.99", "1")
	case n < 16:
		return Pick(g.Choices, "-0.5", "1.5", "NaN", "-1", "2")
	case n < 18:
		return "scalar(" + g.vectorSelector(g.parameter("ratio")) + ")"
	default:
		return g.scalar(depth)
	}
}

// parameter returns the metric of that name, or any float metric where the
// data set has none.
func (g *grammar) parameter(name string) *metric {
	for _, m := range g.vocab.metrics {
		if m.name == name {
			return m
		}
	}
	return g.metric(wantFloat)
}

// operand returns e in parentheses, unless it can do without.
func (g *grammar) operand(e string) string {
	if strings.ContainsAny(e, " +-^") || strings.ContainsAny(e, "\n") {
		return "(" + e + ")"
	}
	return e
}
