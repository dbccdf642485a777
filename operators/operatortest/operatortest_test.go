package operatortest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is what the operators of these tests have in common.
type base struct {
	q      *operators.Query
	in     *operators.Schema
	schema *operators.Schema
	r      operators.StepRange
}

func (*base) Describe() string                           { return "test" }
func (o *base) Schema() *operators.Schema                { return o.schema }
func (*base) Bind(context.Context) error                 { return nil }
func (*base) Extend() error                              { return nil }
func (o *base) Open(r operators.StepRange) error         { o.r = r; return nil }
func (*base) Close()                                     {}
func (*base) Finish(context.Context, int) error          { return nil }
func (o *base) Takes(int) operators.Edge                 { return operators.Fold }
func (o *base) Morsels() int                             { return 1 }
func (o *base) row(w *operators.Worker) *operators.Batch { return w.Batch(0, 1, o.r.From, o.r.Len()) }

// double is a stage that doubles floats and passes histograms on, and does one more thing.
type double struct {
	base
	process func(o *double, w *operators.Worker, in, out *operators.Batch) (*operators.Batch, error)
	own     func(w *operators.Worker, b *operators.Batch) *operators.Batch
	scratch *operators.Batch
}

func newDouble(q *operators.Query, in *operators.Schema) *double {
	o := &double{base: base{q: q, in: in, schema: operators.DeriveSchema(in, nil, false)}}
	o.own = (*operators.Worker).Own
	o.process = func(_ *double, _ *operators.Worker, _, out *operators.Batch) (*operators.Batch, error) {
		return out, nil
	}
	return o
}

func (*double) Takes(int) operators.Edge { return operators.Stream }

func (o *double) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	out := o.own(w, b)
	for i := range out.F {
		out.F[i] = 2 * b.F[i]
	}
	return o.process(o, w, b, out)
}

// count is a sink, and then a source of one row: the number of samples at each step.
type count struct {
	base
	edge     operators.Edge
	counts   []float64 // of input 0
	second   []float64 // of input 1, which may be folded at the same time
	held     int64
	batches  []*operators.Batch
	folds    int
	keep     bool // for the next range
	onFold   func(o *count, input int, b *operators.Batch, seg operators.StepRange) error
	onFinish func(o *count, input int) error
	onRead   func(o *count, b *operators.Batch)
	onClose  func(o *count)
}

func newCount(q *operators.Query, in *operators.Schema) *count {
	return &count{
		base: base{q: q, in: in, schema: operators.ConstantSchema(labels.EmptyLabels())}, edge: operators.Fold,
		onFold:   func(*count, int, *operators.Batch, operators.StepRange) error { return nil },
		onFinish: func(*count, int) error { return nil },
		onRead:   func(*count, *operators.Batch) {},
		onClose:  func(*count) {},
	}
}

func (o *count) Takes(int) operators.Edge { return o.edge }

func (o *count) Open(r operators.StepRange) error {
	o.release()
	o.r = r
	if !o.keep || len(o.counts) < r.Len() {
		o.counts, o.second = make([]float64, r.Len()), make([]float64, r.Len())
	}
	o.held = int64(r.Len())
	_ = o.q.Grow(o.held * 8)
	return o.q.Hold(o.held)
}

func (o *count) Fold(_ *operators.Worker, input int, b *operators.Batch, seg operators.StepRange) error {
	counts := o.counts
	if input == 1 {
		counts = o.second
	}
	for row := range b.Rows {
		for k := seg.From; k < seg.To; k++ {
			if b.Has(b.Pos(row, k)) {
				counts[k]++
			}
		}
	}
	return o.onFold(o, input, b, seg)
}

func (o *count) Finish(_ context.Context, input int) error { return o.onFinish(o, input) }

func (o *count) Read(w *operators.Worker, _ int) (*operators.Batch, error) {
	b := o.row(w)
	for k := range b.F {
		b.F[k] = o.counts[k] + o.second[k]
	}
	b.Valid.SetRange(0, len(b.F))
	o.onRead(o, b)
	return b, nil
}

