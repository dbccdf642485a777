package main

import (
	"errors"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/promql/parser"
)

// defaultTolerance is how far Stride's values may be from those of Prometheus where they are not equal, relative to the larger.
const defaultTolerance = 1e-12

// toleranceFlag is a tolerance that was given, or that which the documentation states.
type toleranceFlag struct {
	value float64
	given bool
}

// Set implements kingpin.Value.
func (t *toleranceFlag) Set(s string) error {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0) {
		return errors.New("--tolerance must be a number that is not negative, such as 1e-9")
	}
	t.value, t.given = v, true
	return nil
}

// String implements kingpin.Value.
func (t *toleranceFlag) String() string {
	if !t.given {
		return ""
	}
	return strconv.FormatFloat(t.value, 'g', -1, 64)
}

// of is the tolerance for a query: instant ones have none, but for sums and averages over time, which slide from window to window.
func (t *toleranceFlag) of(expr string, instant bool) float64 {
	if t.given {
		return t.value
	}
	if instant && !slides(expr) {
		return 0
	}
	return defaultTolerance
}

func slides(expr string) (found bool) {
	e, err := anyParser.ParseExpr(expr)
	if err != nil {
		return true
	}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if call, ok := n.(*parser.Call); ok {
			found = found || call.Func.Name == "sum_over_time" || call.Func.Name == "avg_over_time"
		}
		return nil
	})
	return found
}

// anyParser reads all that a server may understand.
var anyParser = parser.NewParser(parser.Options{
	EnableExperimentalFunctions: true,
	EnableBinopFillModifiers:    true,
	EnableUnquotedUTF8Names:     true,
})

// equalWithin compares values. All NaN are equal, as the API does not tell one from the other.
func equalWithin(a, b, tolerance float64) bool {
	switch {
	case a == b || math.IsNaN(a) && math.IsNaN(b):
		return true
	case math.IsInf(a, 0) || math.IsInf(b, 0):
		return false
	}
	return math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b))
}

// resultOrder says how far a query decides on the order of its result.
type resultOrder uint8

const (
	unordered resultOrder = iota
	orderedByValue
	ordered
)

// ordering is how far a query decides on the order of its result.
func ordering(expr string, instant bool) resultOrder {
	e, err := anyParser.ParseExpr(expr)
	if err != nil || !instant {
		return unordered
	}
	for {
		p, ok := e.(*parser.ParenExpr)
		if !ok {
			break
		}
		e = p.Expr
	}
	switch e := e.(type) {
	case *parser.AggregateExpr:
		if e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
			return orderedByValue
		}
	case *parser.Call:
		switch e.Func.Name {
		case "sort", "sort_desc":
			return orderedByValue
		case "sort_by_label", "sort_by_label_desc":
			return ordered
		}
	}
	return unordered
}
