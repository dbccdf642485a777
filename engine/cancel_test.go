package engine_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
)

// execUnder runs a query under ctx.
func execUnder(t *testing.T, ctx context.Context, e promql.QueryEngine, q storage.Queryable, expr string, tm times) *promql.Result {
	t.Helper()
	qry, err := newQuery(context.Background(), e, q, nil, expr, tm)
	require.NoError(t, err)
	defer qry.Close()
	return qry.Exec(ctx)
}

// TestContextDoneBeforeExec: nothing is read, and the error says what happened.
func TestContextDoneBeforeExec(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	o := baseOpts()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	expired, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	defer cancel()
	for _, tm := range []times{at(201), {100, 200, 10}} {
		for _, query := range []string{`three`, `sum(rate(three[1m]))`, `1`} {
			for ctx, want := range map[context.Context]error{
				cancelled: promql.ErrQueryCanceled("query execution"),
				expired:   promql.ErrQueryTimeout("query execution"),
			} {
				require.Equal(t, want, execUnder(t, ctx, prometheusEngine(t, o), st, query, tm).Err)
				for kind, s := range hooked(st, func() *hooks { return &hooks{} }) {
					res := execUnder(t, ctx, engine.New(o), s, query, tm)
					require.Equal(t, want, res.Err, kind)
					require.Nil(t, res.Value)
					require.Zero(t, s.of().queriers.Load())
				}
			}
		}
	}
	require.EqualError(t, promql.ErrQueryTimeout("query execution"), "query timed out in query execution")
}

// TestContextDoneWhenMade: making a query does not look at its context as long as there is nothing to wait for.
func TestContextDoneWhenMade(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := newQuery(ctx, engine.New(baseOpts()), nil, nil, `1`, at(0))
	require.NoError(t, err)
}

// interruption is a way to end a query while it runs, and the error of one that it ended.
type interruption struct {
	name string
	err  error
	// start gives the context to run under and what ends it, made before Exec.
	start func(q promql.Query) (context.Context, func())
}

var interruptions = []interruption{
	{"context", promql.ErrQueryCanceled("expression evaluation"), func(promql.Query) (context.Context, func()) {
		return context.WithCancel(context.Background())
	}},
	{"Cancel", promql.ErrQueryCanceled("expression evaluation"), func(q promql.Query) (context.Context, func()) {
		return context.Background(), q.Cancel
	}},
	{"deadline", promql.ErrQueryTimeout("expression evaluation"), func(promql.Query) (context.Context, func()) {
		ctx := &deadlineContext{done: make(chan struct{})}
		return ctx, ctx.expire
	}},
}

// deadlineContext is a context whose deadline passes when the test says so.
type deadlineContext struct {
	once sync.Once
	done chan struct{}
	over atomic.Bool
}

func (c *deadlineContext) expire() {
	c.once.Do(func() {
		c.over.Store(true)
		close(c.done)
	})
}
func (c *deadlineContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *deadlineContext) Done() <-chan struct{}       { return c.done }
func (c *deadlineContext) Value(any) any               { return nil }
func (c *deadlineContext) Err() error {
	if c.over.Load() {
		return context.DeadlineExceeded
	}
	return nil
}

// TestInterruptedWhileReading ends queries while an iterator of the storage is at work. The
// iterator waits until the query's own context has ended, and the query must not read all the rest.
func TestInterruptedWhileReading(t *testing.T) {
	st := promqltest.LoadedStorage(t, `
load 10s
  many{i="0"} 1+1x100
  many{i="1"} 1+1x100
  many{i="2"} 1+1x100
  many{i="3"} 1+1x100
  many{i="4"} 1+1x100
  many{i="5"} 1+1x100
  many{i="6"} 1+1x100
  many{i="7"} 1+1x100
  many{i="8"} 1+1x100
  many{i="9"} 1+1x100
`)
	for _, how := range interruptions {
		t.Run(how.name, func(t *testing.T) {
			for _, workers := range []int{1, 2, 4} {
				o := baseOpts()
				o.Workers, o.BatchSeries = workers, 1
				e := engine.New(o)
				for _, query := range []string{`many`, `rate(many[1m])`, `sum(rate(many[1m]))`, `many * on(i) many`, `topk(2, many)`, `max_over_time(many[5m:1s])`, `many[5m]`} {
					for _, tm := range []times{at(300), {300, 100_000, 1}} {
						if query == `many[5m]` && tm.step > 0 {
							continue
						}
						var (
							queryCtx context.Context
							end      func()
							ended    atomic.Bool
							after    atomic.Int64 // iterators asked for after the end
						)
						for kind, s := range hooked(st, func() *hooks {
							return &hooks{
								selected: func(ctx context.Context, _ *storage.SelectHints, _ []*labels.Matcher) error {
									queryCtx = ctx
									return nil
								},
								iterator: func(labels.Labels) {
									if ended.Load() {
										after.Add(1)
									}
								},
								sample: func(l labels.Labels, _ int) error {
									if l.Get("i") >= "2" { // whichever worker is the first
										end()
										<-queryCtx.Done()
										ended.Store(true)
									}
									return nil
								},
							}
						}) {
							qry, err := newQuery(context.Background(), e, s, nil, query, tm)
							require.NoError(t, err)
							var ctx context.Context
							ctx, end = how.start(qry)
							ended.Store(false)
							after.Store(0)
							res := qry.Exec(ctx)
							end()
							require.Equal(t, how.err, res.Err, "%s %s %v", kind, query, tm)
							require.Nil(t, res.Value)
							require.LessOrEqual(t, after.Load(), int64(2*workers), "%s %s %v", kind, query, tm)
							require.Equal(t, int64(1), s.of().closed.Load(), "closed before Exec returned")
							qry.Close()
						}
					}
				}
			}
		})
	}
}