func (o *count) release() {
	o.q.Free(o.held)
	_ = o.q.Grow(-8 * o.held)
	o.held = 0
}

func (o *count) Close() {
	o.release()
	o.onClose(o)
}

func testInputs(rnd *rand.Rand, steps int) Input {
	var in Input
	for i := range 2 + rnd.IntN(9) {
		s := NewSeries(labels.FromStrings("i", fmt.Sprint(i)), steps)
		for k := range s.Samples {
			switch rnd.IntN(4) {
			case 0:
			case 1:
				s.Samples[k] = Histogram(&histogram.FloatHistogram{Count: float64(k), ZeroCount: float64(k)})
			default:
				s.Samples[k] = Float(float64(rnd.IntN(100)))
			}
		}
		in.Series = append(in.Series, s)
	}
	return in
}

func TestSoundOperators(t *testing.T) {
	for seed := range uint64(Rounds(60)) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		steps := []int{1, 2, 7, 64, 130}[rnd.IntN(5)]
		in := testInputs(rnd, steps)
		o := Options{Steps: steps, Seed: seed}

		res := Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator { return newDouble(q, in[0]) }, o, in)
		var want []Series
		for _, s := range in.Series {
			s.Samples = slices.Clone(s.Samples)
			for k := range s.Samples {
				s.Samples[k].F *= 2
			}
			if !s.Empty() {
				want = append(want, s)
			}
		}
		require.NoError(t, Equal(want, res.Series, true))

		res = Run(t, func(q *operators.Query, in []*operators.Schema) operators.Operator { return newCount(q, in[0]) }, o, in, in)
		for k, x := range res.Series[0].Samples {
			n := 0
			for _, s := range in.Series {
				if s.Samples[k].Present {
					n += 2
				}
			}
			require.Equal(t, float64(n), x.F)
		}
	}
}

