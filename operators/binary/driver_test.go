package binary

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

// relation is an input of an operator under test.
type relation struct {
	rows   []row
	schema *operators.Schema
	drop   bool // DropName of all series
	known  int  // series in the schema
	late   bool // series come into the schema with their batches
}

func newRelation(rng *rand.Rand, rows []row, drop bool) *relation {
	rel := &relation{rows: rows, schema: operators.NewSchema(), drop: drop, late: rng.Intn(2) == 0}
	if !rel.late {
		rel.grow(len(rows))
		rel.schema.SetComplete()
	}
	return rel
}

// grow brings the first n series into the schema.
func (rel *relation) grow(n int) {
	for ; rel.known < n; rel.known++ {
		rel.schema.Append(rel.rows[rel.known].labels, rel.drop)
	}
}

// driver plays the part of the physical plan for one operator.
type driver struct {
	t      *testing.T
	rng    *rand.Rand
	op     operators.Operator
	inputs []*relation
	grid   operators.Grid
	worker []*operators.Worker
	out    []row
	// parallel lets all workers at what may run concurrently.
	parallel bool
}

// run runs the operator over the grid, cut into ranges at random, and returns the result by row of the schema.
func (d *driver) run() ([]row, error) {
	defer d.op.Close()
	if err := d.op.Bind(context.Background()); err != nil {
		return nil, err
	}
	for from := 0; from < d.grid.Steps; {
		to := d.grid.Steps
		if d.rng.Intn(3) == 0 {
			to = from + 1 + d.rng.Intn(d.grid.Steps-from)
		}
		if err := d.runRange(operators.StepRange{From: from, To: to}); err != nil {
			return nil, err
		}
		from = to
	}
	return d.out, nil
}

func (d *driver) runRange(r operators.StepRange) error {
	if err := d.op.Open(r); err != nil {
		return err
	}
	stream := -1
	order := d.rng.Perm(len(d.inputs))
	for _, i := range order {
		if d.op.Takes(i) == operators.Stream {
			stream = i
			continue
		}
		err := d.feed(i, r, func(w *operators.Worker, b *operators.Batch) error {
			sink := d.op.(operators.Sink)
			if d.op.Takes(i) == operators.FoldRows {
				return sink.Fold(w, i, b, operators.StepRange{To: r.Len()})
			}
			var segments []operators.StepRange
			for at := 0; at < r.Len(); {
				end := at + 1 + d.rng.Intn(r.Len()-at)
				segments = append(segments, operators.StepRange{From: at, To: end})
				at = end
			}
			return d.each(len(segments), func(w *operators.Worker, k int) error {
				return sink.Fold(w, i, b, segments[k])
			})
		})
		if err != nil {
			return err
		}
		if err := d.op.(operators.Sink).Finish(context.Background(), i); err != nil {
			return err
		}
	}
	var err error
	if stream >= 0 {
		err = d.process(stream, r)
	} else {
		err = d.read(r)
	}
	if err != nil {
		return err
	}
	if a, ok := d.op.(operators.Annotator); ok {
		a.Annotate()
	}
	return nil
}

// process carries an input through the stage; with parallel, all batches at once.
func (d *driver) process(input int, r operators.StepRange) error {
	stage := d.op.(operators.Stage)
	var waiting []*operators.Batch
	err := d.feed(input, r, func(w *operators.Worker, b *operators.Batch) error {
		if d.parallel {
			waiting = append(waiting, b)
			return nil
		}
		out, err := stage.Process(w, b)
		if err != nil {
			return err
		}
		d.take(r, out)
		w.Release(out)
		return nil
	})
	if err != nil {
		return err
	}
	out := make([]*operators.Batch, len(waiting))
	err = d.each(len(waiting), func(w *operators.Worker, k int) (err error) {
		out[k], err = stage.Process(w, waiting[k])
		return err
	})
	if err != nil {
		return err
	}
	for _, b := range out {
		d.take(r, b)
	}
	return nil
}

// read reads the result of a blocking operator.
func (d *driver) read(r operators.StepRange) error {
	if err := d.op.Extend(); err != nil {
		return err
	}
	source := d.op.(operators.Source)
	out := make([]*operators.Batch, source.Morsels())
	err := d.each(len(out), func(w *operators.Worker, k int) (err error) {
		out[k], err = source.Read(w, k)
		return err
	})
	if err != nil {
		return err
	}
	next := 0
	for _, b := range out {
		require.Equal(d.t, next, b.First)
		next += b.Rows
		d.take(r, b)
	}
	require.Equal(d.t, d.op.Schema().Len(), next)
	return nil
}

