package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
)

// tracker records what an engine tells the active query tracker.
type tracker struct {
	mu     sync.Mutex
	calls  []string
	refuse map[int]error // by number of the insertion, from 0
	n      int
}

func (k *tracker) GetMaxConcurrent() int { return 7 }

func (k *tracker) Insert(_ context.Context, query string) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.n
	k.n++
	if err := k.refuse[n]; err != nil {
		return 0, err
	}
	k.calls = append(k.calls, fmt.Sprintf("insert %d %s", n, query))
	return n, nil
}

func (k *tracker) Delete(i int) { k.add(fmt.Sprintf("delete %d", i)) }

func (k *tracker) Close() error {
	k.add("close")
	return nil
}

func (k *tracker) add(call string) {
	k.mu.Lock()
	k.calls = append(k.calls, call)
	k.mu.Unlock()
}

// TestTrackerCalls: a query takes a place while it is made and another while it runs, as it was written, and gives both back.
func TestTrackerCalls(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, c := range []struct {
		query string
		calls []string
		fails bool
	}{
		{` sum( three )`, []string{"insert 0  sum( three )", "delete 0", "insert 1  sum( three )", "delete 1"}, false},
		{`sum(`, []string{"insert 0 sum(", "delete 0"}, true},
		{`three + on(b) three`, []string{"insert 0 three + on(b) three", "delete 0", "insert 1 three + on(b) three", "delete 1"}, true},
	} {
		k := &tracker{}
		o := baseOpts()
		o.ActiveQueryTracker = k
		e := engine.New(o)
		qry, err := newQuery(context.Background(), e, st, nil, c.query, at(201))
		if err == nil {
			err = qry.Exec(context.Background()).Err
		}
		require.Equal(t, c.fails, err != nil)
		require.Equal(t, c.calls, k.calls)
		require.NoError(t, e.Close())
		require.Equal(t, append(c.calls, "close"), k.calls)
	}
}

// TestTrackerIsLeftOnPanic: places are given back also when the storage panics.
func TestTrackerIsLeftOnPanic(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	k := &tracker{}
	o := baseOpts()
	o.ActiveQueryTracker = k
	s := hookedSamples{st, &hooks{next: func(int, int) error { panic("broken") }}}
	require.Error(t, execUnder(t, context.Background(), engine.New(o), s, `one`, at(201)).Err)
	require.Equal(t, []string{"insert 0 one", "delete 0", "insert 1 one", "delete 1"}, k.calls)
}

// TestTrackerRefusal: the tracker's error is the query's, from where it came.
func TestTrackerRefusal(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	full := errors.New("full")
	for n := range 2 {
		for _, cost := range []bool{false, true} {
			o := baseOpts()
			o.EnableQueryCost = cost
			o.ActiveQueryTracker = &tracker{refuse: map[int]error{n: full}}
			h := &hooks{}
			qry, err := newQuery(context.Background(), engine.New(o), hookedSamples{st, h}, nil, `one`, at(201))
			if n == 0 {
				require.Equal(t, full, err)
				require.Nil(t, qry)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, full, qry.Exec(context.Background()).Err)
			require.Zero(t, h.queriers.Load())
		}
	}
}

