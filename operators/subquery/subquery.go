// Package subquery holds the operator that applies a range function to the results of a subquery.
package subquery

import (
	"context"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/window"
)

// Window applies a range function to an inner vector that is evaluated on a grid of its own:
//
//	inner grid  . . . x x x x x x . . .     one row, all inner steps
//	                  |<-window->|
//	outer grid        .    .    X    .      the same row, outer steps
//
// It is a Stage: a row in gives a row out. Inputs: 0 the inner vector (Stream), then the folded ones among the
// function's scalar parameters in argument order.
type Window struct {
	q     *operators.Query
	in    *operators.Schema
	inner operators.Grid
	app   *window.Application
	pos   []window.Positions

	params  []*operators.Scalar
	schema  *operators.Schema
	r       operators.StepRange
	workers []worker
}

type worker struct {
	eval    *window.Evaluator
	samples operators.Samples
}

// NewWindow applies app to the windows of in, whose steps are those of inner. pos is where in the query.
func NewWindow(q *operators.Query, in *operators.Schema, inner operators.Grid, app *window.Application, pos window.Positions) *Window {
	s := &Window{q: q, in: in, inner: inner, app: app, pos: []window.Positions{pos}, schema: in}
	if !app.Function.KeepName {
		s.schema = operators.NamelessSchema(q, in)
	}
	for _, p := range app.Params {
		if _, constant := p.Constant(); !constant {
			s.params = append(s.params, p)
		}
	}
	return s
}

// Describe implements operators.Operator.
func (s *Window) Describe() string { return "subquery window " + s.app.Function.Name }

// Schema implements operators.Operator: the series of the input.
func (s *Window) Schema() *operators.Schema { return s.schema }

// Takes implements operators.Operator.
func (s *Window) Takes(input int) operators.Edge {
	if input == 0 {
		return operators.Stream
	}
	return operators.Fold
}

// Bind implements operators.Operator.
func (s *Window) Bind(context.Context) error {
	s.workers = make([]worker, s.q.Workers)
	for i := range s.workers {
		s.workers[i].eval = s.app.NewEvaluator()
	}
	return nil
}

// Extend implements operators.Operator.
func (s *Window) Extend() error { return nil }

// Open implements operators.Operator.
func (s *Window) Open(r operators.StepRange) error {
	s.r = r
	for _, p := range s.params {
		p.Open(r)
	}
	return nil
}

// Close implements operators.Operator.
func (s *Window) Close() { s.workers = nil }

// Fold implements operators.Sink for the parameters.
func (s *Window) Fold(_ *operators.Worker, input int, b *operators.Batch, seg operators.StepRange) error {
	s.params[input-1].Fold(b, seg)
	return nil
}

// Finish implements operators.Sink.
func (s *Window) Finish(context.Context, int) error { return nil }

// InputRange implements operators.Regridder: the inner steps that lie in the windows of r.
func (s *Window) InputRange(input int, r operators.StepRange) operators.StepRange {
	if input != 0 {
		return r
	}
	if s.inner.Steps == 0 || r.Len() == 0 {
		return operators.StepRange{}
	}
	lo, hi := s.app.Spec.Span(r)
	from := 0
	if lo > s.inner.Start {
		from = int((lo - s.inner.Start + s.inner.Interval - 1) / s.inner.Interval)
	}
	to := 0
	if hi >= s.inner.Start {
		to = int((hi-s.inner.Start)/s.inner.Interval) + 1
	}
	from, to = min(from, s.inner.Steps), min(to, s.inner.Steps)
	return operators.StepRange{From: from, To: max(from, to)}
}

// Process implements operators.Stage.
func (s *Window) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	out := w.Batch(b.First, b.Rows, s.r.From, s.r.Len())
	ww := &s.workers[w.ID]
	series := 0
	metric := func() labels.Labels { return s.in.Labels(series) }
	for row := range b.Rows {
		if err := s.q.Err(); err != nil {
			return nil, err
		}
		if b.Empty(row) {
			continue
		}
		series = b.First + row
		s.samples(&ww.samples, b, row)
		ww.samples.Arena = out.Arena()
		if _, err := ww.eval.Eval(s.r, &ww.samples, metric, s.pos, out.Column(row)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// samples makes the row of inner results the samples of a series, without stale markers.
func (s *Window) samples(dst *operators.Samples, b *operators.Batch, row int) {
	dst.Reset()
	lo, hi := row*b.Steps, (row+1)*b.Steps
	for p := b.Valid.Next(lo, hi); p < hi; p = b.Valid.Next(p+1, hi) {
		if value.IsStaleNaN(b.F[p]) {
			continue
		}
		dst.T = append(dst.T, s.inner.Time(b.From+p-lo))
		dst.F = append(dst.F, b.F[p])
	}
	if b.H == nil {
		return
	}
	for p := b.HValid.Next(lo, hi); p < hi; p = b.HValid.Next(p+1, hi) {
		h := b.H[p]
		if value.IsStaleNaN(h.Sum) {
			continue
		}
		if h.UsesCustomBuckets() && math.Float64bits(h.ZeroCount) != 0 {
			// Arithmetic may have left something in the zero bucket that such a histogram does not have.
			h = h.Copy()
		}
		switch h.CounterResetHint {
		case histogram.NotCounterReset, histogram.CounterReset:
			// The hint speaks of the sample before it in storage, which a subquery may have
			// skipped or returned twice.
			c := *h
			c.CounterResetHint = histogram.UnknownCounterReset
			h = &c
		}
		dst.HT = append(dst.HT, s.inner.Time(b.From+p-lo))
		dst.H = append(dst.H, h)
	}
}

var (
	_ operators.Stage     = (*Window)(nil)
	_ operators.Sink      = (*Window)(nil)
	_ operators.Regridder = (*Window)(nil)
)