// TestInterruptedWhileSelecting: the storage's own error comes through, worded as Prometheus words it.
func TestInterruptedWhileSelecting(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	o := baseOpts()
	run := func(e promql.QueryEngine, next bool) error {
		ctx, cancel := context.WithCancel(context.Background())
		h := &hooks{}
		if next {
			h.next = func(_, n int) error {
				if n == 1 {
					cancel()
				}
				return nil
			}
		} else {
			h.selected = func(ctx context.Context, _ *storage.SelectHints, _ []*labels.Matcher) error {
				cancel()
				<-ctx.Done()
				return ctx.Err()
			}
		}
		return execUnder(t, ctx, e, hookedSamples{st, h}, `three`, at(201)).Err
	}
	for _, next := range []bool{false, true} {
		want, got := run(prometheusEngine(t, o), next), run(engine.New(o), next)
		require.EqualError(t, got, want.Error())
	}
}

// TestTimeout: the engine's timeout ends a query that is under way. The iterator waits until it has passed.
func TestTimeout(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, workers := range []int{1, 4} {
		o := baseOpts()
		o.Workers, o.Timeout = workers, time.Millisecond
		e := engine.New(o)
		var ctx context.Context
		for kind, s := range hooked(st, func() *hooks {
			return &hooks{
				selected: func(c context.Context, _ *storage.SelectHints, _ []*labels.Matcher) error {
					ctx = c
					return nil
				},
				iterator: func(labels.Labels) { <-ctx.Done() },
			}
		}) {
			res := execUnder(t, context.Background(), e, s, `rate(three[1m])`, times{100, 200, 10})
			// On a busy machine the time is over before the storage is asked, or while it answers.
			if res.Err != promql.ErrQueryTimeout("query execution") && !isExpansion(res.Err) {
				require.Equal(t, promql.ErrQueryTimeout("expression evaluation"), res.Err, kind)
			}
		}
	}
}

func isExpansion(err error) bool {
	return err != nil && err.Error() == "expanding series: context deadline exceeded"
}

// TestTimeoutNone: a timeout of 0 or less is none.
func TestTimeoutNone(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, timeout := range []time.Duration{0, -1, -time.Hour} {
		for _, cost := range []bool{false, true} {
			o := baseOpts()
			o.Timeout, o.EnableQueryCost = timeout, cost
			bounded := true
			s := hookedSamples{st, &hooks{selected: func(ctx context.Context, _ *storage.SelectHints, _ []*labels.Matcher) error {
				_, bounded = ctx.Deadline()
				return nil
			}}}
			require.NoError(t, execUnder(t, context.Background(), engine.New(o), s, `three`, at(201)).Err)
			require.False(t, bounded)
		}
	}
}

// TestTimeoutReachesStorage: Select gets a context with the engine's timeout.
func TestTimeoutReachesStorage(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	o := baseOpts()
	o.Timeout = time.Hour
	before := time.Now()
	var deadline time.Time
	s := hookedSamples{st, &hooks{selected: func(ctx context.Context, _ *storage.SelectHints, _ []*labels.Matcher) error {
		deadline, _ = ctx.Deadline()
		return nil
	}}}
	require.NoError(t, execUnder(t, context.Background(), engine.New(o), s, `three`, at(201)).Err)
	require.False(t, deadline.Before(before.Add(time.Hour)))
	require.False(t, deadline.After(time.Now().Add(time.Hour)))
}

// TestCancelOutsideExec: Cancel has no effect but on a running Exec.
func TestCancelOutsideExec(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	qry, err := newQuery(context.Background(), engine.New(baseOpts()), st, nil, `three`, at(201))
	require.NoError(t, err)
	qry.Cancel()
	res := qry.Exec(context.Background())
	require.NoError(t, res.Err)
	qry.Cancel()
	qry.Close()
	qry.Cancel()
	require.Len(t, res.Value, 3)
}

// TestExecTwice: a query runs once.
func TestExecTwice(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	qry, err := newQuery(context.Background(), engine.New(baseOpts()), st, nil, `three`, at(201))
	require.NoError(t, err)
	require.NoError(t, qry.Exec(context.Background()).Err)
	again := qry.Exec(context.Background())
	require.ErrorContains(t, again.Err, "executed already")
	require.Nil(t, again.Value)
}

// TestInterruptedOnHugeGrid: also work without a storage, on many steps, ends when it is told to. The first selector of the
// query ends the context as it is read; what is left must not be carried through.
func TestInterruptedOnHugeGrid(t *testing.T) {
	st := promqltest.LoadedStorage(t, statsLoad)
	for _, query := range []string{
		`one + on() vector(time())`, `sum(one) + on() vector(time())`, `quantile_over_time(0.9, one[10m:1s])`, `count_values("v", one)`, `topk(1, one)`,
	} {
		for _, workers := range []int{1, 4} {
			o := baseOpts()
			o.Workers, o.PoisonBatches = workers, false
			ctx, cancel := context.WithCancel(context.Background())
			s := hookedSamples{st, &hooks{iterator: func(labels.Labels) { cancel() }}}
			res := execUnder(t, ctx, engine.New(o), s, query, times{0, 500_000, 1})
			cancel()
			require.Equal(t, promql.ErrQueryCanceled("expression evaluation"), res.Err, query)
		}
	}
}
