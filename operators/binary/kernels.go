package binary

import (
	"math"
	"math/bits"

	"github.com/prometheus/prometheus/promql/parser"
)

// block is the most positions that a kernel is given at once: those of one word of bits.
const block = 64

// arithmetic sets dst[i] = a[i] OP b[i] at least where mask has bit i set. dst may be a or b; all
// have the same length, at most block.
type arithmetic func(dst, a, b []float64, mask uint64)

// comparison tells for which i a[i] OP b[i] holds. Both have the same length, at most block.
type comparison func(a, b []float64) uint64

// elementwise is what an operator does with two samples. Exactly one of arith, cmp and trim is set.
type elementwise struct {
	op         parser.ItemType
	arith      arithmetic
	cmp        comparison
	trim       bool // histograms only
	returnBool bool // of a comparison
}

func newElementwise(op parser.ItemType, returnBool bool) elementwise {
	e := elementwise{op: op, returnBool: returnBool}
	switch op {
	case parser.ADD:
		e.arith = add
	case parser.SUB:
		e.arith = subtract
	case parser.MUL:
		e.arith = multiply
	case parser.DIV:
		e.arith = divide
	case parser.POW:
		e.arith = masked(math.Pow)
	case parser.MOD:
		e.arith = masked(math.Mod)
	case parser.ATAN2:
		e.arith = masked(math.Atan2)
	case parser.EQLC:
		e.cmp = equal
	case parser.NEQ:
		e.cmp = notEqual
	case parser.GTR:
		e.cmp = greater
	case parser.LSS:
		e.cmp = less
	case parser.GTE:
		e.cmp = greaterEqual
	case parser.LTE:
		e.cmp = lessEqual
	case parser.TRIM_UPPER, parser.TRIM_LOWER:
		e.trim = true
	default:
		panic("binary: not an elementwise operator: " + op.String())
	}
	return e
}

// String is the operator as it is written in a query.
func (e *elementwise) String() string {
	if e.returnBool {
		return e.op.String() + " bool"
	}
	return e.op.String()
}

// changesSchema tells whether the result means something else than the operands, so that their
// metadata labels go.
func (e *elementwise) changesSchema() bool { return e.arith != nil }

// floats computes dst = a OP b for a left operand a where mask has bits set, and returns which of
// these positions have a result. A comparison that filters keeps the left operand.
func (e *elementwise) floats(dst, a, b []float64, mask uint64) uint64 {
	switch {
	case e.arith != nil:
		e.arith(dst, a, b, mask)
		return mask
	case e.returnBool:
		expand(dst, e.cmp(a, b))
		return mask
	default:
		copy(dst, a)
		return mask & e.cmp(a, b)
	}
}

// expand writes the bits of w as 0 and 1.
func expand(dst []float64, w uint64) {
	for i := range dst {
		dst[i] = float64(w & 1)
		w >>= 1
	}
}

func boolToFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func add(dst, a, b []float64, _ uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func subtract(dst, a, b []float64, _ uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

func multiply(dst, a, b []float64, _ uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func divide(dst, a, b []float64, _ uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] / b[i]
	}
}

// masked is the kernel of a function that is too dear to be called where there is no sample.
func masked(f func(a, b float64) float64) arithmetic {
	return func(dst, a, b []float64, mask uint64) {
		for ; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros64(mask)
			dst[i] = f(a[i], b[i])
		}
	}
}

// bit compiles to a conditional set, so that comparisons have no branch to mispredict.
func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func equal(a, b []float64) (w uint64) {
	b = b[:len(a)]
	for i, v := range a {
		w |= bit(v == b[i]) << (uint(i) & 63)
	}
	return w
}

func notEqual(a, b []float64) (w uint64) {
	b = b[:len(a)]
	for i, v := range a {
		w |= bit(v != b[i]) << (uint(i) & 63)
	}
	return w
}

func greater(a, b []float64) (w uint64) {
	b = b[:len(a)]
	for i, v := range a {
		w |= bit(v > b[i]) << (uint(i) & 63)
	}
	return w
}

func less(a, b []float64) (w uint64) {
	b = b[:len(a)]
	for i, v := range a {
		w |= bit(v < b[i]) << (uint(i) & 63)
	}
	return w
}

func greaterEqual(a, b []float64) (w uint64) {
	b = b[:len(a)]
	for i, v := range a {
		w |= bit(v >= b[i]) << (uint(i) & 63)
	}
	return w
}

func lessEqual(a, b []float64) (w uint64) {
	b = b[:len(a)]
	for i, v := range a {
		w |= bit(v <= b[i]) << (uint(i) & 63)
	}
	return w
}