// TestConcurrencyLimit: with the real tracker, queries over the limit wait, and those that give up waiting say so.
func TestConcurrencyLimit(t *testing.T) {
	const limit = 2
	st := promqltest.LoadedStorage(t, statsLoad)
	k, err := promql.NewActiveQueryTracker(t.TempDir(), limit, promslog.NewNopLogger())
	require.NoError(t, err)
	o := baseOpts()
	o.ActiveQueryTracker = k
	e := engine.New(o)

	var queries []promql.Query
	reading, release := make(chan struct{}), make(chan struct{})
	blocking := hookedSamples{st, &hooks{next: func(_, n int) error {
		if n == 0 {
			reading <- struct{}{}
			<-release
		}
		return nil
	}}}
	free := hookedSamples{st, &hooks{}}
	for range limit {
		q, err := newQuery(context.Background(), e, blocking, nil, `one`, at(201))
		require.NoError(t, err)
		queries = append(queries, q)
	}
	var waiting []promql.Query
	for range 3 {
		q, err := newQuery(context.Background(), e, free, nil, `one`, at(201))
		require.NoError(t, err)
		waiting = append(waiting, q)
	}

	var running sync.WaitGroup
	for _, q := range queries {
		running.Go(func() {
			if err := q.Exec(context.Background()).Err; err != nil {
				t.Error(err)
			}
		})
	}
	for range limit {
		<-reading
	}
	// All places are taken: neither making nor running nor asking for a slot gets one.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = newQuery(ctx, e, free, nil, `one`, at(201))
	require.Equal(t, context.Canceled, err)
	require.Equal(t, context.Canceled, waiting[0].Exec(ctx).Err)
	giveBack, err := e.AcquireQuerySlot(ctx, `one`)
	require.Equal(t, context.Canceled, err)
	giveBack()
	require.Zero(t, free.hooks.queriers.Load())

	// Cancel ends the wait as well: the query is in the queue, or not even there yet.
	results := make(chan error, 1)
	running.Go(func() { results <- waiting[1].Exec(context.Background()).Err })
	for done := false; !done; {
		waiting[1].Cancel()
		select {
		case err := <-results:
			require.Equal(t, context.Canceled, err)
			done = true
		default:
		}
	}
	require.Zero(t, free.hooks.queriers.Load())

	// A place that comes free is used.
	running.Go(func() {
		if err := waiting[2].Exec(context.Background()).Err; err != nil {
			t.Error(err)
		}
	})
	close(release)
	running.Wait()
	require.Equal(t, int64(1), free.hooks.queriers.Load())
	require.NoError(t, e.Close())
}

// TestAcquireQuerySlot: a slot is a place of the tracker, and without a tracker there is always one.
func TestAcquireQuerySlot(t *testing.T) {
	k := &tracker{}
	o := baseOpts()
	o.ActiveQueryTracker = k
	giveBack, err := engine.New(o).AcquireQuerySlot(context.Background(), `work`)
	require.NoError(t, err)
	require.Equal(t, []string{"insert 0 work"}, k.calls)
	giveBack()
	require.Equal(t, []string{"insert 0 work", "delete 0"}, k.calls)

	giveBack, err = engine.New(baseOpts()).AcquireQuerySlot(context.Background(), `work`)
	require.NoError(t, err)
	giveBack()
}

// TestEngineClose: closing an engine that has no tracker, or is none, does nothing.
func TestEngineClose(t *testing.T) {
	require.NoError(t, engine.New(baseOpts()).Close())
	var none *engine.Engine
	require.NoError(t, none.Close())
}

// TestQueuedUnderTimeout: the time in the queue counts towards the timeout.
func TestQueuedUnderTimeout(t *testing.T) {
	o := baseOpts()
	o.ActiveQueryTracker = waitingTracker{}
	for _, cost := range []bool{false, true} {
		o.Timeout, o.EnableQueryCost = 1, cost
		oracle, want := promqltest.NewTestEngineWithOpts(t, o.EngineOpts), error(nil)
		qry, err := newQuery(context.Background(), oracle, nil, nil, `one`, at(201))
		if want = err; err == nil {
			want = qry.Exec(context.Background()).Err
		}
		qry, err = newQuery(context.Background(), engine.New(o), nil, nil, `one`, at(201))
		if err == nil {
			err = qry.Exec(context.Background()).Err
		}
		require.Error(t, want)
		require.Equal(t, want, err)
	}
}

// waitingTracker has a place only for what is not bounded in time.
type waitingTracker struct{}

func (waitingTracker) GetMaxConcurrent() int { return 1 }
func (waitingTracker) Delete(int)            {}
func (waitingTracker) Close() error          { return nil }
func (waitingTracker) Insert(ctx context.Context, _ string) (int, error) {
	if _, bounded := ctx.Deadline(); bounded {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 0, nil
}
