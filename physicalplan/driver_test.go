package physicalplan

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is an operator of a number of series that does nothing.
type base struct {
	schema *operators.Schema
}

func newBase(series int) base {
	s := operators.NewSchema()
	for i := range series {
		s.Append(labels.FromStrings("i", fmt.Sprint(i)), false)
	}
	s.SetComplete()
	return base{s}
}

func (b base) Describe() string               { return "test" }
func (b base) Schema() *operators.Schema      { return b.schema }
func (b base) Takes(int) operators.Edge       { return operators.Fold }
func (b base) Bind(context.Context) error     { return nil }
func (b base) Extend() error                  { return nil }
func (b base) Open(operators.StepRange) error { return nil }
func (b base) Close()                         {}

// ramp gives row r the value r at every step, a row a morsel, or what fail says.
type ramp struct {
	base
	rows, steps int
	fail        func(m int) error
}

func (s *ramp) Morsels() int { return s.rows }

func (s *ramp) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	runtime.Gosched()
	if s.fail != nil {
		if err := s.fail(m); err != nil {
			return nil, err
		}
	}
	b := w.Batch(m, 1, 0, s.steps)
	for i := range b.F {
		b.SetFloat(i, float64(m))
	}
	return b, nil
}

// double doubles values in place.
type double struct{ base }

func (double) Takes(int) operators.Edge { return operators.Stream }

func (double) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	b = w.Own(b)
	for i := range b.F {
		b.F[i] *= 2
	}
	return b, nil
}

// order notes the morsels in the order in which it folds them, by step.
type order struct {
	base
	mu       sync.Mutex
	morsels  [][]int
	values   [][]float64
	finished int
}

func newOrder(steps int) *order {
	return &order{base: newBase(0), morsels: make([][]int, steps), values: make([][]float64, steps)}
}

func (o *order) Fold(_ *operators.Worker, _ int, b *operators.Batch, seg operators.StepRange) error {
	runtime.Gosched()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := seg.From; i < seg.To; i++ {
		o.morsels[i] = append(o.morsels[i], b.Morsel)
		o.values[i] = append(o.values[i], b.F[i])
	}
	return nil
}

func (o *order) Finish(context.Context, int) error {
	o.finished++
	return nil
}

// testPlan connects a source with two sinks, one of them behind a stage.
func testPlan(workers int, src *ramp) (p *Plan, direct, doubled *order) {
	q := &operators.Query{Workers: workers}
	p = &Plan{query: q, opts: Options{Query: q, Poison: true}}
	b := &builder{plan: p, q: q}
	grid := operators.Grid{Interval: 1, Steps: src.steps}
	direct, doubled = newOrder(src.steps), newOrder(src.steps)
	source := b.add(src, grid)
	stage := b.add(double{newBase(src.rows)}, grid, source)
	b.add(doubled, grid, stage)
	p.root = b.add(direct, grid, source)
	for _, n := range p.nodes {
		n.open = grid.All()
	}
	return p, direct, doubled
}

func runPlan(p *Plan) error { return p.Run(context.Background(), NewSlots(p.query.Workers-1)) }

func TestFoldInMorselOrder(t *testing.T) {
	for _, workers := range []int{1, 2, 4, 7} {
		for _, steps := range []int{1, 63, 200, 1000} {
			src := &ramp{base: newBase(50), rows: 50, steps: steps}
			p, direct, doubled := testPlan(workers, src)
			require.NoError(t, runPlan(p))
			for step := range steps {
				for m := range 50 {
					require.Equal(t, m, direct.morsels[step][m])
					require.Equal(t, m, doubled.morsels[step][m])
					require.Equal(t, float64(m), direct.values[step][m], "a stage wrote to a batch that others see")
					require.Equal(t, float64(2*m), doubled.values[step][m])
				}
				require.Len(t, direct.morsels[step], 50, "every morsel is folded once")
			}
			require.Equal(t, 1, direct.finished)
			require.Equal(t, 1, doubled.finished)
		}
	}
}

func TestLeastErrorWins(t *testing.T) {
	for _, workers := range []int{1, 2, 4} {
		for range 50 {
			p, direct, _ := testPlan(workers, &ramp{base: newBase(40), rows: 40, steps: 300, fail: func(m int) error {
				if m == 11 || m > 12 {
					return fmt.Errorf("morsel %d", m)
				}
				return nil
			}})
			require.EqualError(t, runPlan(p), "morsel 11")
			require.Zero(t, direct.finished)
		}
	}
}

func TestPanicsBecomeErrors(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		fail func(int) error
		want string
	}{
		"runtime": {func(m int) error { _ = make([]int, 1)[m]; return nil }, "unexpected error: runtime error: index out of range [1] with length 1"},
		"error":   {func(int) error { panic(boom) }, "boom"},
		"value":   {func(int) error { panic("text") }, "text"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, workers := range []int{1, 3} {
				p, _, _ := testPlan(workers, &ramp{base: newBase(9), rows: 9, steps: 5, fail: c.fail})
				err := runPlan(p)
				require.EqualError(t, err, c.want)
				var panicked *operators.PanicError
				if name == "runtime" {
					require.ErrorAs(t, err, &panicked)
					require.Contains(t, string(panicked.Stack), "driver_test.go")
				}
			}
		})
	}
}

func TestCancelledQueryStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p, direct, _ := testPlan(2, &ramp{base: newBase(1000), rows: 1000, steps: 3, fail: func(m int) error {
		if m == 20 {
			cancel()
		}
		return nil
	}})
	require.ErrorIs(t, p.Run(ctx, NewSlots(1)), promql.ErrQueryCanceled(operators.EnvEvaluation))
	require.Less(t, len(direct.morsels[0]), 1000)
}

func TestWorkersNeverWaitForSlots(t *testing.T) {
	slots := NewSlots(1)
	slots <- struct{}{} // taken by another query
	p, direct, _ := testPlan(4, &ramp{base: newBase(10), rows: 10, steps: 3})
	require.NoError(t, p.Run(context.Background(), slots))
	require.Len(t, direct.morsels[0], 10)
}
