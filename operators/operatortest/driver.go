package operatortest

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators"
)

// driver plays the part of the physical plan for one operator in one run.
type driver struct {
	op      operators.Operator
	q       *operators.Query
	shape   shape
	options Options
	rnd     *rand.Rand
	feeds   []*feed
	workers []worker
	ctx     context.Context

	// interrupt is called before every call of the operator with their number so far.
	interrupt func(call int64) error
	calls     atomic.Int64

	bound bool // labels need not be known before

	mu      sync.Mutex
	out     [][]Sample // series of the schema -> samples by step
	done    []bool     // steps of former ranges
	schema  []Series   // labels given so far
	kept    []*operators.Batch
	shared  []watched // batches that the operator shares
	results []watched // batches that the next operator has kept
}

// watched is a batch that must stay as it is.
type watched struct{ batch, clone *operators.Batch }

// call is the place before every call of the operator.
func (d *driver) call() error {
	n := d.calls.Add(1)
	if d.interrupt == nil {
		return nil
	}
	return d.interrupt(n)
}

// run takes the operator from Bind to the end of the last range.
func (d *driver) run() (err error) {
	defer recovered(&err)
	if d.op.Describe() == "" {
		return violated("Describe says nothing")
	}
	schema := d.op.Schema()
	if err := d.call(); err != nil {
		return err
	}
	if err := d.op.Bind(d.ctx); err != nil {
		return err
	}
	d.bound = true
	for i, r := range d.shape.Ranges {
		if err := d.runRange(r, i == len(d.shape.Ranges)-1); err != nil {
			return err
		}
		for k := r.From; k < r.To; k++ {
			d.done[k] = true
		}
		if d.op.Schema() != schema {
			return violated("Schema has become another one")
		}
		if err := d.checkSchema(); err != nil {
			return err
		}
	}
	if !d.op.Schema().Complete() {
		return violated("the schema is not complete at the end")
	}
	return nil
}

// checkSchema finds out whether the schema has only grown.
func (d *driver) checkSchema() error {
	s := d.op.Schema()
	if !d.bound {
		return nil
	}
	if s.Len() < len(d.schema) {
		return violated("the schema shrank from %d to %d series", len(d.schema), s.Len())
	}
	for i := range s.Len() {
		l := s.Labels(i)
		if i == len(d.schema) {
			d.schema = append(d.schema, Series{Labels: l})
		} else if !labels.Equal(l, d.schema[i].Labels) {
			return violated("series %d of the schema was %s and is %s", i, d.schema[i].Labels, l)
		}
	}
	return nil
}

func (d *driver) extend() error {
	if err := d.call(); err != nil {
		return err
	}
	return d.op.Extend()
}

func (d *driver) runRange(r operators.StepRange, last bool) error {
	if err := d.call(); err != nil {
		return err
	}
	if err := d.op.Open(r); err != nil {
		return err
	}
	if err := d.extend(); err != nil {
		return err
	}
	stream, folds := -1, []int(nil)
	for i := range d.feeds {
		if d.op.Takes(i) == operators.Stream {
			if stream >= 0 {
				return violated("inputs %d and %d are both streams", stream, i)
			}
			stream = i
			continue
		}
		folds = append(folds, i)
	}
	if err := d.foldAll(folds, r, last); err != nil {
		return err
	}
	_, isSource := d.op.(operators.Source)
	var err error
	switch {
	case stream >= 0:
		err = d.process(stream, r, last)
	case isSource:
		err = d.read(r)
	}
	if err != nil {
		return err
	}
	if err := d.checkWatched(d.shared, "a batch that the operator shares has changed"); err != nil {
		return err
	}
	d.shared = nil
	if a, ok := d.op.(operators.Annotator); ok {
		if err := d.call(); err != nil {
			return err
		}
		a.Annotate()
	}
	return nil
}

// inputRange is the range of an input's own grid.
func (d *driver) inputRange(i int, r operators.StepRange) operators.StepRange {
	if g, ok := d.op.(operators.Regridder); ok {
		r = g.InputRange(i, r)
	}
	r.To = min(r.To, d.feeds[i].steps)
	r.From = min(r.From, r.To)
	return r
}

