package difftest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	// roundings is how many answers with rounding errors show how far these may reach.
	roundings = 16
	// roundingError is the largest error that is added to a sum or an average, relative to that of the values' magnitudes.
	roundingError = 8e-15
	// keptName is where the name of a group is kept.
	keptName = "__kept__"
)

// ByRounding says whether a difference is what comes of small errors in the query's sums, averages, deviations and variances over series,
// as adding in another order makes them: the reference evaluates the query with such errors added in a number of ways, and each sample
// has to be within, or near, what these answers span. There may be no sample where all of them have none, and none may be missing
// where all of them have one.
func (m *Mismatch) ByRounding() bool {
	if m.Got.Value == nil || m.Runs[0].Value == nil || m.Got.Value.Type() != m.Runs[0].Value.Type() {
		return false
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	spread := []map[pointKey]point{roundedLabels(pointsOf(m.Runs[0].Value))}
	for i := range roundings {
		query, ok := withErrors(m.Case.Query, func() float64 {
			switch i {
			case 0:
				return roundingError
			case 1:
				return -roundingError
			}
			return math.Ldexp(roundingError, -rnd.IntN(8)) * (2*rnd.Float64() - 1)
		})
		if !ok {
			return false
		}
		if o := m.Rerun(query, 0); o.Err == nil && o.Value != nil {
			spread = append(spread, roundedLabels(pointsOf(o.Value)))
		}
	}
	got := roundedLabels(pointsOf(m.Got.Value))
	for key := range spread[0] {
		if _, ok := got[key]; !ok && !slices.ContainsFunc(spread, func(run map[pointKey]point) bool { _, ok := run[key]; return !ok }) {
			return false
		}
	}
	for key, p := range got {
		if !m.Comparer.near(spread, key, p) {
			return false
		}
	}
	return true
}

// near says whether a point is within what runs have at its key, or not much outside.
func (c Comparer) near(spread []map[pointKey]point, key pointKey, p point) bool {
	if c.within(spread, key, p) {
		return true
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, run := range spread {
		if q, ok := run[key]; ok && q.h == nil && !math.IsNaN(q.f) {
			lo, hi = min(lo, q.f), max(hi, q.f)
		}
	}
	return p.h == nil && lo-(hi-lo) <= p.f && p.f <= hi+(hi-lo)
}

// withErrors adds an error to each sum, average, deviation and variance of a query. It returns false if there are none.
func withErrors(query string, next func() float64) (string, bool) {
	expr, err := Parser().ParseExpr(query)
	if err != nil {
		return "", false
	}
	e := erring{next: next}
	e.visit(&expr)
	return expr.String(), e.some && e.err == nil
}

type erring struct {
	next func() float64
	some bool
	err  error
}

func (e *erring) visit(slot *parser.Expr) {
	switch n := (*slot).(type) {
	case *parser.ParenExpr:
		e.visit(&n.Expr)
	case *parser.UnaryExpr:
		e.visit(&n.Expr)
	case *parser.Call:
		for i := range n.Args {
			e.visit(&n.Args[i])
		}
	case *parser.BinaryExpr:
		e.visit(&n.LHS)
		e.visit(&n.RHS)
	case *parser.SubqueryExpr:
		e.visit(&n.Expr)
		if n.Expr.Type() == parser.ValueTypeVector {
			n.Expr = &parser.ParenExpr{Expr: n.Expr}
		}
	case *parser.AggregateExpr:
		e.visit(&n.Expr)
		if n.Param != nil {
			e.visit(&n.Param)
		}
		e.aggregate(slot, n)
	}
}

// aggregate puts an aggregation with an error in its place. The error is relative to the values' magnitude, not to that of their sum,
// of which they may leave nothing. Errors that are not finite are none, and what is no float, histograms, is scaled.
func (e *erring) aggregate(slot *parser.Expr, n *parser.AggregateExpr) {
	named := slices.Contains(n.Grouping, model.MetricNameLabel) && !n.Without
	if named { // arithmetic would drop the name
		a := *n
		a.Grouping = append(slices.DeleteFunc(slices.Clone(n.Grouping), func(l string) bool { return l == model.MetricNameLabel }), keptName)
		inner, err := Parser().ParseExpr(fmt.Sprintf("label_replace(%s, %q, \"$1\", %q, \"(.*)\")", n.Expr, keptName, model.MetricNameLabel))
		if err != nil {
			e.err = err
			return
		}
		a.Expr = inner
		n = &a
	}
	of := func(op parser.ItemType, format string) string {
		a := *n
		a.Op = op
		inner, err := Parser().ParseExpr(fmt.Sprintf(format, n.Expr))
		if err != nil {
			e.err = err
			return ""
		}
		a.Expr = inner
		return a.String()
	}
	x := strconv.FormatFloat(e.next(), 'g', -1, 64)
	scaled := fmt.Sprintf("(%s) * (1 + %s)", n, x)
	var with string
	switch n.Op {
	case parser.SUM, parser.AVG:
		with = fmt.Sprintf("((%s) + (%s * %s > -Inf < Inf) or %s)", scaled, x, of(n.Op, "abs(%s)"), scaled)
	case parser.STDVAR:
		with = fmt.Sprintf("(clamp_min((%s) + (%s * %s > -Inf < Inf), 0) or %s)", n, x, of(parser.AVG, "(%s) ^ 2"), scaled)
	case parser.STDDEV:
		with = fmt.Sprintf("(sqrt(clamp_min((%s) + (%s * %s > -Inf < Inf), 0)) or %s)", of(parser.STDVAR, "%s"), x, of(parser.AVG, "(%s) ^ 2"), scaled)
	default:
		return
	}
	if named {
		with = fmt.Sprintf("label_replace(label_replace(%s, %q, \"$1\", %q, \"(.*)\"), %[3]q, \"\", \"\", \"\")", with, model.MetricNameLabel, keptName)
	}
	expr, err := Parser().ParseExpr(with)
	if err != nil {
		e.err = err
		return
	}
	*slot, e.some = expr, true
}

var longNumber = regexp.MustCompile(`\d+(\.\d+)?(e[+-]\d+)?`)

// roundedLabels rounds numbers in labels, which count_values puts there, and adds up what becomes one.
func roundedLabels(points map[pointKey]point) map[pointKey]point {
	out := make(map[pointKey]point, len(points))
	for key, p := range points {
		key.labels = longNumber.ReplaceAllStringFunc(key.labels, func(s string) string {
			if len(s) < 12 {
				return s
			}
			f, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return s
			}
			return strconv.FormatFloat(f, 'g', 10, 64)
		})
		if q, ok := out[key]; ok && p.h == nil && q.h == nil {
			p.f += q.f
		}
		out[key] = p
	}
	return out
}
