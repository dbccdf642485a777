package binary

import (
	"errors"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/operators"
)

// trouble is what is to be said about one pair of samples.
type trouble uint8

const (
	noTrouble trouble = iota
	floatFloat
	floatHistogram
	histogramFloat
	histogramHistogram
	incompatibleSchemas // exponential and custom buckets
	resetCollision      // of counter reset hints
	boundsReconciled    // custom buckets cut down to common bounds; the only trouble that has a result
	invalidLayout       // fails the query
	troubles            // number of kinds
)

// drops tells whether there is no result.
func (t trouble) drops() bool { return t != noTrouble && t != boundsReconciled }

// annotation is t in Prometheus' words, nil where there is nothing to annotate.
func (e *elementwise) annotation(t trouble, pos posrange.PositionRange) error {
	op := parser.ItemTypeStr[e.op]
	operation := annotations.HistogramAdd
	if e.op == parser.SUB {
		operation = annotations.HistogramSub
	}
	switch t {
	case floatFloat:
		return annotations.NewIncompatibleTypesInBinOpInfo("float", op, "float", pos)
	case floatHistogram:
		return annotations.NewIncompatibleTypesInBinOpInfo("float", op, "histogram", pos)
	case histogramFloat:
		return annotations.NewIncompatibleTypesInBinOpInfo("histogram", op, "float", pos)
	case histogramHistogram:
		return annotations.NewIncompatibleTypesInBinOpInfo("histogram", op, "histogram", pos)
	case incompatibleSchemas:
		return annotations.NewIncompatibleBucketLayoutInBinOpWarning(op, pos)
	case resetCollision:
		return annotations.NewHistogramCounterResetCollisionWarning(pos, operation)
	case boundsReconciled:
		return annotations.NewMismatchedCustomBucketsHistogramsInfo(pos, operation)
	default:
		return nil
	}
}

// incompatible is the trouble that the operator has with the types of two samples, each a
// histogram or a float.
func (e *elementwise) incompatible(left, right bool) trouble {
	switch {
	case !left && !right:
		if e.trim {
			return floatFloat
		}
	case !left && right:
		if e.op != parser.MUL {
			return floatHistogram
		}
	case left && !right:
		if e.op != parser.MUL && e.op != parser.DIV && !e.trim {
			return histogramFloat
		}
	default:
		switch e.op {
		case parser.ADD, parser.SUB, parser.EQLC, parser.NEQ:
		default:
			return histogramHistogram
		}
	}
	return noTrouble
}

// drops tells whether histograms would have no result, if that is known without computing it. The histogram of a side that is
// a float is nil.
func (e *elementwise) drops(left, right *histogram.FloatHistogram) (drops, known bool) {
	if e.incompatible(left != nil, right != nil).drops() {
		return true, true
	}
	switch {
	case e.op != parser.ADD && e.op != parser.SUB:
		return false, true
	case left.Schema != right.Schema:
		return false, false
	}
	hints := [...]histogram.CounterResetHint{left.CounterResetHint, right.CounterResetHint}
	collide := slices.Contains(hints[:], histogram.CounterReset) && slices.Contains(hints[:], histogram.NotCounterReset)
	return false, !collide
}

// histograms computes left OP right where at least one of the two is a histogram, or the operator is
// for histograms only; the histogram of a side that is a float is nil. keep is the outcome of a
// comparison, else true. err is the reason of invalidLayout. The operands are not written to; the
// result may be one of them, else it is of the arena.
func (e *elementwise) histograms(a *operators.HistogramArena, lf, rf float64, lh, rh *histogram.FloatHistogram) (h *histogram.FloatHistogram, keep bool, t trouble, err error) {
	if t := e.incompatible(lh != nil, rh != nil); t != noTrouble {
		return nil, false, t, nil
	}
	switch e.op {
	case parser.MUL:
		if lh == nil {
			return a.Duplicate(rh).Mul(lf).Compact(0), true, noTrouble, nil
		}
		return a.Duplicate(lh).Mul(rf).Compact(0), true, noTrouble, nil
	case parser.DIV:
		return a.Duplicate(lh).Div(rf).Compact(0), true, noTrouble, nil
	case parser.TRIM_UPPER, parser.TRIM_LOWER:
		return a.Duplicate(lh).TrimBuckets(rf, e.op == parser.TRIM_UPPER), true, noTrouble, nil
	case parser.EQLC:
		return lh, lh.Equals(rh), noTrouble, nil
	case parser.NEQ:
		return lh, !lh.Equals(rh), noTrouble, nil
	}
	var collision, reconciled bool
	if e.op == parser.ADD {
		h, collision, reconciled, err = a.Duplicate(lh).Add(rh)
	} else {
		h, collision, reconciled, err = a.Duplicate(lh).Sub(rh)
	}
	switch {
	case errors.Is(err, histogram.ErrHistogramsIncompatibleSchema):
		return nil, false, incompatibleSchemas, nil
	case err != nil:
		return nil, false, invalidLayout, err
	case collision:
		return nil, false, resetCollision, nil
	case reconciled:
		t = boundsReconciled
	}
	if e.op == parser.SUB {
		h.CounterResetHint = histogram.GaugeType
	}
	return h.Compact(0), true, t, nil
}
