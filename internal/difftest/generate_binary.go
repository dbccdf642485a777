package difftest

import (
	"slices"
	"strings"
)

// binary returns a binary operation with at least one vector operand.
func (g *grammar) binary(depth int, w want) string {
	return pickWeighted(g.Choices, []weighted[func(int, want) string]{
		{32, g.withScalar},
		{30, g.alike},
		{10, g.grouped},
		{14, g.manyToOne},
		{12, g.set},
		{4, g.unmatched},
	})(depth, w)
}

// operator returns an operator for two operands, with bool where it applies.
func (g *grammar) operator(w want) string {
	switch {
	case w == wantHistogram && g.Chance(70):
		return Pick(g.Choices, "+", "-", "+", "-", "==", "!=", "*", "/", ">/", "</")
	case g.Chance(60):
		return Pick(g.Choices, "+", "-", "*", "/", "%", "^", "atan2", "+", "-", "*", "/")
	case g.Chance(2):
		return Pick(g.Choices, ">/", "</")
	}
	op := Pick(g.Choices, "==", "!=", "<", ">", "<=", ">=", ">", "<")
	if g.Chance(40) {
		op += " bool"
	}
	return op
}

func (g *grammar) join(l, op, r string) string {
	space := " "
	if g.Chance(4) {
		space = "\n  " // positions of annotations on a later line
	}
	return g.operand(l) + " " + op + space + g.operand(r)
}

func (g *grammar) withScalar(depth int, w want) string {
	v, s := g.vector(depth, w), g.scalar(depth-1)
	if w == wantHistogram && g.Chance(80) {
		switch g.N(7) {
		case 0:
			return g.join(s, "*", v)
		case 1, 2:
			return g.join(v, Pick(g.Choices, ">/", "</"), Pick(g.Choices, "0", "1", "3.5", "-1", "0.25", s))
		default:
			return g.join(v, Pick(g.Choices, "*", "/"), s)
		}
	}
	op := g.operator(w)
	if g.Chance(30) {
		return g.join(s, op, v)
	}
	return g.join(v, op, s)
}

// preserving returns an expression over metric m that keeps its labels, but
// for the name.
func (g *grammar) preserving(depth int, m *metric) string {
	g.last = m
	if depth <= 0 || g.Chance(30) {
		return g.vectorSelector(m)
	}
	if m.kind == NativeHistogram || m.kind == Mixed {
		fn := keepsHistograms[g.N(len(keepsHistograms))]
		switch g.N(4) {
		case 0:
			return g.join(g.preserving(depth-1, m), Pick(g.Choices, "*", "/"), g.number())
		case 1:
			return histogramFunctions[g.N(len(histogramFunctions))] + "(" + g.preserving(depth-1, m) + ")"
		default:
			return fn + "(" + g.matrixOf(m, g.extension(fn)) + ")"
		}
	}
	switch g.N(5) {
	case 0:
		return elementwise[g.N(len(elementwise))] + "(" + g.preserving(depth-1, m) + ")"
	case 1:
		return g.join(g.preserving(depth-1, m), Pick(g.Choices, "+", "*", "/", ">", ">= bool"), g.number())
	case 2:
		fn := counterFunctions[g.N(len(counterFunctions))]
		return fn + "(" + g.matrixOf(m, g.extension(fn)) + ")"
	default:
		fn := Pick(g.Choices, "avg_over_time", "sum_over_time", "max_over_time", "last_over_time", "delta", "changes", "count_over_time")
		return fn + "(" + g.matrixOf(m, g.extension(fn)) + ")"
	}
}

// alike joins two expressions over metrics with the same labels.
func (g *grammar) alike(depth int, w want) string {
	m := g.metric(w)
	l := g.preserving(depth, m)
	r := g.preserving(depth, g.vocab.sibling(g.Choices, m))
	modifier := ""
	if g.Chance(15) {
		modifier = " " + Pick(g.Choices, "ignoring (missing)", "ignoring ()", "on "+list(m.labels))
	}
	return g.join(l, g.operator(w)+modifier+g.fill(), r)
}

