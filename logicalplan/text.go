package logicalplan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Text is n as complete PromQL that means the same wherever it is evaluated: `@ start()`, step()
// and the like are written out as numbers. Any parser with the experimental functions and the fill
// modifiers enabled reads it, and Build makes the same tree of it. What passes made of the plan
// shows only as far as PromQL can spell it: shared nodes are written out at each place,
// StepInvariant not at all (PromQL implies it), and the matchers of merged selectors are those the query
// asked for. What other engines evaluate, and what puts it together, is written as dedup(coalesce(remote(...), ...)), which is not
// PromQL. An Extension is written as its description with its children in parentheses,
// which is not PromQL.
func Text(n Node) string {
	var w textWriter
	w.node(n)
	return w.String()
}

type textWriter struct {
	strings.Builder
	pin *int64 // an `@` for selectors and subqueries that have none, ms
	// steps writes the default interval of subqueries out, for engines that have another one.
	steps bool
}

// textElsewhere is n as text that means the same at engines with other settings.
func textElsewhere(n Node) string {
	w := textWriter{steps: true}
	w.node(n)
	return w.String()
}

func (w *textWriter) node(n Node) {
	switch n := n.(type) {
	case *NumberLiteral:
		w.WriteString(numberText(n.Val))
	case *StringLiteral:
		w.WriteString(strconv.Quote(n.Val))
	case *VectorSelector:
		w.series(n)
		w.selectorModifiers(n)
	case *MatrixSelector:
		w.series(n.Selector)
		w.WriteString("[" + rangeText(n.Range) + "]")
		w.selectorModifiers(n.Selector)
	case *Subquery:
		pin := w.pin
		w.pin = nil // its operand is evaluated at times of its own
		w.subqueryOperand(n.Expr)
		w.pin = pin
		pinned := *n
		pinned.Timestamp = w.at(n.Timestamp)
		if w.steps && n.Step == 0 {
			pinned.Step = time.Duration(n.Times.Interval) * time.Millisecond
		}
		w.WriteString(subquerySuffix(&pinned))
	case *Call:
		w.WriteString(n.Func.Name)
		w.list(n.Args)
	case *Aggregate:
		w.WriteString(aggregateHead(n))
		if n.Param == nil {
			w.list([]Node{n.Expr})
		} else {
			w.list([]Node{n.Param, n.Expr})
		}
	case *Binary:
		prec := precedence(n.Op)
		w.operand(n.LHS, prec, n.Op == parser.POW)
		w.WriteString(" " + binaryHead(n) + " ")
		w.operand(n.RHS, prec, n.Op != parser.POW)
	case *Unary:
		w.WriteString(n.Op.String())
		switch unwrap(n.Expr).(type) {
		case *Binary, *NumberLiteral:
			// -(1) is an operation on a literal, -1 is a literal.
			w.parenthesized(n.Expr)
		default:
			w.node(n.Expr)
		}
	case *StepInvariant:
		w.node(n.Expr)
	case *Shared:
		w.node(n.Expr)
	case *Parts:
		w.parts(n)
	case *Section:
		w.node(n.Expr)
	case *Combine:
		w.WriteString(n.Describe() + " ")
		w.list([]Node{n.Expr})
	case *Remote:
		w.WriteString("remote(" + n.Query.Text + ")")
	case *Dedup:
		w.WriteString("dedup(coalesce")
		w.list(n.Inputs)
		w.WriteByte(')')
	default:
		w.WriteString(n.Describe())
		w.list(n.Children())
	}
}

// parts writes Parts as aggregations that are told apart by a label.
func (w *textWriter) parts(n *Parts) {
	for i, op := range n.Ops() {
		if i > 0 {
			w.WriteString(" or ")
		}
		w.WriteString("label_replace(")
		w.node(&Aggregate{Op: op, Expr: n.Expr, Grouping: n.Grouping, Without: n.Without})
		fmt.Fprintf(w, ", %q, %q, \"\", \"\")", PartLabel, op.String())
	}
}

func (w *textWriter) list(nodes []Node) {
	w.WriteByte('(')
	for i, n := range nodes {
		if i > 0 {
			w.WriteString(", ")
		}
		w.node(n)
	}
	w.WriteByte(')')
}

func (w *textWriter) parenthesized(n Node) {
	w.WriteByte('(')
	w.node(n)
	w.WriteByte(')')
}

