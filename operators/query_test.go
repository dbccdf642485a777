package operators

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
)

func TestHold(t *testing.T) {
	q := &Query{MaxSamples: 10}
	require.NoError(t, q.Hold(10))
	err := q.Hold(1)
	require.ErrorAs(t, err, new(promql.ErrTooManySamples))
	require.Equal(t, promql.ErrTooManySamples(EnvExecution), err)
	require.EqualValues(t, 11, q.Held(), "what was refused counts until it is freed")
	q.Free(4)
	require.NoError(t, q.Hold(3))
	require.EqualValues(t, 10, q.Held())
	require.EqualValues(t, 11, q.PeakSamples())
	require.NoError(t, (&Query{}).Hold(1<<60))
}

func TestGrow(t *testing.T) {
	q := &Query{MemoryBudget: 10}
	require.NoError(t, q.Grow(10))
	var budget *BudgetError
	require.ErrorAs(t, q.Grow(1), &budget)
	require.EqualValues(t, 10, budget.Budget)
	require.NoError(t, q.Grow(-0))
	require.NoError(t, q.Grow(-1), "giving back never fails")
	require.EqualValues(t, 10, q.Bytes())
	require.EqualValues(t, 11, q.PeakBytes())
	require.NoError(t, (&Query{}).Grow(1<<60))
}

func TestAccount(t *testing.T) {
	q := &Query{Workers: 3, MorselRows: 7, Lookback: 5, DelayedNameRemoval: true, TypeAndUnitLabels: true, UseStartTimestamps: true,
		MaxSamples: 10, MemoryBudget: 100, MaxSeries: 2, MaxSamplesRead: 3}
	a, b := q.Account(), q.Account()
	a.SetName("sum")
	require.Equal(t, []any{3, 7, int64(5), true, true, true}, []any{a.Workers, a.MorselRows, a.Lookback, a.DelayedNameRemoval, a.TypeAndUnitLabels, a.UseStartTimestamps})

	// Limits are the query's; each account counts its own.
	require.NoError(t, a.Hold(6))
	require.ErrorAs(t, b.Hold(5), new(promql.ErrTooManySamples))
	require.EqualValues(t, []int64{6, 5, 11}, []int64{a.Held(), b.Held(), q.Held()})
	b.Free(5)
	require.NoError(t, b.Hold(4))
	require.EqualValues(t, []int64{6, 5, 11}, []int64{a.PeakSamples(), b.PeakSamples(), q.PeakSamples()})

	require.NoError(t, b.Grow(60))
	err := a.Grow(50)
	var budget *BudgetError
	require.ErrorAs(t, err, &budget)
	require.Equal(t, BudgetError{Budget: 100, Operator: "sum", Held: 50}, *budget)
	require.ErrorContains(t, err, `budget of 100 bytes: "sum" holds 50`)
	require.NoError(t, a.Grow(-50))
	require.EqualValues(t, []int64{0, 60, 60}, []int64{a.Bytes(), b.Bytes(), q.Bytes()})
	require.EqualValues(t, []int64{50, 60, 110}, []int64{a.PeakBytes(), b.PeakBytes(), q.PeakBytes()})

	require.NoError(t, a.ConsumeSeries(2))
	require.ErrorAs(t, b.ConsumeSeries(1), new(promql.ErrTooManySeries))
	require.NoError(t, a.ConsumeSamples(3))
	require.ErrorAs(t, b.ConsumeSamples(1), new(promql.ErrTooManySamplesRead))
	series, samples := q.Consumed()
	require.EqualValues(t, []int64{3, 4}, []int64{series, samples})

	a.Annotate(errors.New("one"))
	b.AnnotateAll(annotations.Annotations{"two": errors.New("two")})
	b.AnnotateAll(nil)
	require.Len(t, q.Annotations(), 2)
	require.Equal(t, q.Annotations(), a.Annotations())

	require.NoError(t, a.Err())
	ctx, cancel := context.WithCancel(t.Context())
	q.Start(ctx)
	require.NoError(t, a.Err())
	cancel()
	require.Equal(t, promql.ErrQueryCanceled(EnvEvaluation), a.Err())
}

func TestConcurrentAccounting(t *testing.T) {
	q := &Query{MaxSamples: 1000}
	var wg sync.WaitGroup
	for range 4 {
		a := q.Account()
		wg.Go(func() {
			for range 1000 {
				if a.Hold(3) != nil || a.Grow(5) != nil {
					panic("refused")
				}
				a.Annotate(errors.New("same"))
				a.Free(3)
				_ = a.Grow(-5)
			}
		})
	}
	wg.Wait()
	require.Zero(t, q.Held())
	require.Zero(t, q.Bytes())
	require.LessOrEqual(t, q.PeakSamples(), int64(12))
	require.GreaterOrEqual(t, q.PeakSamples(), int64(3))
	require.Len(t, q.Annotations(), 1)
}

func TestContextError(t *testing.T) {
	require.NoError(t, ContextError(t.Context(), "x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, promql.ErrQueryCanceled("x"), ContextError(ctx, "x"))
	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	require.Equal(t, promql.ErrQueryTimeout("x"), ContextError(ctx, "x"))
}

func TestMorselSize(t *testing.T) {
	q := &Query{}
	require.Equal(t, 1024, q.MorselSize(0))
	require.Equal(t, 1024, q.MorselSize(1))
	require.Equal(t, morselPoints/100, q.MorselSize(100))
	require.Equal(t, 1, q.MorselSize(10*morselPoints))
	q.MorselRows = 5
	require.Equal(t, 5, q.MorselSize(100))
}