// grouped joins two aggregations by the same labels.
func (g *grammar) grouped(depth int, w want) string {
	m := g.metric(w)
	by := g.someLabels()
	op := func() string {
		if w == wantHistogram {
			return Pick(g.Choices, "sum", "avg")
		}
		return Pick(g.Choices, "sum", "max", "avg", "count", "min")
	}
	side := func(m *metric) string {
		return op() + " by " + list(by) + " (" + g.preserving(depth-1, m) + ")"
	}
	modifier := ""
	if g.Chance(60) {
		modifier = " on " + list(by)
	}
	return g.join(side(m), g.operator(w)+modifier+g.fill(), side(g.vocab.sibling(g.Choices, m)))
}

// manyToOne joins many series with the aggregate, or the info series, that
// they belong to.
func (g *grammar) manyToOne(depth int, w want) string {
	m := g.metric(w)
	many := g.preserving(depth, m)
	by := g.someLabels()
	one := Pick(g.Choices, "sum", "max", "avg", "count") + " by " + list(by) + " (" + g.preserving(depth-1, g.vocab.sibling(g.Choices, m)) + ")"
	include := ""
	if infos := g.vocab.ofKind(Info); infos[0].kind == Info && slices.Contains(m.labels, "instance") && g.Chance(70) {
		info := infos[g.N(len(infos))]
		one, by, include = g.vectorSelector(info), []string{"instance", "job"}, info.labels[g.N(len(info.labels))]
		if slices.Contains(by, include) {
			include = ""
		}
	} else if g.Chance(20) {
		include = Pick(g.Choices, "another", "new", g.anyLabel())
		if slices.Contains(by, include) {
			include = ""
		}
	}
	matching := "on " + list(by)
	if g.Chance(15) {
		rest := slices.DeleteFunc(slices.Clone(m.labels), func(l string) bool { return slices.Contains(by, l) })
		matching = "ignoring " + list(rest)
	}
	group := "group_left"
	if g.Chance(30) {
		group, many, one = "group_right", one, many
	}
	// Without the list, an operand in parentheses would be taken for it.
	if include != "" {
		group += " (" + label(include) + ")"
	} else {
		group += " ()"
	}
	return g.join(many, g.operator(w)+" "+matching+" "+group+g.fill(), one)
}

func (g *grammar) fill() string {
	if !g.Chance(12) {
		return ""
	}
	v := func() string { return "(" + Pick(g.Choices, "0", "1", "-1", "NaN", "23") + ")" }
	switch g.N(4) {
	case 0, 1:
		return " fill " + v()
	case 2:
		return " " + Pick(g.Choices, "fill_left", "fill_right") + " " + v()
	default:
		return " fill_left " + v() + " fill_right " + v()
	}
}

func (g *grammar) set(depth int, w want) string {
	l := g.vector(depth, w)
	m := g.last
	r := g.vector(depth-1, w)
	if g.Chance(50) && m != nil {
		r = g.preserving(depth-1, g.vocab.sibling(g.Choices, m))
	}
	op := Pick(g.Choices, "and", "or", "or", "unless")
	if g.Chance(50) {
		op += " " + Pick(g.Choices, "on", "on", "ignoring") + " " + list(g.someLabels())
	}
	return g.join(l, op, r)
}

// unmatched joins any two vectors, which mostly yields nothing or an error.
func (g *grammar) unmatched(depth int, w want) string {
	l, r := g.vector(depth, w), g.vector(depth, w)
	op := g.operator(w)
	if g.Chance(50) {
		op += " " + Pick(g.Choices, "on", "ignoring") + " " + list(g.someLabels())
	}
	return g.join(l, strings.TrimSpace(op), r)
}
