package difftest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// metric decides for a metric that yields what is wanted, most of the time.
func (g *grammar) metric(w want) *metric {
	if g.Chance(5) {
		w = wantAny
	}
	var candidates []*metric
	switch w {
	case wantFloat:
		candidates = g.vocab.ofKind(Counter, Gauge, Info)
		if g.Chance(8) {
			candidates = g.vocab.ofKind(Counter, Gauge, ClassicBucket, Mixed)
		}
	case wantCounter:
		candidates = g.vocab.ofKind(Counter)
	case wantHistogram:
		candidates = g.vocab.ofKind(NativeHistogram, Mixed)
	case wantBucket:
		candidates = g.vocab.ofKind(ClassicBucket)
	default:
		candidates = g.vocab.metrics
	}
	g.last = candidates[g.N(len(candidates))]
	return g.last
}

// matched returns the metric's name and label matchers.
func (g *grammar) matched(m *metric) string {
	matchers := g.matchers(m)
	switch {
	case g.Chance(2):
		return "missing_metric{" + strings.Join(matchers, ",") + "}"
	case g.Chance(4):
		// Several metrics at once, which can collide when names are dropped.
		other := g.vocab.sibling(g.Choices, m)
		return braces(append([]string{fmt.Sprintf("__name__=~%q", regexp.QuoteMeta(m.name)+"|"+regexp.QuoteMeta(other.name))}, matchers...))
	case g.Chance(4):
		return braces(append([]string{fmt.Sprintf("__name__=%q", m.name)}, matchers...))
	case !model.LegacyValidation.IsValidMetricName(m.name):
		return braces(append([]string{strconv.Quote(m.name)}, matchers...))
	case len(matchers) == 0:
		return m.name
	}
	return m.name + braces(matchers)
}

func braces(items []string) string { return "{" + strings.Join(items, ",") + "}" }

func (g *grammar) matchers(m *metric) []string {
	if len(m.labels) == 0 || g.Chance(60) {
		return nil
	}
	l := m.labels[g.N(len(m.labels))]
	v := m.values[l][g.N(len(m.values[l]))]
	name := label(l)
	switch g.N(8) {
	case 0, 1, 2:
		return []string{fmt.Sprintf("%s=%q", name, v)}
	case 3:
		return []string{fmt.Sprintf("%s!=%q", name, v)}
	case 4:
		w := m.values[l][g.N(len(m.values[l]))]
		return []string{fmt.Sprintf("%s=~%q", name, regexp.QuoteMeta(v)+"|"+regexp.QuoteMeta(w))}
	case 5:
		return []string{fmt.Sprintf("%s!~%q", name, regexp.QuoteMeta(v))}
	case 6:
		return []string{fmt.Sprintf("%s=~%q", name, ".+"), fmt.Sprintf("%s!=%q", name, v)}
	default:
		return []string{fmt.Sprintf("%s=%q", name, v), fmt.Sprintf("absent_label=%q", "")}
	}
}

// label returns a label name as it is written, quoted where it has to be.
func label(name string) string {
	if model.LegacyValidation.IsValidLabelName(name) {
		return name
	}
	return strconv.Quote(name)
}

func (g *grammar) vectorSelector(m *metric) string {
	s := g.matched(m)
	switch g.N(40) {
	case 0:
		s += " anchored"
	case 1, 2:
		s += " smoothed"
	}
	return s + g.modifiers()
}

// matrix returns an expression of type range vector: a selector with the
// given modifier (anchored, smoothed or none), or a subquery.
func (g *grammar) matrix(depth int, w want, modifier string) string {
	if depth > 0 && modifier == "" && g.Chance(22) {
		return g.subquery(depth-1, w)
	}
	return g.matrixOf(g.metric(w), modifier)
}

func (g *grammar) matrixOf(m *metric, modifier string) string {
	return g.matched(m) + "[" + g.window() + "]" + modifier + g.modifiers()
}

func (g *grammar) subquery(depth int, w want) string {
	step := ""
	if g.Chance(75) {
		step = g.duration(Pick(g.Choices, g.data.Interval, 2*g.data.Interval, minute, 7*second, 3*minute))
	}
	window := g.duration(g.data.Interval * Pick[int64](g.Choices, 3, 10, 20, 40))
	return g.operand(g.vector(depth, w)) + "[" + window + ":" + step + "]" + g.modifiers()
}

// window returns the range of a range selector.
func (g *grammar) window() string {
	return g.duration(g.data.Interval * Pick[int64](g.Choices, 1, 2, 3, 4, 5, 8, 10, 20, 40))
}

// modifiers returns what follows a selector or subquery: an offset, an @, both
// or nothing.
func (g *grammar) modifiers() string {
	at, offset := g.pin, ""
	if at == "" && g.Chance(5) {
		at = " @ " + g.timestamp()
	}
	if g.Chance(10) {
		offset = " offset " + g.offset()
	}
	if g.Chance(50) {
		return at + offset
	}
	return offset + at
}

// timestamp returns what follows an @.
func (g *grammar) timestamp() string {
	if g.Chance(30) {
		return Pick(g.Choices, "start()", "end()")
	}
	t := g.data.Start + (g.data.End-g.data.Start)*int64(20+g.N(90))/100
	if g.Chance(70) {
		t = t / 1000 * 1000
	}
	return strconv.FormatFloat(float64(t)/1000, 'f', -1, 64)
}

func (g *grammar) offset() string {
	ms := g.data.Interval * Pick[int64](g.Choices, 1, 2, 4, 10, 20)
	switch {
	case g.Chance(10):
		return Pick(g.Choices, "step()", "-step()", "(step() * 2)", "min_of(step(), 1m)", "-max_of(range(), 30s)", "(range() / 3)")
	case g.Chance(30):
		return "-" + milliseconds(ms)
	case g.Chance(10):
		return milliseconds(ms + 1)
	}
	return milliseconds(ms)
}

// duration writes a duration in one of the ways the grammar has.
func (g *grammar) duration(ms int64) string {
	if g.Chance(84) {
		return milliseconds(ms)
	}
	d := milliseconds(ms)
	switch g.N(9) {
	case 0:
		return strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64)
	case 1:
		return d + " + step()"
	case 2:
		return "max_of(" + d + ", step())"
	case 3:
		return "min_of(" + d + ", 1h)"
	case 4:
		return d + " * 2 - " + d
	case 5:
		return "(range() / 2) + " + d
	case 6:
		return "2 ^ 3 * " + d + " / 8"
	case 7:
		return "(1h % 7m) + " + d
	default:
		return "-(-" + d + ")"
	}
}

func milliseconds(ms int64) string {
	return model.Duration(time.Duration(ms) * time.Millisecond).String()
}
