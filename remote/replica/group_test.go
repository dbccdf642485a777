package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// fake is a member that answers with two columns, after some time, or goes wrong.
type fake struct {
	name     string
	coverage []remote.Coverage // nil: always
	caps     remote.Capabilities
	delay    func() time.Duration // until the first columns
	err      func() error         // instead of the first columns
	late     func() error         // instead of the second columns
	deaf     bool                 // it does not notice that it is cancelled
	partly   error                // of a source of its own, unless a partial response is allowed
	asked    atomic.Int64
	running  atomic.Int64
}

// covers is the coverage of one label set.
func covers(intervals ...remote.Interval) []remote.Coverage {
	return []remote.Coverage{{Labels: labels.FromStrings("cluster", "a"), Intervals: intervals}}
}

func (f *fake) Name() string     { return f.name }
func (f *fake) Labels() []string { return []string{"cluster"} }
func (f *fake) Coverage() []remote.Coverage {
	if f.coverage == nil {
		return covers(remote.Always)
	}
	return f.coverage
}
func (f *fake) Capabilities() remote.Capabilities { return f.caps }
func (f *fake) NewInstantQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time) (promql.Query, error) {
	return &fakeQuery{f: f}, nil
}
func (f *fake) NewRangeQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time, time.Time, time.Duration) (promql.Query, error) {
	return &fakeQuery{f: f}, nil
}

type fakeQuery struct {
	promql.Query
	f *fake
}

func (q *fakeQuery) Stream(ctx context.Context) (remote.ColumnStream, error) {
	q.f.asked.Add(1)
	if q.f.partly != nil && !remote.RequestFrom(ctx).PartialResponse {
		return nil, q.f.partly
	}
	q.f.running.Add(1)
	return &fakeStream{f: q.f}, nil
}

func (*fakeQuery) Close() {}

type fakeStream struct {
	f      *fake
	sent   int
	closed sync.Once
}

func (q *fakeStream) Next(ctx context.Context) (*remote.Columns, error) {
	q.sent++
	switch {
	case q.sent == 1:
		if q.f.delay != nil {
			select {
			case <-time.After(q.f.delay()):
			case <-ctx.Done():
				if !q.f.deaf {
					return nil, ctx.Err()
				}
				time.Sleep(time.Minute)
			}
		}
		if q.f.err != nil {
			if err := q.f.err(); err != nil {
				return nil, err
			}
		}
	case q.sent == 2 && q.f.late != nil:
		if err := q.f.late(); err != nil {
			return nil, err
		}
	case q.sent > 2:
		return nil, io.EOF
	}
	return remote.NewColumns([]remote.Series{{Labels: labels.FromStrings("from", q.f.name, "n", fmt.Sprint(q.sent))}}, 0, 1), nil
}

func (q *fakeStream) Trailer() remote.Trailer { return remote.Trailer{Analysis: q.f.name} }
func (q *fakeStream) Close() error {
	q.closed.Do(func() { q.f.running.Add(-1) })
	return nil
}

// ask runs a query and gives who answered.
func ask(ctx context.Context, t testing.TB, g *Group) (string, error) {
	t.Helper()
	return askFor(ctx, t, g, &remote.Text{Query: "up"})
}

func askFor(ctx context.Context, t testing.TB, g *Group, text remote.RemoteQuery) (string, error) {
	t.Helper()
	q, err := g.NewRangeQuery(ctx, nil, text, time.UnixMilli(0), time.UnixMilli(1000), time.Second)
	require.NoError(t, err)
	s, err := q.(remote.Streamer).Stream(ctx)
	if err != nil {
		return "", err
	}
	defer s.Close()
	var from []string
	for {
		c, err := s.Next(ctx)
		if err == io.EOF {
			require.Len(t, from, 2, "an answer is whole, and comes once")
			require.Equal(t, s.Trailer().Analysis, from[0])
			require.Equal(t, from[0], from[1], "an answer is of one member")
			return from[0], nil
		}
		if errors.Is(err, remote.ErrRestart) {
			from = nil
			continue
		}
		if err != nil {
			return "", err
		}
		from = append(from, c.Series[0].Labels.Get("from"))
	}
}

// idle checks that nobody is asked any more.
func idle(t testing.TB, g *Group) {
	t.Helper()
	for _, m := range g.members {
		require.Zero(t, m.inFlight, m.engine.Name())
		require.Zero(t, m.engine.(interface{ active() int64 }).active(), m.engine.Name())
	}
}

func (f *fake) active() int64 { return f.running.Load() }

func after(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

func newGroup(opts Options, members ...*fake) *Group {
	var engines []remote.RemoteEngine
	for _, m := range members {
		engines = append(engines, m)
	}
	return New("group", engines, opts)
}

// The member that begins to answer first wins, and the other one is cancelled.
func TestRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast, slow := &fake{name: "fast", delay: after(10 * time.Millisecond)}, &fake{name: "slow", delay: after(time.Hour)}
		g := newGroup(Options{Strategy: Race}, slow, fast)
		for range 10 {
			start := time.Now()
			who, err := ask(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, "fast", who)
			require.Equal(t, 10*time.Millisecond, time.Since(start))
		}
		require.EqualValues(t, 10, slow.asked.Load())
		require.Zero(t, slow.running.Load())
	})
}