// each calls f for 0 to n-1 and returns one of its errors.
func (d *driver) each(n int, f func(w *operators.Worker, k int) error) error {
	if !d.parallel {
		for k := range n {
			if err := f(d.anyWorker(), k); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, len(d.worker))
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for i, w := range d.worker {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < n && errs[i] == nil; k = int(next.Add(1)) - 1 {
				errs[i] = f(w, k)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) anyWorker() *operators.Worker { return d.worker[d.rng.Intn(len(d.worker))] }

// feed hands an input to f in batches of random sizes.
func (d *driver) feed(input int, r operators.StepRange, f func(*operators.Worker, *operators.Batch) error) error {
	rel := d.inputs[input]
	if !rel.late {
		rel.grow(len(rel.rows))
	}
	if err := d.op.Extend(); err != nil {
		return err
	}
	for first, morsel := 0, 0; first < len(rel.rows); morsel++ {
		n := 1 + d.rng.Intn(len(rel.rows)-first)
		if rel.known < first+n {
			rel.grow(first + n)
			if err := d.op.Extend(); err != nil {
				return err
			}
		}
		w := d.anyWorker()
		b := w.Batch(first, n, r.From, r.Len())
		b.Morsel = morsel
		for i := range n {
			for s := range r.Len() {
				switch v := rel.rows[first+i].values[r.From+s]; {
				case !v.present:
				case v.h != nil:
					b.SetHistogram(b.Pos(i, s), v.h)
				default:
					b.SetFloat(b.Pos(i, s), v.f)
				}
			}
		}
		b.Shared = d.rng.Intn(3) == 0
		var before *operators.Batch
		if b.Shared {
			before = b.Clone()
		}
		if err := f(w, b); err != nil {
			return err
		}
		if b.Shared {
			requireSameBatch(d.t, before, b)
		} else if d.op.Takes(input) != operators.Stream {
			w.Release(b)
		}
		first += n
	}
	return nil
}

func requireSameBatch(t *testing.T, want, got *operators.Batch) {
	for p := range want.F {
		require.Equal(t, want.Has(p), got.Has(p))
		require.Equal(t, want.HasHistogram(p), got.HasHistogram(p))
		if want.Valid.Get(p) {
			require.Equal(t, math.Float64bits(want.F[p]), math.Float64bits(got.F[p]))
		}
		if want.HasHistogram(p) {
			require.Same(t, want.H[p], got.H[p])
		}
	}
}

// take notes the samples of a result batch.
func (d *driver) take(r operators.StepRange, b *operators.Batch) {
	require.Equal(d.t, r.From, b.From)
	require.Equal(d.t, r.Len(), b.Steps)
	for len(d.out) < b.First+b.Rows {
		d.out = append(d.out, row{values: make([]value, d.grid.Steps)})
	}
	n := b.Rows * b.Steps
	if n%64 != 0 {
		require.Zero(d.t, b.Valid[len(b.Valid)-1]>>(n%64), "bits behind the end")
	}
	for i := range b.Rows {
		for s := range b.Steps {
			p := b.Pos(i, s)
			v := &d.out[b.First+i].values[r.From+s]
			require.False(d.t, b.Valid.Get(p) && b.HasHistogram(p), "both kinds at one position")
			switch {
			case b.HasHistogram(p):
				*v = value{present: true, h: b.H[p]}
			case b.Valid.Get(p):
				*v = value{present: true, f: b.F[p]}
			}
		}
	}
}

var errSame = errors.New("vector cannot contain metrics with the same labelset")

// mergeEqual joins rows with equal labels, as the operator that the planner puts behind others does.
func mergeEqual(rows []row) ([]row, error) {
	var out []row
	at := map[string]int{}
	for _, r := range rows {
		if r.empty() {
			continue
		}
		i, ok := at[r.labels.String()]
		if !ok {
			at[r.labels.String()] = len(out)
			out = append(out, row{labels: r.labels, values: slices.Clone(r.values)})
			continue
		}
		for s, v := range r.values {
			if !v.present {
				continue
			}
			if out[i].values[s].present {
				return nil, errSame
			}
			out[i].values[s] = v
		}
	}
	return out, nil
}

// matrix is the rows as Prometheus gives a result, sorted unless the order counts.
func matrix(rows []row, inOrder bool) promql.Matrix {
	out := promql.Matrix{}
	for _, r := range rows {
		s := promql.Series{Metric: r.labels}
		for i, v := range r.values {
			switch {
			case !v.present:
			case v.h != nil:
				s.Histograms = append(s.Histograms, promql.HPoint{T: int64(i) * interval, H: v.h})
			default:
				s.Floats = append(s.Floats, promql.FPoint{T: int64(i) * interval, F: v.f})
			}
		}
		if len(s.Floats)+len(s.Histograms) > 0 {
			out = append(out, s)
		}
	}
	if !inOrder {
		slices.SortFunc(out, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	}
	return out
}

func requireSameMatrix(t *testing.T, want, got promql.Matrix, msg string) {
	require.Len(t, got, len(want), "%s\nwant\n%s\ngot\n%s", msg, want, got)
	for i, w := range want {
		g := got[i]
		require.Equal(t, w.Metric.String(), g.Metric.String(), "%s\nwant\n%s\ngot\n%s", msg, want, got)
		require.Len(t, g.Floats, len(w.Floats), "%s\nwant\n%s\ngot\n%s", msg, want, got)
		for k, p := range w.Floats {
			require.Equal(t, p.T, g.Floats[k].T, msg)
			if math.IsNaN(p.F) && math.IsNaN(g.Floats[k].F) {
				continue
			}
			require.Zero(t, cmp.Compare(math.Float64bits(p.F), math.Float64bits(g.Floats[k].F)), "%s at %d: want %v got %v", msg, p.T, p.F, g.Floats[k].F)
		}
		require.Len(t, g.Histograms, len(w.Histograms), "%s\nwant\n%s\ngot\n%s", msg, want, got)
		for k, p := range w.Histograms {
			require.Equal(t, p.T, g.Histograms[k].T, msg)
			require.True(t, p.H.Equals(g.Histograms[k].H) && p.H.CounterResetHint == g.Histograms[k].H.CounterResetHint, "%s at %d: want %v got %v", msg, p.T, p.H, g.Histograms[k].H)
		}
	}
}
