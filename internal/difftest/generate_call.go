package difftest

import (
	"fmt"
	"strconv"
	"strings"
)

// Functions that yield a float for every float, or for every sample.
var elementwise = []string{
	"abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "deg", "rad",
	"sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
}

var dateFunctions = []string{
	"minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year",
}

// Functions of a range vector alone. Those on counters also take histograms,
// as do the ones in keepsHistograms.
var (
	counterFunctions = []string{"rate", "increase", "irate", "resets"}
	rangeFunctions   = []string{
		"delta", "idelta", "deriv", "changes", "avg_over_time", "min_over_time", "max_over_time",
		"sum_over_time", "count_over_time", "stddev_over_time", "stdvar_over_time", "last_over_time",
		"first_over_time", "present_over_time", "absent_over_time", "mad_over_time", "ts_of_min_over_time",
		"ts_of_max_over_time", "ts_of_first_over_time", "ts_of_last_over_time",
	}
	keepsHistograms = []string{
		"rate", "increase", "irate", "delta", "idelta", "sum_over_time", "avg_over_time", "last_over_time", "first_over_time",
	}
	histogramFunctions = []string{
		"histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar",
	}
)

// call returns a function call that yields an instant vector.
func (g *grammar) call(depth int, w want) string {
	if w == wantHistogram && g.Chance(65) {
		return g.histogramCall(depth)
	}
	histograms := 4
	if g.vocab.has(NativeHistogram) || g.vocab.has(Mixed) || g.vocab.has(ClassicBucket) {
		histograms = 24
	}
	info := 1
	if g.vocab.has(Info) {
		info = 12
	}
	return pickWeighted(g.Choices, []weighted[func(int) string]{
		{22, g.counterCall},
		{26, g.rangeCall},
		{9, g.rangeParameterCall},
		{16, g.elementwiseCall},
		{5, g.boundCall},
		{5, g.dateCall},
		{histograms, g.histogramReadingCall},
		{9, g.labelCall},
		{5, g.sortCall},
		{7, g.presenceCall},
		{info, func(d int) string { return g.infoCall(d, wantFloat) }},
	})(depth)
}

// histogramCall returns a call that yields histograms.
func (g *grammar) histogramCall(depth int) string {
	switch n := g.N(20); {
	case n < 15:
		fn := keepsHistograms[g.N(len(keepsHistograms))]
		return fn + "(" + g.matrix(depth, wantHistogram, g.extension(fn)) + ")"
	case n < 17:
		return g.relabel(g.vector(depth, wantHistogram))
	case n < 18:
		return fmt.Sprintf("sort_by_label(%s, %q)", g.vector(depth, wantHistogram), g.anyLabel())
	default:
		return g.infoCall(depth, wantHistogram)
	}
}

// extension returns anchored or smoothed, now and then, for functions that
// allow it.
func (g *grammar) extension(fn string) string {
	if !g.Chance(25) {
		return ""
	}
	switch fn {
	case "rate", "increase", "delta":
		return Pick(g.Choices, " anchored", " smoothed")
	case "changes", "resets":
		return " anchored"
	}
	return ""
}

func (g *grammar) counterCall(depth int) string {
	fn := counterFunctions[g.N(len(counterFunctions))]
	return fn + "(" + g.matrix(depth, wantCounter, g.extension(fn)) + ")"
}

func (g *grammar) rangeCall(depth int) string {
	fn := rangeFunctions[g.N(len(rangeFunctions))]
	return fn + "(" + g.matrix(depth, wantFloat, g.extension(fn)) + ")"
}

func (g *grammar) rangeParameterCall(depth int) string {
	m := g.matrix(depth, wantFloat, "")
	switch g.N(5) {
	case 0:
		return fmt.Sprintf("quantile_over_time(%s, %s)", g.fraction(depth-1), m)
	case 1:
		return fmt.Sprintf("predict_linear(%s, %s)", m, Pick(g.Choices, "60", "3600", "-5m", g.scalar(depth-1)))
	case 2:
		return fmt.Sprintf("double_exponential_smoothing(%s, %s, %s)", m,
			Pick(g.Choices, "0.1", "0.5", "0.9"), Pick(g.Choices, "0.2", "0.5", "0.99"))
	case 3:
		return fmt.Sprintf("integral(%s)", m)
	default:
		return fmt.Sprintf("integral(%s, %s)", m, Pick(g.Choices, "0", "1", "2", "2", "3"))
	}
}

func (g *grammar) elementwiseCall(depth int) string {
	return elementwise[g.N(len(elementwise))] + "(" + g.vector(depth, wantFloat) + ")"
}

func (g *grammar) boundCall(depth int) string {
	v := g.vector(depth, wantFloat)
	switch g.N(5) {
	case 0:
		return fmt.Sprintf("clamp(%s, %s, %s)", v, g.scalar(depth-1), Pick(g.Choices, "50", "1e4", g.scalar(depth-1)))
	case 1:
		return fmt.Sprintf("clamp_min(%s, %s)", v, g.scalar(depth-1))
	case 2:
		return fmt.Sprintf("clamp_max(%s, %s)", v, g.scalar(depth-1))
	case 3:
		return fmt.Sprintf("round(%s)", v)
	default:
		return fmt.Sprintf("round(%s, %s)", v, g.scalar(depth-1))
	}
}

