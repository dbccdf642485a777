package scan

import (
	"context"
	"math"
	"sort"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/window"
)

// Window is the fused leaf of a range function over a selector: select, decode, window and
// function of one series while its samples are in cache. It is a Source; its inputs are the folded
// ones among the function's scalar parameters, in argument order.
type Window struct {
	q       *operators.Query
	sel     *Selector
	app     *window.Application
	counted bool

	params  []*operators.Scalar // folded ones
	schema  *operators.Schema
	r       operators.StepRange
	rows    int
	ahead   ahead
	workers []windowWorker
}

type windowWorker struct {
	loader loader
	eval   *window.Evaluator
	pos    []window.Positions // where the function over the current series stands in the query
	uses   []*Use             // that keep the current series
	sizes  []int64            // running sizes of the series' histograms
}

// NewWindow applies app to the windows of sel. A smoothed instant selector, which Prometheus leaves out of
// the sample statistics, counts towards the query-cost limits alone.
func NewWindow(q *operators.Query, sel *Selector, app *window.Application) *Window {
	sel.schema = operators.NewSchema()
	sel.StartTimestamps = q.UseStartTimestamps && app.Function.StartTimestamps
	w := &Window{q: q, sel: sel, app: app, schema: sel.schema, counted: app.Function.Name != window.Smooth.Name}
	if !app.Function.KeepName {
		w.schema = operators.NamelessSchema(q, sel.schema)
	}
	for _, p := range app.Params {
		if _, constant := p.Constant(); !constant {
			w.params = append(w.params, p)
		}
	}
	return w
}

// Describe implements operators.Operator.
func (s *Window) Describe() string {
	return "scan " + s.app.Function.Name + " of " + strings.TrimSpace(s.sel.Text)
}

// Schema implements operators.Operator: the series in the storage's order.
func (s *Window) Schema() *operators.Schema { return s.schema }

// Takes implements operators.Operator: parameters are folded.
func (s *Window) Takes(int) operators.Edge { return operators.Fold }

// Bind implements operators.Operator.
func (s *Window) Bind(ctx context.Context) error {
	s.workers = make([]windowWorker, s.q.Workers)
	for i := range s.workers {
		s.workers[i] = windowWorker{loader: loader{sel: s.sel}, eval: s.app.NewEvaluator()}
	}
	if s.app.Spec.Grid.Steps == 0 {
		s.sel.schema.SetComplete()
		return nil
	}
	return s.sel.Bind(ctx, s.q)
}

// Extend implements operators.Operator.
func (s *Window) Extend() error { return nil }

// samplesApart is how far apart (ms) samples are taken to be where only the work they make is to be told.
const samplesApart = 30_000

// morselSize is the number of series in a morsel: where windows are long and steps few, samples are the work.
func (s *Window) morselSize(r operators.StepRange) int {
	if r.Len() == 0 {
		return s.sel.morselSize(s.q, 0)
	}
	lo, hi := s.app.Spec.Span(r)
	return s.sel.morselSize(s.q, max(r.Len(), int(min((hi-lo)/samplesApart, math.MaxInt32))))
}

// Open implements operators.Operator.
func (s *Window) Open(r operators.StepRange) error {
	s.r, s.rows = r, s.morselSize(r)
	s.ahead.open(r)
	for _, p := range s.params {
		p.Open(r)
	}
	return nil
}

// Close implements operators.Operator.
func (s *Window) Close() {
	s.workers = nil
	s.ahead.forget()
	s.sel.release()
}

// Fold implements operators.Sink for the parameters.
func (s *Window) Fold(_ *operators.Worker, input int, b *operators.Batch, seg operators.StepRange) error {
	s.params[input].Fold(b, seg)
	return nil
}

// Finish implements operators.Sink.
func (s *Window) Finish(context.Context, int) error { return nil }

// Morsels implements operators.Source.
func (s *Window) Morsels() int { return (s.sel.schema.Len() + s.rows - 1) / s.rows }

// Notify implements Ahead.
func (s *Window) Notify(fn func()) { s.sel.onPublish = fn }

// ForgetAhead implements Ahead.
func (s *Window) ForgetAhead() { s.ahead.forget() }

// ReadAhead implements Ahead. Parameters are not there yet: with any that is no constant there is nothing to be read.
func (s *Window) ReadAhead(w *operators.Worker, r operators.StepRange) (int64, bool) {
	if r.Len() == 0 || len(s.params) > 0 {
		return 0, false
	}
	rows := s.morselSize(r)
	return s.ahead.read(s.q, r, rows, s.sel.known(), func(m int) (*operators.Batch, error) { return s.read(w, r, m*rows, rows) })
}

// Read implements operators.Source.
func (s *Window) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	if t, ok := s.ahead.take(m); ok {
		return t.batch, t.err
	}
	first := m * s.rows
	return s.read(w, s.r, first, min(s.rows, s.sel.schema.Len()-first))
}