// operand writes one side of an operator with the given precedence; tight says that an operand of
// the same precedence would be read as belonging to the other side.
func (w *textWriter) operand(n Node, prec int, tight bool) {
	parens := false
	switch x := unwrap(n).(type) {
	case *Binary:
		p := precedence(x.Op)
		parens = p < prec || p == prec && tight
	case *Unary:
		parens = true
	case *NumberLiteral:
		parens = strings.HasPrefix(numberText(x.Val), "-") || strings.HasPrefix(numberText(x.Val), "+")
	case *VectorSelector:
		// An operator after an offset could be read as part of a duration.
		parens = x.OriginalOffset != 0
	}
	if parens {
		w.parenthesized(n)
	} else {
		w.node(n)
	}
}

// subqueryOperand writes what stands in front of a subquery's brackets.
func (w *textWriter) subqueryOperand(n Node) {
	switch x := unwrap(n).(type) {
	case *Call, *Aggregate:
		w.node(n)
	case *VectorSelector:
		if x.OriginalOffset == 0 && x.Timestamp == nil && !x.Anchored && !x.Smoothed {
			w.node(n)
			return
		}
		w.parenthesized(n)
	default:
		w.parenthesized(n)
	}
}

// unwrap is n without what PromQL does not spell around it.
func unwrap(n Node) Node {
	for {
		switch x := n.(type) {
		case *StepInvariant:
			n = x.Expr
		case *Shared:
			n = x.Expr
		default:
			return n
		}
	}
}

// series writes the name and matchers of a selector.
func (w *textWriter) series(n *VectorSelector) {
	matchers := n.Matchers
	if len(n.Filter) > 0 {
		matchers = slices.Concat(n.Matchers, n.Filter)
	}
	// The parser puts the matcher of a name in front of the braces last, so only there it can be
	// written as one.
	if last := len(matchers) - 1; n.Name != "" && last >= 0 && isNameOf(matchers[last], n.Name) && isPlainName(n.Name, true) &&
		!slices.ContainsFunc(matchers[:last], func(m *labels.Matcher) bool { return m.Name == model.MetricNameLabel }) {
		w.WriteString(n.Name)
		if matchers = matchers[:last]; len(matchers) == 0 {
			return
		}
	}
	w.WriteByte('{')
	for i, m := range matchers {
		if i > 0 {
			w.WriteByte(',')
		}
		w.WriteString(labelText(m.Name) + m.Type.String() + strconv.Quote(m.Value))
	}
	w.WriteByte('}')
}

func isNameOf(m *labels.Matcher, name string) bool {
	return m.Type == labels.MatchEqual && m.Name == model.MetricNameLabel && m.Value == name
}

func (w *textWriter) selectorModifiers(n *VectorSelector) {
	switch {
	case n.Anchored:
		w.WriteString(" anchored")
	case n.Smoothed:
		w.WriteString(" smoothed")
	}
	w.WriteString(timeModifiers(w.at(n.Timestamp), n.OriginalOffset))
}

// at is an `@`, or the one that takes its place where there is none.
func (w *textWriter) at(at *int64) *int64 {
	if at == nil {
		return w.pin
	}
	return at
}

func timeModifiers(at *int64, offset time.Duration) string {
	s := ""
	if at != nil {
		s = " @ " + timestampText(*at)
	}
	if offset != 0 {
		s += " offset " + offsetText(offset)
	}
	return s
}

func subquerySuffix(n *Subquery) string {
	step := ""
	if n.Step != 0 {
		step = rangeText(n.Step)
	}
	return "[" + rangeText(n.Range) + ":" + step + "]" + timeModifiers(n.Timestamp, n.OriginalOffset)
}

// aggregateHead is an aggregation without its arguments.
func aggregateHead(n *Aggregate) string {
	switch {
	case n.Without:
		return n.Op.String() + " without " + labelList(n.Grouping) + " "
	case n.Grouping != nil:
		return n.Op.String() + " by " + labelList(n.Grouping) + " "
	default:
		return n.Op.String()
	}
}