func (g *grammar) dateCall(depth int) string {
	fn := dateFunctions[g.N(len(dateFunctions))]
	switch g.N(4) {
	case 0:
		return fn + "()"
	case 1:
		return fn + "(timestamp(" + g.vector(depth-1, wantAny) + "))"
	case 2:
		return fn + "(vector(" + Pick(g.Choices, "time()", "1.7e9", "-1e9", "951782400") + "))"
	default:
		return fn + "(" + g.vector(depth, wantFloat) + ")"
	}
}

// histogramReadingCall returns a call that turns histograms, native or
// classic, into floats.
func (g *grammar) histogramReadingCall(depth int) string {
	switch g.N(8) {
	case 0, 1:
		return fmt.Sprintf("histogram_quantile(%s, %s)", g.fraction(depth-1), g.buckets(depth))
	case 2:
		qs := make([]string, 1+g.N(4))
		for i := range qs {
			qs[i] = g.fraction(0)
		}
		return fmt.Sprintf("histogram_quantiles(%s, %q, %s)", g.buckets(depth), Pick(g.Choices, "q", "quantile", "id", g.anyLabel()), strings.Join(qs, ", "))
	case 3:
		return fmt.Sprintf("histogram_fraction(%s, %s, %s)", Pick(g.Choices, "0", "-Inf", "0.2", "-1", "2", "NaN"),
			Pick(g.Choices, "1", "+Inf", "5", "0.5", "0"), g.buckets(depth))
	default:
		return histogramFunctions[g.N(len(histogramFunctions))] + "(" + g.vector(depth, wantHistogram) + ")"
	}
}

// buckets returns a vector that histogram_quantile and its like can read.
func (g *grammar) buckets(depth int) string {
	if !g.vocab.has(ClassicBucket) || g.Chance(30) {
		return g.vector(depth, wantHistogram)
	}
	m := g.metric(wantBucket)
	switch g.N(5) {
	case 0:
		return g.vectorSelector(m)
	case 1:
		return "rate(" + g.matrixOf(m, "") + ")"
	case 2:
		return "sum by (le) (rate(" + g.matrixOf(m, "") + "))"
	case 3:
		return "sum by (le, path) (" + g.vectorSelector(m) + ")"
	default:
		// Native and classic histograms in one vector.
		return "{__name__=~\"both|req_bucket\"}" + g.modifiers()
	}
}

func (g *grammar) anyLabel() string {
	if g.last == nil || len(g.last.labels) == 0 || g.Chance(8) {
		return Pick(g.Choices, "__name__", "new", "le", "job")
	}
	return g.last.labels[g.N(len(g.last.labels))]
}

func (g *grammar) labelCall(depth int) string {
	w := wantFloat
	if g.Chance(15) {
		w = wantAny
	}
	return g.relabel(g.vector(depth, w))
}

func (g *grammar) relabel(v string) string {
	src := g.anyLabel()
	if g.Chance(60) {
		dst := Pick(g.Choices, "new", "new", "new", src, "__name__")
		return fmt.Sprintf("label_replace(%s, %q, %q, %q, %q)", v, dst,
			Pick(g.Choices, "x-$1", "$1", "fixed", "${1}y", ""), src,
			Pick(g.Choices, "(.*)", "(.).*", "(a|0|1).*", "nothing", "(.+)"))
	}
	srcs := make([]string, g.N(4))
	for i := range srcs {
		srcs[i] = ", " + strconv.Quote(g.anyLabel())
	}
	return fmt.Sprintf("label_join(%s, %q, %q%s)", v, Pick(g.Choices, "new", "new", "new", src, "__name__"), Pick(g.Choices, "-", "", "/"), strings.Join(srcs, ""))
}

func (g *grammar) sortCall(depth int) string {
	v := g.vector(depth, wantFloat)
	switch g.N(4) {
	case 0:
		return "sort(" + v + ")"
	case 1:
		return "sort_desc(" + v + ")"
	default:
		return fmt.Sprintf("%s(%s, %q, %q)", Pick(g.Choices, "sort_by_label", "sort_by_label_desc"), v, g.anyLabel(), g.anyLabel())
	}
}

// presenceCall returns a call that depends on samples being there, or turns
// scalars into vectors.
func (g *grammar) presenceCall(depth int) string {
	switch g.N(7) {
	case 0:
		return "absent(" + g.vector(depth, wantAny) + ")"
	case 1:
		return "absent(missing_metric" + braces([]string{`a="b"`, `c=~"d"`}) + ")"
	case 2:
		return "vector(" + g.scalar(depth) + ")"
	case 3:
		return "timestamp(" + g.vectorSelector(g.metric(wantAny)) + ")"
	case 4:
		return "timestamp(" + g.vector(depth, wantAny) + ")"
	default:
		return "start_timestamp(" + g.vectorSelector(g.metric(wantAny)) + ")"
	}
}

func (g *grammar) infoCall(depth int, w want) string {
	v := g.vector(depth, w)
	if g.Chance(50) {
		return "info(" + v + ")"
	}
	return "info(" + v + ", " + Pick(g.Choices,
		`{version=~".+"}`, `{env="prod"}`, `{__name__="build_info"}`, `{__name__=~".+_info"}`,
		`{__name__=~".+_info",go="1.26"}`, `{version="1"}`, `{absent_label=""}`) + ")"
}
