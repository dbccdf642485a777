package aggregate

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"
)

// accumulator is the state of one aggregation of floats as columns over positions (group x step).
//
// Positions start in a state that no first sample need be told from others by: adding it to 0 gives
// the bits of Prometheus' sums, which start with it (a sum of -0 becomes 0 when its compensation is
// added, for both), and the least and greatest value start at NaN, which every value replaces.
type accumulator interface {
	// width is the bytes of state of a position.
	width() int
	// reset lets all positions go.
	reset()
	// grow adds n positions without samples.
	grow(n int)
	// add takes samples of consecutive positions from at on.
	add(at int, f []float64)
	// addRows takes samples of any positions, f[i] at position at[i], in order.
	addRows(at []int32, f []float64)
	// results puts the values of consecutive positions from at on into dst. Those of positions
	// without samples mean nothing.
	results(at int, dst []float64)
}

// newAccumulator is the state of an aggregation that has one float result a group.
func newAccumulator(op parser.ItemType) accumulator {
	switch op {
	case parser.SUM:
		return &sums{}
	case parser.AVG:
		return &averages{}
	case parser.COUNT:
		return &counts{}
	case parser.GROUP:
		return ones{}
	case parser.MIN:
		return &minima{}
	case parser.MAX:
		return &maxima{}
	case parser.STDDEV:
		return &variances{root: true}
	case parser.STDVAR:
		return &variances{}
	}
	panic(fmt.Sprintf("aggregate: %s does not accumulate", op))
}
