package window

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/operators"
)

// Positions are the places in the query that annotations of a function point to.
type Positions struct {
	First  posrange.PositionRange // of the first argument, whichever it is
	Second posrange.PositionRange // of the second argument, where there is one
	All    posrange.PositionRange // of all arguments together
	Use    int                    // orders equal calls that are evaluated as one as the query has them
}

// Call is the evaluation of a function over one series at the steps of a range. Its fields but In,
// Bounds and Metric are the same for all series of a query's selector; a Call may be reused for the next series.
type Call struct {
	Spec  *Spec
	Steps operators.StepRange
	// In are the samples of the series, without stale markers. Start timestamps are taken into
	// account exactly where they are given, by functions that want them.
	In     *operators.Samples
	Bounds *Bounds // of Steps over In, by Spec.Bounds
	// Params are the function's scalar arguments in order, without the matrix argument.
	Params []*operators.Scalar
	// Metric are the labels of the series as selected (or as a subquery produced it). It is
	// asked only when an annotation may need them.
	Metric func() labels.Labels
	Query  *operators.Query // takes the annotations
	// Pos are the places of the function in the query: several where equal calls are evaluated as one.
	Pos []Positions
}

// Kernel evaluates a function. It holds scratch space, so every worker needs one of its own; it
// keeps nothing of a series after Run.
type Kernel interface {
	// Run puts the result at step c.Steps.From+i into step i of the column, which has Steps.Len()
	// steps and no sample. A step whose window is empty gets none. The column shares histograms with
	// c.In. An error is one that Prometheus fails the query with, at the first step that has one.
	Run(c *Call, out operators.Column) error
}

// histogramWindow is the range of histograms in the window of step i, counted from the first of the call.
func (b *Bounds) histogramWindow(i int) (lo, hi int) {
	if b.HLo == nil {
		return 0, 0
	}
	return int(b.HLo[i]), int(b.HHi[i])
}

// constantParams tells whether all scalar arguments are the same at every step.
func (c *Call) constantParams() bool {
	for _, p := range c.Params {
		if _, ok := p.Constant(); !ok {
			return false
		}
	}
	return true
}

// param is the value of a scalar argument at step i of the call.
func (c *Call) param(arg, i int) float64 { return c.Params[arg].At(c.Steps.From + i) }

// notes is a set of annotations that a series has caused; it is collected over the steps and made into
// annotations once.
type notes uint16

const (
	noteMixedFloatsHistograms notes = 1 << iota
	noteMixedExponentialCustom
	noteNotCounter
	noteNotGauge
	noteMismatchedBucketsSub
	noteMismatchedBucketsAdd
	noteMismatchedBucketsAgg
	noteCounterResetCollision
	noteHistogramIgnored
	noteStartTimeOverlap // counted by window: see overlapWarning
)

// place is one of the places that Positions has.
type place func(Positions) posrange.PositionRange

func firstArg(p Positions) posrange.PositionRange { return p.First }
func allArgs(p Positions) posrange.PositionRange  { return p.All }

// annotate adds the annotations of a set, at a place of each call that this one stands for.
func (c *Call) annotate(n notes, at place) {
	if n == 0 {
		return
	}
	name := c.Metric().Get(model.MetricNameLabel)
	for _, p := range c.Pos {
		c.annotateAt(n, name, at(p), p.Use)
	}
}

func (c *Call) annotateAt(n notes, name string, pos posrange.PositionRange, use int) {
	for bit := notes(1); bit <= n; bit <<= 1 {
		switch n & bit {
		case noteMixedFloatsHistograms:
			c.Query.AnnotateUse(annotations.NewMixedFloatsHistogramsWarning(name, pos), use)
		case noteMixedExponentialCustom:
			c.Query.AnnotateUse(annotations.NewMixedExponentialCustomHistogramsWarning(name, pos), use)
		case noteNotCounter:
			c.Query.AnnotateUse(annotations.NewNativeHistogramNotCounterWarning(name, pos), use)
		case noteNotGauge:
			c.Query.AnnotateUse(annotations.NewNativeHistogramNotGaugeWarning(name, pos), use)
		case noteMismatchedBucketsSub:
			c.Query.AnnotateUse(annotations.NewMismatchedCustomBucketsHistogramsInfo(pos, annotations.HistogramSub), use)
		case noteMismatchedBucketsAdd:
			c.Query.AnnotateUse(annotations.NewMismatchedCustomBucketsHistogramsInfo(pos, annotations.HistogramAdd), use)
		case noteMismatchedBucketsAgg:
			c.Query.AnnotateUse(annotations.NewMismatchedCustomBucketsHistogramsInfo(pos, annotations.HistogramAgg), use)
		case noteCounterResetCollision:
			c.Query.AnnotateUse(annotations.NewHistogramCounterResetCollisionWarning(pos, annotations.HistogramAgg), use)
		case noteHistogramIgnored:
			c.Query.AnnotateUse(annotations.NewHistogramIgnoredInMixedRangeInfo(name, pos), use)
		}
	}
}
