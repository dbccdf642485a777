package operatortest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

// Build makes the operator under test over the schemas of its inputs, and all that belongs to it, anew.
type Build func(q *operators.Query, inputs []*operators.Schema) operators.Operator

// Options are what Run needs to know besides the operator and its inputs.
type Options struct {
	// Steps is the number of steps of the operator's grid.
	Steps int
	// Seed picks the random shapes.
	Seed uint64
	// Shapes is the number of random shapes; 0 is 3.
	Shapes int
	// Setup sets the query's options.
	Setup func(q *operators.Query)
	// Order is the order in which inputs that are folded have to be finished; nil is any.
	Order []int
	// OneRange keeps the grid whole, for operators that promise the same answer for one range alone.
	OneRange bool
	// Disjoint keeps step ranges from overlapping and from having no step, for operators that never stand in a subquery.
	Disjoint bool
	// Adapts is set for an operator whose way of working, and so the number of samples that it holds, depends on
	// whether it knows all series of its input.
	Adapts bool
	// Output is the result of an operator that is no Source. It is asked before and after Close, for
	// it lives on, and so may what is accounted for it.
	Output func(op operators.Operator) []Series
}

// Run runs an operator in the plainest shape, whose result it returns, and in random ones. The test
// fails if these give another result, or if the operator breaks the contract in any of them.
func Run(t testing.TB, build Build, o Options, inputs ...Input) Result {
	t.Helper()
	res, err := Check(build, o, inputs...)
	require.NoError(t, err)
	return res
}

// Check is Run that returns what is wrong.
func Check(build Build, o Options, inputs ...Input) (Result, error) {
	c := &check{build: build, options: o, inputs: inputs, rnd: rand.New(rand.NewPCG(o.Seed, 77)), histograms: map[*histogram.FloatHistogram]*histogram.FloatHistogram{}}
	for _, in := range inputs {
		for _, s := range in.Series {
			for _, x := range s.Samples {
				if x.H != nil {
					c.histograms[x.H] = clone(x.H)
				}
			}
		}
	}
	if err := c.unbound(); err != nil {
		return Result{}, fmt.Errorf("closed before Bind: %w", err)
	}
	first, err := c.run(plain(o.Steps), nil)
	if err != nil {
		return Result{}, fmt.Errorf("plain shape: %w", err)
	}
	n := o.Shapes
	if n == 0 {
		n = 3
	}
	for range n {
		s := randomShape(c.rnd, o)
		next, err := c.run(s, nil)
		if err == nil {
			err = c.compare(first, next, s)
		}
		if err != nil {
			return first.Result, fmt.Errorf("shape %+v: %w", s, err)
		}
	}
	s := randomShape(c.rnd, o)
	if what, err := c.interrupted(s, first); err != nil {
		return first.Result, fmt.Errorf("%s, shape %+v: %w", what, s, err)
	}
	return first.Result, nil
}

type check struct {
	build      Build
	options    Options
	inputs     []Input
	rnd        *rand.Rand
	histograms map[*histogram.FloatHistogram]*histogram.FloatHistogram
}

// outcome is what a run has come to.
type outcome struct {
	Result
	annotations []string
	calls       int64
	samples     int64 // most held at a time
	bytes       int64
}

func (c *check) driver(s shape) *driver {
	d := &driver{shape: s, options: c.options, rnd: rand.New(rand.NewPCG(s.Seed, 1)), ctx: context.Background(),
		done: make([]bool, c.options.Steps)}
	d.q = &operators.Query{Workers: s.Workers, MorselRows: s.MorselRows}
	if c.options.Setup != nil {
		c.options.Setup(d.q)
	}
	var schemas []*operators.Schema
	for _, in := range c.inputs {
		d.feeds = append(d.feeds, newFeed(d.rnd, in, s, c.options.Steps))
		schemas = append(schemas, d.feeds[len(d.feeds)-1].schema)
	}
	for id := range s.Workers {
		d.workers = append(d.workers, worker{&operators.Worker{ID: id, Poison: true}, rand.New(rand.NewPCG(s.Seed, uint64(id)+2))})
	}
	d.op = c.build(d.q, schemas)
	return d
}

// unbound closes an operator that has never run.
func (c *check) unbound() (err error) {
	defer recovered(&err)
	d := c.driver(plain(c.options.Steps))
	return c.close(d)
}

