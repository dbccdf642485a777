package logicalplan

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// checkFunction refuses functions that are not Prometheus' own.
func checkFunction(f *parser.Function) error {
	if f == nil {
		return fmt.Errorf("call of an unknown function")
	}
	known, ok := parser.Functions[f.Name]
	if !ok {
		return fmt.Errorf("unknown function %s()", f.Name)
	}
	if known != f && (known.Variadic != f.Variadic || known.ReturnType != f.ReturnType || !slices.Equal(known.ArgTypes, f.ArgTypes)) {
		return fmt.Errorf("function %s() does not have the arguments and result that are known of it", f.Name)
	}
	return nil
}

// argType is the type of f's argument i; false if f takes no such argument.
func argType(f *parser.Function, i int) (parser.ValueType, bool) {
	last := len(f.ArgTypes) - 1
	switch {
	case f.Variadic == 0 && i > last, f.Variadic > 0 && i >= last+f.Variadic:
		return parser.ValueTypeNone, false
	default:
		return f.ArgTypes[min(i, last)], true
	}
}

func minArgs(f *parser.Function) int {
	if f.Variadic == 0 {
		return len(f.ArgTypes)
	}
	return len(f.ArgTypes) - 1
}

// aggregateParamType is the type of the parameter of an aggregation, ValueTypeNone if it has none.
func aggregateParamType(op parser.ItemType) (parser.ValueType, error) {
	switch op {
	case parser.SUM, parser.AVG, parser.COUNT, parser.MIN, parser.MAX, parser.GROUP, parser.STDDEV, parser.STDVAR:
		return parser.ValueTypeNone, nil
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO, parser.QUANTILE:
		return parser.ValueTypeScalar, nil
	case parser.COUNT_VALUES:
		return parser.ValueTypeString, nil
	default:
		return parser.ValueTypeNone, fmt.Errorf("unknown aggregation %s", op)
	}
}

func checkStartOrEnd(i parser.ItemType) error {
	switch i {
	case 0, parser.START, parser.END:
		return nil
	default:
		return fmt.Errorf("unknown time %s after @", i)
	}
}

// checkBinary refuses operators, types of operands and ways of matching that are not known.
func checkBinary(e *parser.BinaryExpr, l, r parser.ValueType) error {
	for _, t := range []parser.ValueType{l, r} {
		if t != parser.ValueTypeScalar && t != parser.ValueTypeVector {
			return fmt.Errorf("operand of %s is a %s, it must be a vector or scalar", e.Op, t)
		}
	}
	vectors := l == parser.ValueTypeVector && r == parser.ValueTypeVector
	scalars := l == parser.ValueTypeScalar && r == parser.ValueTypeScalar
	comparison, ok := isComparison(e.Op)
	switch {
	case !ok:
		return fmt.Errorf("unknown binary operator %s", e.Op)
	case e.ReturnBool && !comparison:
		return fmt.Errorf("operator %s cannot have the modifier bool", e.Op)
	case scalars && comparison && !e.ReturnBool:
		return fmt.Errorf("comparison %s of scalars needs the modifier bool", e.Op)
	case scalars && isTrim(e.Op):
		// Only histograms can be trimmed; Prometheus panics.
		return fmt.Errorf("operator %q not allowed for Scalar operations", e.Op)
	case isSet(e.Op) && !vectors:
		return fmt.Errorf("set operator %s needs vectors on both sides", e.Op)
	case vectors != (e.VectorMatching != nil):
		return fmt.Errorf("operator %s has matching rules but not vectors on both sides, or the reverse", e.Op)
	case !vectors:
		return nil
	}

	m := e.VectorMatching
	switch m.Card {
	case parser.CardOneToOne, parser.CardManyToOne, parser.CardOneToMany:
		if isSet(e.Op) {
			return fmt.Errorf("set operator %s cannot match %s", e.Op, m.Card)
		}
	case parser.CardManyToMany:
		if !isSet(e.Op) {
			return fmt.Errorf("operator %s cannot match %s", e.Op, m.Card)
		}
		if m.FillValues.LHS != nil || m.FillValues.RHS != nil {
			return fmt.Errorf("set operator %s cannot have fill values", e.Op)
		}
	default:
		return fmt.Errorf("operator %s has the unknown cardinality %d", e.Op, int(m.Card))
	}
	return nil
}

// isComparison tells comparisons from the other binary operators; ok is false for what is none.
func isComparison(op parser.ItemType) (comparison, ok bool) {
	switch op {
	case parser.EQLC, parser.NEQ, parser.GTR, parser.LSS, parser.GTE, parser.LTE:
		return true, true
	case parser.ADD, parser.SUB, parser.MUL, parser.DIV, parser.MOD, parser.POW, parser.ATAN2:
		return false, true
	default:
		return false, isSet(op) || isTrim(op)
	}
}

func isSet(op parser.ItemType) bool {
	return op == parser.LAND || op == parser.LOR || op == parser.LUNLESS
}

func isTrim(op parser.ItemType) bool {
	return op == parser.TRIM_UPPER || op == parser.TRIM_LOWER
}
