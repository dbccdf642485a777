package logicalplan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// maxIndent bounds the indentation, so that the text of a plan grows with its nodes and not with
// the square of its depth.
const maxIndent = 60

// String is the plan as an indented tree, with the times of the query in front.
func (p *Plan) String() string {
	return fmt.Sprintf("%s lookback=%s\n%s", describeTimes(p.Times), time.Duration(p.Lookback)*time.Millisecond, Tree(p.Root))
}

// Tree is n as a tree, one node a line, each one indented under its parent. A node with several
// parents is written at the first of them with a number (#1) and only referred to at the others.
func Tree(n Node) string {
	w := treeWriter{parents: map[Node]int{}, ids: map[Node]int{}}
	w.count(n)
	w.node(n, 0)
	return w.String()
}

type treeWriter struct {
	strings.Builder
	parents map[Node]int
	ids     map[Node]int
}

func (w *treeWriter) count(n Node) {
	n = target(n)
	if w.parents[n]++; w.parents[n] > 1 {
		return
	}
	for _, c := range n.Children() {
		w.count(c)
	}
}

func (w *treeWriter) node(n Node, depth int) {
	n = target(n)
	w.WriteString(strings.Repeat("  ", min(depth, maxIndent)))
	if depth > maxIndent {
		fmt.Fprintf(w, "[depth %d] ", depth)
	}
	if id, ok := w.ids[n]; ok {
		fmt.Fprintf(w, "#%d\n", id)
		return
	}
	w.WriteString(n.Describe())
	if w.parents[n] > 1 {
		w.ids[n] = len(w.ids) + 1
		fmt.Fprintf(w, " #%d", w.ids[n])
	}
	w.WriteByte('\n')
	for _, c := range n.Children() {
		w.node(c, depth+1)
	}
}

// Describe is the number.
func (n *NumberLiteral) Describe() string { return numberText(n.Val) }

// Describe is the string in quotes.
func (n *StringLiteral) Describe() string { return strconv.Quote(n.Val) }

// Describe is the selector as PromQL, and what the plan adds: the offset at run time where it is
// not the one written, what is read of histograms, and the filter after merging.
func (n *VectorSelector) Describe() string {
	var w textWriter
	bare := *n
	bare.Filter = nil
	w.series(&bare)
	w.selectorModifiers(n)
	if n.Timestamp != nil {
		w.WriteString(" at run time offset=" + strconv.FormatInt(n.Offset, 10) + "ms")
	}
	if n.SkipHistogramBuckets {
		w.WriteString(" skip-buckets")
	}
	if n.Filter != nil {
		w.WriteString(" filter=" + matchersText(n.Filter))
	}
	if n.Uses > 1 {
		w.WriteString(" uses=" + strconv.Itoa(n.Uses))
	}
	return w.String()
}

// Describe is the range alone, the selector being the child.
func (n *MatrixSelector) Describe() string { return "[" + rangeText(n.Range) + "]" }

// Describe is the subquery's brackets and modifiers, its times, and with `@` the offset at run time.
func (n *Subquery) Describe() string {
	s := "subquery " + subquerySuffix(n) + " " + describeTimes(n.Times)
	if n.Timestamp != nil {
		s += " offset=" + strconv.FormatInt(n.Offset, 10) + "ms"
	}
	return s
}

// Describe is the function's name; for info() with the reference of the info series.
func (n *Call) Describe() string {
	s := n.Func.Name + "()"
	if n.Info != nil {
		s += timeModifiers(n.Info.Timestamp, time.Duration(n.Info.Offset)*time.Millisecond)
	}
	return s
}

// Describe is the operator and the grouping.
func (n *Aggregate) Describe() string { return strings.TrimSpace(aggregateHead(n)) }

// Describe is the operator with its modifiers.
func (n *Binary) Describe() string { return binaryHead(n) }

// Describe is the operator, marked as unary.
func (n *Unary) Describe() string { return "unary " + n.Op.String() }

// Describe is "shared".
func (n *Shared) Describe() string { return "shared" }

// Describe is "step-invariant".
func (n *StepInvariant) Describe() string { return "step-invariant" }

// target is the node that n stands for.
func target(n Node) Node {
	for {
		s, ok := n.(*Shared)
		if !ok {
			return n
		}
		n = s.Expr
	}
}

func matchersText(ms []*labels.Matcher) string {
	s := make([]string, len(ms))
	for i, m := range ms {
		s[i] = labelText(m.Name) + m.Type.String() + strconv.Quote(m.Value)
	}
	return "{" + strings.Join(s, ",") + "}"
}
