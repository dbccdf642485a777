package aggregate

import (
	"math"

	"github.com/stride-promql/stride/operators"
)

// paramBounds are the least and the greatest value that an aggregation's parameter takes over the
// steps of a range, as Prometheus finds them over those of a query.
type paramBounds struct {
	min, max float64
	nan      bool // some value is NaN
}

func boundsOf(param *operators.Scalar, r operators.StepRange) paramBounds {
	if v, ok := param.Constant(); ok {
		return paramBounds{min: v, max: v, nan: math.IsNaN(v)}
	}
	b := paramBounds{min: math.MaxFloat64, max: -math.MaxFloat64}
	for step := r.From; step < r.To; step++ {
		v := param.At(step)
		b.min, b.max = math.Min(b.min, v), math.Max(b.max, v)
		b.nan = b.nan || math.IsNaN(v)
	}
	return b
}

// over are the bounds over a range and those before it: a new grid starts at step 0.
func (b paramBounds) over(next paramBounds, r operators.StepRange) paramBounds {
	if r.From == 0 {
		return next
	}
	return paramBounds{min: math.Min(b.min, next.min), max: math.Max(b.max, next.max), nan: b.nan || next.nan}
}