// A second member is asked only when the first is late, and not more often than the budget allows.
func TestHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		m := NewMetrics(reg)
		stuck := true
		a := &fake{name: "a", delay: func() time.Duration {
			if stuck {
				return time.Hour
			}
			return 10 * time.Millisecond
		}}
		b := &fake{name: "b", delay: after(10 * time.Millisecond)}
		g := newGroup(Options{Metrics: m}, a, b)
		for range 50 {
			start := time.Now()
			who, err := ask(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, "b", who)
			require.LessOrEqual(t, time.Since(start), 60*time.Millisecond)
		}
		require.LessOrEqual(t, a.asked.Load(), int64(15), "all but the budget went to who answers")
		stuck = false
		for range 50 {
			_, err := ask(t.Context(), t, g)
			require.NoError(t, err)
		}
		require.Zero(t, a.running.Load()+b.running.Load())
		require.Positive(t, testutil.CollectAndCount(m.won))
	})
}

// With one slow member of two, 99 of 100 queries take at most 1.3 times as long as with none, after the first few: one by one or many at once,
// often or now and then.
func TestTailLatency(t *testing.T) {
	p99 := func(t *testing.T, workers int, pause, slow time.Duration) (out time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			var n atomic.Int64
			jitter := func(base time.Duration) func() time.Duration {
				return func() time.Duration { return base + time.Duration(n.Add(1)%7)*time.Millisecond }
			}
			g := newGroup(Options{}, &fake{name: "a", delay: jitter(100 * time.Millisecond)}, &fake{name: "b", delay: jitter(slow)})
			var mu sync.Mutex
			var took []time.Duration
			var all sync.WaitGroup
			for range workers {
				all.Go(func() {
					for range 2000 / workers {
						start := time.Now()
						_, err := ask(t.Context(), t, g)
						require.NoError(t, err)
						mu.Lock()
						took = append(took, time.Since(start))
						mu.Unlock()
						time.Sleep(pause)
					}
				})
			}
			all.Wait()
			idle(t, g)
			took = took[100:]
			slices.Sort(took)
			out = took[len(took)*99/100]
		})
		return out
	}
	for name, c := range map[string]struct {
		workers int
		pause   time.Duration
	}{"one by one": {1, 0}, "many at once": {32, 0}, "now and then": {1, time.Second}, "rarely": {1, time.Minute}} {
		t.Run(name, func(t *testing.T) {
			none := p99(t, c.workers, c.pause, 100*time.Millisecond)
			for _, slow := range []time.Duration{250 * time.Millisecond, 5 * time.Second, time.Minute} {
				one := p99(t, c.workers, c.pause, slow)
				t.Logf("p99 %s without a slow member, %s with one of %s", none, one, slow)
				require.LessOrEqual(t, float64(one), 1.3*float64(none))
			}
		})
	}
}

// An error of the query is no fault of the member: nobody else is asked.
func TestQueryErrorsAreNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func() error { return &remote.QueryError{Err: errors.New("found duplicate series")} }
		a, b := &fake{name: "a", err: fail}, &fake{name: "b", err: fail}
		_, err := ask(t.Context(), t, newGroup(Options{}, a, b))
		require.EqualError(t, err, "found duplicate series")
		require.EqualValues(t, 1, a.asked.Load()+b.asked.Load())
	})
}

func TestAnnounced(t *testing.T) {
	engine := func(name, group string, peer remote.PeerType) *fake {
		return &fake{name: name, caps: remote.Capabilities{GroupID: group, PeerType: peer, LanguageLevel: "3.16", PlanVersion: 1}}
	}
	older := engine("e", "bucket", remote.PeerStore)
	older.caps.LanguageLevel = "3.9"
	engines := []remote.RemoteEngine{
		engine("a", "bucket", remote.PeerStore),
		engine("b", "", remote.PeerStore),
		engine("c", "bucket", remote.PeerSource),
		engine("d", "other", remote.PeerStore),
		older,
		engine("f", "", remote.PeerStore),
	}
	groups, alone := Announced(engines)
	names := func(engines []remote.RemoteEngine) (out []string) {
		for _, e := range engines {
			out = append(out, e.Name())
		}
		return out
	}
	require.Equal(t, []string{"b", "c", "d", "f"}, names(alone), "empty ids and sources are not grouped")
	require.Len(t, groups, 1)
	for _, members := range groups {
		require.Equal(t, []string{"a", "e"}, names(members))
		require.Equal(t, "3.9", New("bucket", members, Options{}).Capabilities().LanguageLevel)
		require.False(t, New("bucket", members, Options{}).Capabilities().SamplesOnly)
		older.caps.SamplesOnly = true
		require.True(t, New("bucket", members, Options{}).Capabilities().SamplesOnly)
	}
}

// Label sets in another order are the same, and engines with other ones are no replicas, whatever their ids.
func TestAnnouncedLabelSets(t *testing.T) {
	store := remote.Capabilities{GroupID: "bucket", PeerType: remote.PeerStore}
	sets := func(names ...string) (out []remote.Coverage) {
		for _, n := range names {
			out = append(out, remote.Coverage{Labels: labels.FromStrings("cluster", n), Intervals: remote.Intervals{remote.Always}})
		}
		return out
	}
	groups, alone := Announced([]remote.RemoteEngine{
		&fake{name: "a", caps: store, coverage: sets("x", "y")},
		&fake{name: "b", caps: store, coverage: sets("x", "z")},
		&fake{name: "c", caps: store, coverage: sets("y", "x")},
	})
	require.Len(t, alone, 1)
	require.Equal(t, "b", alone[0].Name())
	require.Len(t, groups, 1)
	for _, members := range groups {
		require.Len(t, members, 2)
	}
}