// run runs the operator once. The error is a violation; the operator's own error is in the outcome.
// arrange prepares the driver for trouble.
func (c *check) run(s shape, arrange func(d *driver)) (outcome, error) {
	d := c.driver(s)
	if arrange != nil {
		arrange(d)
	}
	d.q.Start(d.ctx)
	err := d.run()
	var v *violation
	if errors.As(err, &v) {
		return outcome{}, err
	}
	res := outcome{Result: d.result(err), calls: d.calls.Load(), samples: d.q.PeakSamples(), bytes: d.q.PeakBytes()}
	res.annotations = slices.Sorted(maps.Keys(res.Annotations))
	if err := c.close(d); err != nil {
		return outcome{}, err
	}
	if c.options.Output != nil && res.Err == nil {
		if err := equal(res.Series, c.options.Output(d.op), Sample.equal); err != nil {
			return outcome{}, fmt.Errorf("the result after Close: %w", err)
		}
	}
	return res, nil
}

// close closes the operator and finds out what it has left behind.
func (c *check) close(d *driver) (err error) {
	defer recovered(&err)
	d.op.Close()
	samples, bytes := d.q.Held(), d.q.Bytes()
	if c.options.Output == nil && (samples != 0 || bytes != 0) {
		return violated("after Close %d samples and %d bytes are held", samples, bytes)
	}
	for _, b := range d.kept {
		poison(b)
	}
	d.op.Close()
	if d.q.Held() != samples || d.q.Bytes() != bytes {
		return violated("after the second Close %d samples and %d bytes are held", d.q.Held(), d.q.Bytes())
	}
	if err := d.checkWatched(d.results, "a batch that the next operator has kept has changed"); err != nil {
		return err
	}
	for h, was := range c.histograms {
		if !sameHistogram(h, was) {
			return violated("an input histogram was written to: it is %s, was %s", histogramText(h), histogramText(was))
		}
	}
	return d.checkSchema()
}

// compare says how a shape's outcome differs from the plain one's.
func (c *check) compare(want, got outcome, s shape) error {
	if want.Err != nil || got.Err != nil {
		if want.Err == nil || got.Err == nil || want.Err.Error() != got.Err.Error() {
			return fmt.Errorf("error %v, want %v", got.Err, want.Err)
		}
		return nil
	}
	w, g := want.Series, got.Series
	if !s.oneRange() {
		// Series come into the schema in the first range that has samples of them.
		w, g = sorted(w), sorted(g)
	}
	if err := equal(w, g, Sample.equal); err != nil {
		return err
	}
	for i := range w {
		if w[i].DropName != g[i].DropName {
			return fmt.Errorf("DropName of %s is %v, want %v", w[i].Labels, g[i].DropName, w[i].DropName)
		}
	}
	if s.oneRange() && !c.options.Adapts && want.samples != got.samples {
		return fmt.Errorf("at most %d samples were held, want %d", got.samples, want.samples)
	}
	if !slices.Equal(want.annotations, got.annotations) {
		return fmt.Errorf("annotations %q, want %q", got.annotations, want.annotations)
	}
	return nil
}

// interrupted ends a run in one of the ways that queries end before their time.
func (c *check) interrupted(s shape, full outcome) (string, error) {
	at := 1 + c.rnd.Int64N(full.calls)
	switch c.rnd.IntN(4) {
	case 0:
		_, err := c.run(s, func(d *driver) {
			d.interrupt = func(call int64) error {
				if call >= at {
					return errStopped
				}
				return nil
			}
		})
		return fmt.Sprintf("stopped before call %d", at), err
	case 1:
		res, err := c.run(s, func(d *driver) {
			ctx, cancel := context.WithCancel(context.Background())
			d.ctx = ctx
			d.interrupt = func(call int64) error {
				if call >= at {
					cancel()
				}
				return nil
			}
		})
		var cancelled promql.ErrQueryCanceled
		if err == nil && !errors.As(res.Err, &cancelled) {
			err = c.compare(full, res, s)
		}
		return fmt.Sprintf("cancelled before call %d", at), err
	case 2:
		if full.samples == 0 {
			return "", nil
		}
		limit := 1 + c.rnd.Int64N(full.samples)
		res, err := c.run(s, func(d *driver) { d.q.MaxSamples = limit })
		var many promql.ErrTooManySamples
		switch refused := errors.As(res.Err, &many); {
		case err != nil:
		case res.Err == nil && res.samples > limit:
			err = violated("%d samples were held without an error", res.samples)
		case !refused:
			err = c.compare(full, res, s)
		}
		return fmt.Sprintf("with at most %d samples", limit), err
	default:
		if full.bytes == 0 {
			return "", nil
		}
		budget := 1 + c.rnd.Int64N(full.bytes)
		res, err := c.run(s, func(d *driver) { d.q.MemoryBudget = budget })
		var many *operators.BudgetError
		if err == nil && !errors.As(res.Err, &many) {
			err = c.compare(full, res, s)
		}
		return fmt.Sprintf("with at most %d bytes", budget), err
	}
}