// Each of these operators breaks the contract in one way.
func TestBrokenOperators(t *testing.T) {
	stage := func(change func(o *double)) Build {
		return func(q *operators.Query, in []*operators.Schema) operators.Operator {
			o := newDouble(q, in[0])
			change(o)
			return o
		}
	}
	process := func(f func(o *double, w *operators.Worker, in, out *operators.Batch) (*operators.Batch, error)) Build {
		return stage(func(o *double) { o.process = f })
	}
	sink := func(change func(o *count)) Build {
		return func(q *operators.Query, in []*operators.Schema) operators.Operator {
			o := newCount(q, in[0])
			change(o)
			return o
		}
	}
	fold := func(f func(o *count, input int, b *operators.Batch, seg operators.StepRange) error) Build {
		return sink(func(o *count) { o.edge, o.onFold = operators.FoldRows, f })
	}
	read := func(f func(o *count, b *operators.Batch)) Build { return sink(func(o *count) { o.onRead = f }) }

	for name, c := range map[string]struct {
		build Build
		says  string
	}{
		"result by the rows of a batch": {process(func(_ *double, _ *operators.Worker, _, out *operators.Batch) (*operators.Batch, error) {
			for i := range out.F {
				out.F[i] += float64(out.Rows)
			}
			return out, nil
		}), "want"},
		"result by the steps of a range": {process(func(_ *double, _ *operators.Worker, _, out *operators.Batch) (*operators.Batch, error) {
			for i := range out.F {
				out.F[i] += float64(out.Steps)
			}
			return out, nil
		}), ""},
		"error by the rows of a batch": {process(func(_ *double, _ *operators.Worker, _, out *operators.Batch) (*operators.Batch, error) {
			if out.Rows == 1 {
				return nil, errors.New("one row")
			}
			return out, nil
		}), "error one row, want <nil>"},
		"annotation by the rows of a batch": {process(func(o *double, _ *operators.Worker, _, out *operators.Batch) (*operators.Batch, error) {
			if out.Rows == 1 {
				o.q.Annotate(errors.New("one row"))
			}
			return out, nil
		}), "annotations"},
		"writes to a shared batch": {stage(func(o *double) {
			o.own = func(_ *operators.Worker, b *operators.Batch) *operators.Batch { return b }
		}), "shared batch was written to"},
		"writes to an input histogram": {process(func(_ *double, _ *operators.Worker, _, out *operators.Batch) (*operators.Batch, error) {
			for _, h := range out.H {
				if h != nil {
					h.Sum++
				}
			}
			return out, nil
		}), "histogram"},
		"writes to a result handed on": {process(func(o *double, _ *operators.Worker, _, out *operators.Batch) (*operators.Batch, error) {
			if o.q.Workers > 1 {
				return out, nil // not to race
			}
			if o.scratch != nil && len(o.scratch.F) > 0 {
				o.scratch.F[0], o.scratch.Valid[0] = -1, o.scratch.Valid[0]|1
			}
			o.scratch = out
			return out, nil
		}), ""},
		"hands on what it has given back": {process(func(_ *double, w *operators.Worker, in, out *operators.Batch) (*operators.Batch, error) {
			if out != in {
				w.Release(out)
			}
			return out, nil
		}), ""},
		"changes the rows": {process(func(_ *double, w *operators.Worker, in, out *operators.Batch) (*operators.Batch, error) {
			return w.Batch(out.First, out.Rows+1, out.From, out.Steps), nil
		}), "became"},
		"loses the steps": {process(func(_ *double, w *operators.Worker, in, out *operators.Batch) (*operators.Batch, error) {
			return w.Batch(out.First, out.Rows, out.From+1, out.Steps), nil
		}), "steps"},
		"both kinds at a position": {process(func(_ *double, _ *operators.Worker, _, out *operators.Batch) (*operators.Batch, error) {
			if out.H != nil {
				out.Valid.SetRange(0, len(out.F))
			}
			return out, nil
		}), "both kinds"},
		"bits behind the end": {process(func(_ *double, _ *operators.Worker, _, out *operators.Batch) (*operators.Batch, error) {
			if n := len(out.F); n%64 != 0 {
				out.Valid[n/64] |= 1 << 63
			}
			return out, nil
		}), "behind the end"},
		"keeps a batch it does not own": {sink(func(o *count) {
			o.edge = operators.FoldRows
			o.onFold = func(o *count, _ int, b *operators.Batch, _ operators.StepRange) error {
				o.batches = append(o.batches, b)
				return nil
			}
			o.onFinish = func(o *count, _ int) error {
				clear(o.counts)
				for _, b := range o.batches {
					for p, f := range b.F {
						if b.Has(p) {
							o.counts[p%len(o.counts)] += f
						}
					}
				}
				o.batches = nil
				return nil
			}
		}), ""},
		"keeps a shared batch": {fold(func(_ *count, _ int, b *operators.Batch, _ operators.StepRange) error {
			b.Kept = true
			return nil
		}), "shared batch was kept"},
		"keeps a batch before its last segment": {sink(func(o *count) {
			o.onFold = func(_ *count, _ int, b *operators.Batch, seg operators.StepRange) error {
				if !b.Shared && seg.From == 0 {
					b.Kept = true
				}
				return nil
			}
		}), "before its last segment"},
		"counts calls": {fold(func(o *count, _ int, _ *operators.Batch, _ operators.StepRange) error {
			o.folds++
			if len(o.counts) > 0 {
				o.counts[0] = float64(o.folds)
			}
			return nil
		}), "want"},
		"counts series without samples": {fold(func(o *count, _ int, b *operators.Batch, _ operators.StepRange) error {
			if len(o.counts) > 0 {
				o.counts[0] += float64(b.Rows)
			}
			return nil
		}), ""},
		"last input wins": {sink(func(o *count) {
			o.onFinish = func(o *count, input int) error {
				if len(o.counts) > 0 {
					o.counts[0] = float64(input)
				}
				return nil
			}
		}), ""},
		"last segment wins": {sink(func(o *count) {
			o.onFold = func(o *count, _ int, b *operators.Batch, seg operators.StepRange) error {
				if o.q.Workers == 1 && seg.From > 0 { // not to race
					o.counts[0] = float64(seg.From)
				}
				return nil
			}
		}), ""},
		"state of the range before": {sink(func(o *count) { o.keep = true }), ""},
		"holds samples after Close": {sink(func(o *count) {
			o.onClose = func(o *count) { _ = o.q.Hold(1) }
		}), "after Close"},
		"holds bytes after Close": {sink(func(o *count) {
			o.onFinish = func(o *count, _ int) error { return o.q.Grow(1) }
		}), "1 bytes are held"},
		"holds by the rows of a batch": {fold(func(o *count, _ int, b *operators.Batch, _ operators.StepRange) error {
			if err := o.q.Hold(int64(b.Rows)); err != nil {
				return err
			}
			o.q.Free(int64(b.Rows))
			return nil
		}), "samples were held"},
		"swallows the error of a limit": {sink(func(o *count) {
			o.onFinish = func(o *count, _ int) error {
				_ = o.q.Hold(50)
				o.q.Free(50)
				return nil
			}
		}), "without an error"},
		"frees twice": {sink(func(o *count) {
			o.onFold = func(o *count, _ int, _ *operators.Batch, _ operators.StepRange) error { return nil }
			closed := 0
			o.onClose = func(o *count) {
				if closed++; closed > 1 {
					o.q.Free(3)
				}
			}
		}), "after the second Close"},
		"cannot be closed before Bind": {sink(func(o *count) {
			o.onClose = func(o *count) { o.counts[0] = 0 }
		}), "closed before Bind"},
		"reads a batch after Close": {sink(func(o *count) {
			o.edge = operators.FoldRows
			closed := false
			o.onFold = func(o *count, _ int, b *operators.Batch, _ operators.StepRange) error {
				if !b.Shared {
					b.Kept = true
					o.batches = append(o.batches, b)
				}
				return nil
			}
			o.onClose = func(o *count) {
				if !closed || len(o.batches) == 0 {
					closed = true
					return
				}
				if o.batches[0].Rows < 0 {
					panic("a batch that is no more")
				}
			}
		}), "no more"},
		"misses rows": {sink(func(o *count) {
			o.onFinish = func(o *count, _ int) error {
				if o.schema.Len() == 1 {
					o.schema.Append(labels.FromStrings("a", "b"), false)
				}
				return nil
			}
		}), "1 rows of 2 series"},
		"changes labels": {sink(func(o *count) {
			n := 0
			o.onFinish = func(o *count, _ int) error { n++; return nil }
			o.schema = operators.DeriveSchema(operators.ConstantSchema(labels.EmptyLabels()), func(labels.Labels) labels.Labels {
				return labels.FromStrings("n", fmt.Sprint(n))
			}, false)
		}), "of the schema was"},
		"never completes its schema": {sink(func(o *count) {
			o.schema = operators.NewSchema()
			o.schema.Append(labels.EmptyLabels(), false)
		}), "not complete"},
		"swallows that it was cancelled": {sink(func(o *count) {
			o.onRead = func(o *count, b *operators.Batch) {
				if o.q.Err() != nil {
					clear(b.Valid)
				}
			}
		}), "cancelled before call"},
		"panics": {read(func(*count, *operators.Batch) { panic("oh") }), "panic: oh"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(300) {
				rnd := rand.New(rand.NewPCG(seed, 2))
				steps := []int{2, 7, 63, 130}[rnd.IntN(4)]
				in := testInputs(rnd, steps)
				inputs := []Input{in}
				if name == "last input wins" {
					inputs = append(inputs, in)
				}
				if _, err := Check(c.build, Options{Steps: steps, Seed: seed}, inputs...); err != nil {
					require.ErrorContains(t, err, c.says)
					return
				}
			}
			t.Fatal("it was not caught")
		})
	}
}
