package scan

import (
	"context"
	"sort"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/window"
)

// Raw is a matrix selector that is the whole of an instant query: the samples of the windows
// themselves. It is the only operator of its plan; its rows have no steps, so they go to no batch.
type Raw struct {
	q       *operators.Query
	sel     *Selector
	spec    window.Spec
	loaders []loader
	series  []promql.Series

	mu    sync.Mutex
	found map[string]struct{} // labels of the series with samples
}

// NewRaw takes the windows of sel at the only step of spec's grid.
func NewRaw(q *operators.Query, sel *Selector, spec window.Spec) *Raw {
	sel.schema = operators.NewSchema()
	sel.StartTimestamps = q.UseStartTimestamps && (spec.Anchored || spec.Smoothed)
	return &Raw{q: q, sel: sel, spec: spec}
}

// Describe implements operators.Operator.
func (r *Raw) Describe() string { return "scan samples of " + r.sel.Text }

// Schema implements operators.Operator.
func (r *Raw) Schema() *operators.Schema { return r.sel.schema }

// Takes implements operators.Operator; there are no inputs.
func (r *Raw) Takes(int) operators.Edge { return operators.Fold }

// Bind implements operators.Operator.
func (r *Raw) Bind(ctx context.Context) error {
	r.loaders = make([]loader, r.q.Workers)
	for i := range r.loaders {
		r.loaders[i].sel = r.sel
	}
	err := r.sel.Bind(ctx, r.q)
	r.series = make([]promql.Series, r.sel.schema.Len())
	r.found = make(map[string]struct{}, r.sel.schema.Len())
	return err
}

// Extend implements operators.Operator.
func (r *Raw) Extend() error { return nil }

// Open implements operators.Operator.
func (r *Raw) Open(operators.StepRange) error { return nil }

// Close implements operators.Operator.
func (r *Raw) Close() {
	r.loaders = nil
	r.sel.release()
}

// Morsels is the number of series, each of which is collected on its own.
func (r *Raw) Morsels() int { return len(r.series) }

// Collect reads series i. Any worker may, concurrently for different series.
func (r *Raw) Collect(w *operators.Worker, i int) error {
	if err := r.q.Err(); err != nil {
		return err
	}
	lo, hi := r.spec.Span(operators.StepRange{To: 1})
	l := &r.loaders[w.ID]
	l.poison = w.Poison
	if err := l.take(i, 1, lo, hi); err != nil {
		return err
	}
	in, err := l.load(i, 0, lo, hi, nil) // nothing is kept
	if err != nil {
		return err
	}
	stripStale(in)
	if r.spec.Range == 0 {
		return nil
	}
	t, f := in.T, in.F
	if r.spec.Anchored || r.spec.Smoothed {
		if t, f, err = r.spec.Extend(0, in); err != nil {
			return err
		}
	}
	s := promql.Series{Metric: r.sel.schema.Labels(i)}
	n := int64(len(t))
	if len(t) > 0 {
		s.Floats = make([]promql.FPoint, len(t))
		for k := range t {
			s.Floats[k] = promql.FPoint{T: t[k], F: f[k]}
		}
	}
	for k, h := range in.H {
		s.Histograms = append(s.Histograms, promql.HPoint{T: in.HT[k], H: h.Copy()}) // spans may be those of the next histogram
		n += operators.HistogramSamples(h)
	}
	r.series[i] = s
	if n > 0 && !r.first(s.Metric) {
		return operators.ErrSameLabelset
	}
	for _, u := range r.sel.Uses {
		u.Scope.Counts(w).Add(0, n, n)
	}
	if err := r.q.ConsumeSamples(n); err != nil {
		return err
	}
	if err := r.q.Hold(n); err != nil {
		return err
	}
	const sampleBytes = 16
	return r.q.Grow(n * sampleBytes)
}

// first tells whether no series of the same labels had samples before.
func (r *Raw) first(l labels.Labels) bool {
	key := string(l.Bytes(nil))
	r.mu.Lock()
	defer r.mu.Unlock()
	_, again := r.found[key]
	r.found[key] = struct{}{}
	return !again
}

// Matrix is the series that have samples, sorted by labels.
func (r *Raw) Matrix() promql.Matrix {
	m := make(promql.Matrix, 0, len(r.series))
	for _, s := range r.series {
		if len(s.Floats)+len(s.Histograms) > 0 {
			m = append(m, s)
		}
	}
	sort.Sort(m)
	return m
}