// read reads rows series at the steps r.
func (s *Window) read(w *operators.Worker, r operators.StepRange, first, rows int) (*operators.Batch, error) {
	lo, hi := s.app.Spec.Span(r)
	ww := &s.workers[w.ID]
	ww.loader.poison = w.Poison
	if err := ww.loader.take(first, rows, lo, hi); err != nil {
		return nil, err
	}
	b := w.Batch(first, rows, r.From, r.Len())
	series := 0
	metric := func() labels.Labels { return ww.loader.known.labels[series] }
	read := int64(0)
	for row := range rows {
		if err := s.q.Err(); err != nil {
			return nil, err
		}
		in, err := ww.loader.load(first, row, lo, hi, b.Arena())
		if err != nil {
			return nil, err
		}
		stripStale(in)
		series = first + row
		ww.choose(s.sel.Uses, series)
		bounds, err := ww.eval.Eval(r, in, metric, ww.pos, b.Column(row))
		if err != nil {
			return nil, err
		}
		read += s.count(w, ww, r, in, bounds)
	}
	return b, s.q.ConsumeSamples(read)
}

// choose finds the uses that keep a series.
func (ww *windowWorker) choose(uses []*Use, series int) {
	ww.uses, ww.pos = ww.uses[:0], ww.pos[:0]
	for i, u := range uses {
		if !ww.loader.known.has(i, series) {
			continue
		}
		ww.uses = append(ww.uses, u)
		if u.Pos != nil {
			ww.pos = append(ww.pos, *u.Pos)
		}
	}
}

// count counts the samples of the windows: all of them at every step, and as read those that no window of an earlier step held. It gives
// how many were read for all uses together, as the query-cost limits count them.
func (s *Window) count(w *operators.Worker, ww *windowWorker, r operators.StepRange, in *operators.Samples, b *window.Bounds) int64 {
	seen, seenH := int32(0), int32(0)
	before, ok := s.app.Spec.ReadBefore(r.From)
	if ok {
		seen = int32(sort.Search(len(in.T), func(i int) bool { return in.T[i] > before }))
		seenH = int32(sort.Search(len(in.HT), func(i int) bool { return in.HT[i] > before }))
	}
	fresh := ok || r.From == 0 // with a fixed window only the first step reads
	if b.HLo == nil && !s.app.Spec.Fixed {
		if consumed, ok := s.countFloats(w, ww, r, b, seen); ok {
			return consumed
		}
	}
	ww.sizes = runningSizes(ww.sizes[:0], in.H)
	all, allRead, consumed := int64(0), int64(0), int64(0)
	perStep := false
	for _, u := range ww.uses {
		c := u.Scope.Counts(w)
		perStep = perStep || c.PerStep || c.From > r.From
	}
	for i := range b.Lo {
		total := int64(b.Hi[i] - b.Lo[i])
		read := int64(0)
		if fresh {
			read = int64(b.Hi[i] - max(b.Lo[i], seen))
		}
		seen = max(seen, b.Hi[i])
		if b.HLo != nil {
			total += ww.sizes[b.HHi[i]] - ww.sizes[b.HLo[i]]
			if fresh {
				read += ww.sizes[b.HHi[i]] - ww.sizes[max(b.HLo[i], min(seenH, b.HHi[i]))]
			}
			seenH = max(seenH, b.HHi[i])
		}
		if s.app.Spec.Fixed {
			fresh = false
		}
		read = max(read, 0)
		all += total
		allRead += read
		if perStep {
			for _, u := range ww.uses {
				if c := u.Scope.Counts(w); r.From+i >= c.From {
					s.add(c, r.From+i, total, read)
					consumed += read
				}
			}
		}
	}
	if !perStep {
		for _, u := range ww.uses {
			s.add(u.Scope.Counts(w), 0, all, allRead)
			consumed += allRead
		}
	}
	return consumed
}

// countFloats is count where there are floats alone and no step has to be known; false where there are others.
func (s *Window) countFloats(w *operators.Worker, ww *windowWorker, r operators.StepRange, b *window.Bounds, seen int32) (consumed int64, ok bool) {
	for _, u := range ww.uses {
		if c := u.Scope.Counts(w); c.PerStep || c.From > r.From {
			return 0, false
		}
	}
	total, read := int64(0), int64(0)
	his := b.Hi[:len(b.Lo)]
	for i, lo := range b.Lo {
		hi := his[i]
		total += int64(hi - lo)
		read += int64(max(0, hi-max(lo, seen)))
		seen = max(seen, hi)
	}
	for _, u := range ww.uses {
		s.add(u.Scope.Counts(w), 0, total, read)
		consumed += read
	}
	return consumed, true
}

func (s *Window) add(c *operators.Counts, step int, total, read int64) {
	if s.counted {
		c.Add(step, total, read)
	}
}

// runningSizes gives, at index i, the size in samples of the first i histograms.
func runningSizes(dst []int64, hs []*histogram.FloatHistogram) []int64 {
	sum := int64(0)
	dst = append(dst, 0)
	for _, h := range hs {
		sum += operators.HistogramSamples(h)
		dst = append(dst, sum)
	}
	return dst
}

var (
	_ Ahead          = (*Window)(nil)
	_ operators.Sink = (*Window)(nil)
)
