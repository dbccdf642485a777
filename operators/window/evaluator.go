package window

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/operators"
)

// Application is a function applied to the windows of a selector or a subquery: what is the same
// for all series and workers.
type Application struct {
	Function Function
	Spec     Spec
	Params   []*operators.Scalar // without the matrix argument
	Query    *operators.Query
}

// Evaluator evaluates an Application over one series after the other, for one worker.
type Evaluator struct {
	app    *Application
	kernel Kernel
	bounds Bounds
	call   Call
}

// NewEvaluator makes an evaluator for one worker.
func (a *Application) NewEvaluator() *Evaluator {
	e := &Evaluator{app: a, kernel: a.Function.NewKernel()}
	e.call = Call{Spec: &a.Spec, Params: a.Params, Query: a.Query}
	return e
}

// Eval evaluates the function at the steps r over a series' samples, which hold no stale markers,
// into an empty column. Annotations go to all the places pos of the query. The bounds are valid until the next call.
func (e *Evaluator) Eval(r operators.StepRange, in *operators.Samples, metric func() labels.Labels, pos []Positions, out operators.Column) (*Bounds, error) {
	e.app.Spec.Bounds(r, in, &e.bounds)
	e.call.Steps, e.call.In, e.call.Bounds, e.call.Metric, e.call.Pos = r, in, &e.bounds, metric, pos
	if err := e.kernel.Run(&e.call, out); err != nil {
		return nil, err
	}
	e.noteNonCounter(out)
	return &e.bounds, nil
}

// noteNonCounter tells the user when rate or increase gave a result for what is not named, or not
// typed, as a counter.
func (e *Evaluator) noteNonCounter(out operators.Column) {
	if name := e.app.Function.Name; name != "rate" && name != "increase" || !hasFloat(out) {
		return
	}
	metric := e.call.Metric()
	name := metric.Get(model.MetricNameLabel)
	if name == "" {
		return
	}
	if e.app.Query.TypeAndUnitLabels {
		switch kind := metric.Get(model.MetricTypeLabel); kind {
		case string(model.MetricTypeCounter), string(model.MetricTypeHistogram):
		default:
			for _, p := range e.call.Pos {
				e.app.Query.AnnotateUse(annotations.NewPossibleNonCounterLabelInfo(name, kind, p.First), p.Use)
			}
		}
		return
	}
	for _, suffix := range [...]string{"_total", "_sum", "_count", "_bucket"} {
		if strings.HasSuffix(name, suffix) {
			return
		}
	}
	for _, p := range e.call.Pos {
		e.app.Query.AnnotateUse(annotations.NewPossibleNonCounterInfo(name, p.First), p.Use)
	}
}

func hasFloat(c operators.Column) bool {
	for i := 0; i < c.Len(); i += 64 {
		if c.Floats(i, min(64, c.Len()-i)) != 0 {
			return true
		}
	}
	return false
}

// Span is the interval [lo, hi] of times that the windows of the steps r, which has at least one, cover.
func (s *Spec) Span(r operators.StepRange) (lo, hi int64) {
	lo, _ = s.interval(r.From)
	_, hi = s.interval(r.To - 1)
	return lo + 1, hi
}

// ReadBefore is the end of the window of the step before step: samples up to there have been read when step
// is evaluated. ok is false when there is none.
func (s *Spec) ReadBefore(step int) (t int64, ok bool) {
	if step == 0 || s.Fixed {
		return 0, false
	}
	_, t = s.interval(step - 1)
	return t, true
}

// AnchoredFunctions names the functions that an anchored selector may be given to, for an error.
func AnchoredFunctions() string { return names(promql.AnchoredSafeFunctions) }

// SmoothedFunctions names the functions that a smoothed range selector may be given to, for an error.
func SmoothedFunctions() string { return names(promql.SmoothedSafeFunctions) }

func names(set map[string]struct{}) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}