// foldAll folds inputs one after the other or all at the same time.
func (d *driver) foldAll(inputs []int, r operators.StepRange, last bool) error {
	if d.options.Order != nil {
		slices.SortFunc(inputs, func(a, b int) int {
			return slices.Index(d.options.Order, a) - slices.Index(d.options.Order, b)
		})
	} else {
		d.rnd.Shuffle(len(inputs), func(i, k int) { inputs[i], inputs[k] = inputs[k], inputs[i] })
	}
	n := len(inputs)
	together := d.shape.Together && !d.shape.Late && d.options.Order == nil && n > 1 && len(d.workers) >= n
	if !together {
		for _, i := range inputs {
			if err := d.fold(i, r, last, d.workers, d.rnd); err != nil {
				return err
			}
			if err := d.finish(i); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, n)
	var wg sync.WaitGroup
	for k, i := range inputs {
		rnd := rand.New(rand.NewPCG(d.rnd.Uint64(), 0))
		wg.Go(func() {
			defer recovered(&errs[k])
			errs[k] = d.fold(i, r, last, d.workers[k*len(d.workers)/n:(k+1)*len(d.workers)/n], rnd)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	for _, i := range inputs {
		if err := d.finish(i); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) finish(i int) error {
	if err := d.call(); err != nil {
		return err
	}
	return d.op.(operators.Sink).Finish(d.ctx, i)
}

// pass hands all batches of an input to f. Where the schema grows, it does so between runs of morsels.
func (d *driver) pass(i int, r operators.StepRange, last bool, c *crew, rnd *rand.Rand, f func(w worker, m int, b *operators.Batch) error) error {
	in := d.feeds[i]
	r = d.inputRange(i, r)
	n := in.known(rnd, r.To)
	if last {
		n = len(in.series)
	}
	morsels := in.morsels(rnd, d.shape, n)
	carry := func(w worker, m int) error {
		b := w.Batch(morsels[m].first, morsels[m].rows, r.From, r.Len())
		b.Morsel = m
		in.fill(b)
		b.Shared = morsels[m].shared
		return f(w, m, b)
	}
	for at := 0; ; {
		to := len(morsels)
		if in.late && at < to {
			to = at + 1 + rnd.IntN(to-at)
			if end := morsels[to-1]; end.first+end.rows > in.schema.Len() {
				in.grow(end.first + end.rows)
				if err := d.extend(); err != nil {
					return err
				}
			}
		}
		if err := c.carry(to, carry); err != nil {
			return err
		}
		if at = to; at == len(morsels) {
			break
		}
	}
	if in.late && last {
		in.schema.SetComplete()
		return d.extend()
	}
	return nil
}

// retire takes back an input batch that the operator is through with.
func (d *driver) retire(w worker, b, clone *operators.Batch) error {
	if b.Shared {
		if b.Kept {
			return violated("a shared batch was kept")
		}
		if err := sameBatch(clone, b); err != nil {
			return violated("a shared batch was written to: %v", err)
		}
		b.Shared = false
	}
	if b.Kept {
		d.mu.Lock()
		d.kept = append(d.kept, b)
		d.mu.Unlock()
		return nil
	}
	poison(b)
	w.Release(b)
	return nil
}

// fold folds an input.
func (d *driver) fold(i int, r operators.StepRange, last bool, workers []worker, rnd *rand.Rand) error {
	sink, ok := d.op.(operators.Sink)
	if !ok {
		return violated("the operator folds input %d and is no Sink", i)
	}
	preparer, _ := d.op.(operators.Preparer)
	edge := d.op.Takes(i)
	steps := d.inputRange(i, r).Len()
	segments := []operators.StepRange{{To: steps}}
	if edge == operators.Fold {
		segments = cut(rnd, steps, d.shape.Segments-1)
	}
	c := newCrew(workers, len(segments))
	return d.pass(i, r, last, c, rnd, func(w worker, m int, b *operators.Batch) error {
		var clone *operators.Batch
		if b.Shared {
			clone = snapshot(b)
		}
		if preparer != nil {
			if err := d.call(); err != nil {
				return err
			}
			if err := preparer.Prepare(w.Worker, i, b); err != nil {
				return err
			}
		}
		for k, seg := range segments {
			if !c.await(w, k, m) {
				return errCancelled
			}
			if b.Kept {
				return violated("a batch was kept before its last segment")
			}
			if err := d.call(); err != nil {
				return err
			}
			if err := sink.Fold(w.Worker, i, b, seg); err != nil {
				return err
			}
			c.done(k)
		}
		return d.retire(w, b, clone)
	})
}

// process carries an input through the stage.
func (d *driver) process(i int, r operators.StepRange, last bool) error {
	stage, ok := d.op.(operators.Stage)
	if !ok {
		return violated("the operator streams input %d and is no Stage", i)
	}
	var waiting []func() error
	c := newCrew(d.workers, 0)
	err := d.pass(i, r, last, c, d.rnd, func(w worker, m int, b *operators.Batch) error {
		clone := snapshot(b)
		if err := d.call(); err != nil {
			return err
		}
		out, err := stage.Process(w.Worker, b)
		if err != nil {
			return err
		}
		if out.First != clone.First || out.Rows != clone.Rows {
			return violated("rows %d+%d became %d+%d", clone.First, clone.Rows, out.First, out.Rows)
		}
		out.Morsel = m
		consume := func() error { return d.take(w, r, out) }
		if out == b && b.Shared {
			consume = func() error {
				if err := d.look(r, out); err != nil {
					return err
				}
				return d.retire(w, b, clone)
			}
		} else if out != b {
			if err := d.retire(w, b, clone); err != nil {
				return err
			}
		}
		if !d.shape.Delayed {
			return consume()
		}
		d.mu.Lock()
		waiting = append(waiting, consume)
		d.mu.Unlock()
		return nil
	})
	if err != nil {
		return err
	}
	for _, consume := range waiting {
		if err := consume(); err != nil {
			return err
		}
	}
	return nil
}

// read reads the operator as the source of the next pipeline.
func (d *driver) read(r operators.StepRange) error {
	if err := d.extend(); err != nil {
		return err
	}
	source := d.op.(operators.Source)
	n := source.Morsels()
	rows := make([][2]int, n)
	var waiting []func() error
	c := newCrew(d.workers, 0)
	err := c.carry(n, func(w worker, m int) error {
		if err := d.call(); err != nil {
			return err
		}
		b, err := source.Read(w.Worker, m)
		if err != nil {
			return err
		}
		b.Morsel = m
		rows[m] = [2]int{b.First, b.Rows}
		consume := func() error { return d.take(w, r, b) }
		if !d.shape.Delayed {
			return consume()
		}
		d.mu.Lock()
		waiting = append(waiting, consume)
		d.mu.Unlock()
		return nil
	})
	if err != nil {
		return err
	}
	for _, consume := range waiting {
		if err := consume(); err != nil {
			return err
		}
	}
	next := 0
	for m, x := range rows {
		if x[0] != next {
			return violated("morsel %d begins with row %d, not %d", m, x[0], next)
		}
		next += x[1]
	}
	if next != d.op.Schema().Len() {
		return violated("%d rows of %d series", next, d.op.Schema().Len())
	}
	return nil
}

// take looks at a batch of the result and gives it back, or keeps it, as the next operator would.
func (d *driver) take(w worker, r operators.StepRange, b *operators.Batch) error {
	if err := d.look(r, b); err != nil {
		return err
	}
	switch {
	case b.Shared:
		d.mu.Lock()
		d.shared = append(d.shared, watched{b, snapshot(b)})
		d.mu.Unlock()
	case w.rnd.IntN(4) == 0:
		b.Kept = true
		d.mu.Lock()
		d.results = append(d.results, watched{b, snapshot(b)})
		d.mu.Unlock()
	default:
		poison(b)
		w.Release(b)
	}
	return nil
}

// look notes the samples of a batch of the result.
func (d *driver) look(r operators.StepRange, b *operators.Batch) error {
	if b.From != r.From || b.Steps != r.Len() {
		return violated("a batch of steps %d+%d in the range %v", b.From, b.Steps, r)
	}
	n := b.Rows * b.Steps
	if n%64 != 0 && b.Valid[n/64]>>(n%64) != 0 {
		return violated("bits are set behind the end of Valid")
	}
	if (b.H == nil) != (b.HValid == nil) {
		return violated("one of H and HValid is nil")
	}
	if b.H != nil && n%64 != 0 && b.HValid[n/64]>>(n%64) != 0 {
		return violated("bits are set behind the end of HValid")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.out) < b.First+b.Rows {
		d.out = append(d.out, make([]Sample, d.options.Steps))
	}
	for row := range b.Rows {
		for k := range b.Steps {
			var x Sample
			switch p := b.Pos(row, k); {
			case b.Valid.Get(p) && b.HasHistogram(p):
				return violated("series %d has both kinds of samples at step %d", b.First+row, b.From+k)
			case b.HasHistogram(p):
				if b.H[p] == nil {
					return violated("series %d has no histogram at step %d", b.First+row, b.From+k)
				}
				x = Histogram(clone(b.H[p])) // b's may end with it
			case b.Valid.Get(p):
				x = Float(b.F[p])
			}
			at := &d.out[b.First+row][b.From+k]
			if d.done[b.From+k] && !at.equal(x) {
				return violated("series %d at step %d is %v in one range and %v in another", b.First+row, b.From+k, *at, x)
			}
			*at = x
		}
	}
	return nil
}

func (d *driver) checkWatched(all []watched, what string) error {
	for _, x := range all {
		if err := sameBatch(x.clone, x.batch); err != nil {
			return violated("%s: %v", what, err)
		}
	}
	return nil
}

// result is what has come out, without series that have no sample.
func (d *driver) result(err error) Result {
	res := Result{Err: err, Annotations: d.q.Annotations()}
	if err != nil {
		return res
	}
	if d.options.Output != nil {
		res.Series = d.options.Output(d.op)
		return res
	}
	for i, samples := range d.out {
		s := Series{Labels: d.op.Schema().Labels(i), DropName: d.op.Schema().DropName(i), Samples: samples}
		if !s.Empty() {
			res.Series = append(res.Series, s)
		}
	}
	return res
}