// binaryHead is a binary operator with its modifiers.
func binaryHead(n *Binary) string {
	s := n.Op.String()
	if n.ReturnBool {
		s += " bool"
	}
	m := n.Matching
	if m == nil {
		return s
	}
	grouped := m.Card == parser.CardManyToOne || m.Card == parser.CardOneToMany
	switch {
	case m.On:
		s += " on " + labelList(m.MatchingLabels)
	case len(m.MatchingLabels) > 0 || grouped:
		s += " ignoring " + labelList(m.MatchingLabels)
	}
	switch m.Card {
	case parser.CardManyToOne:
		s += " group_left " + labelList(m.Include)
	case parser.CardOneToMany:
		s += " group_right " + labelList(m.Include)
	}
	if f := m.FillValues.LHS; f != nil {
		s += " fill_left (" + numberText(*f) + ")"
	}
	if f := m.FillValues.RHS; f != nil {
		s += " fill_right (" + numberText(*f) + ")"
	}
	return s
}

// precedence orders binary operators as the parser does.
func precedence(op parser.ItemType) int {
	switch op {
	case parser.LOR:
		return 1
	case parser.LAND, parser.LUNLESS:
		return 2
	case parser.ADD, parser.SUB:
		return 4
	case parser.MUL, parser.DIV, parser.MOD, parser.ATAN2:
		return 5
	case parser.POW:
		return 6
	default: // comparisons and trimming
		return 3
	}
}

func labelList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = labelText(n)
	}
	return "(" + strings.Join(quoted, ", ") + ")"
}

func labelText(name string) string {
	if isPlainName(name, false) {
		return name
	}
	return strconv.Quote(name)
}

// words are all that the lexer does not read as a name everywhere.
var words = func() map[string]bool {
	w := map[string]bool{"inf": true, "nan": true}
	for _, k := range parser.Keywords() {
		w[k] = true
	}
	return w
}()

// isPlainName tells whether a name of a label or metric needs no quotes, in whatever place.
func isPlainName(name string, metric bool) bool {
	valid := model.LegacyValidation.IsValidLabelName(name)
	if metric {
		valid = model.LegacyValidation.IsValidMetricName(name) && name[0] != ':'
	}
	return valid && !words[strings.ToLower(name)]
}

func numberText(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// rangeText is a range or step as it stands in brackets. The parser reads numbers and durations as
// float64 seconds, which cannot express every duration; what they cannot express is written as a
// duration expression, whose value is cut to milliseconds.
func rangeText(d time.Duration) string {
	if d > 0 {
		if s, ok := durationText(d); ok {
			return s
		}
	}
	return cutDuration(d)
}

func offsetText(d time.Duration) string {
	sign, abs := "", d
	if d < 0 && d != math.MinInt64 {
		sign, abs = "-", -d
	}
	if s, ok := durationText(abs); ok {
		return sign + s
	}
	return cutDuration(d)
}

// durationText is a literal that the parser reads as d, if there is one.
func durationText(d time.Duration) (string, bool) {
	if d%time.Millisecond == 0 && readSeconds(d.Seconds(), time.Second) == int64(d) {
		return model.Duration(d).String(), true
	}
	s, ok := secondsText(int64(d), time.Second)
	return s, ok
}

// cutDuration is a duration expression with the value d, which must be in whole milliseconds: half a
// millisecond is added, away from zero, for the parser to cut off.
func cutDuration(d time.Duration) string {
	half := 0.5
	if d < 0 {
		half = -half
	}
	return "(" + strconv.FormatFloat((float64(d/time.Millisecond)+half)/1000, 'f', -1, 64) + ")"
}

func timestampText(ms int64) string {
	if s, ok := secondsText(ms, time.Second/time.Millisecond); ok {
		return s
	}
	return strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64)
}

// secondsText is a decimal number of seconds that the parser reads as n, in units of which there
// are the given number to a second.
func secondsText(n int64, units time.Duration) (string, bool) {
	v := float64(n) / float64(units)
	for _, c := range []float64{v, math.Nextafter(v, math.Inf(1)), math.Nextafter(v, math.Inf(-1))} {
		if readSeconds(c, units) == n {
			return strconv.FormatFloat(c, 'f', -1, 64), true
		}
	}
	return "", false
}

// readSeconds is what the parser makes of a number of seconds.
func readSeconds(v float64, units time.Duration) int64 {
	return int64(math.Round(v * float64(units)))
}

// describeTimes is a grid of times on one line.
func describeTimes(t Times) string {
	if t.Start == t.End {
		return fmt.Sprintf("t=%d", t.Start)
	}
	return fmt.Sprintf("t=%d..%d/%d", t.Start, t.End, t.Interval)
}
