package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// A member that breaks off is replaced, and the answer begins anew.
func TestFailover(t *testing.T) {
	boom := errors.New("boom")
	for name, set := range map[string]func(*fake){
		"before the first columns":       func(f *fake) { f.err = func() error { return boom } },
		"in the middle":                  func(f *fake) { f.late = func() error { return boom } },
		"by an error that wraps the end": func(f *fake) { f.late = func() error { return fmt.Errorf("boom: %w", io.EOF) } },
		"by a panic":                     func(f *fake) { f.late = func() error { panic("boom") } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad, good := &fake{name: "bad"}, &fake{name: "good", delay: after(time.Millisecond)}
				set(bad)
				g := newGroup(Options{Failures: 1000}, bad, good)
				for range 20 {
					who, err := ask(t.Context(), t, g)
					require.NoError(t, err)
					require.Equal(t, "good", who)
				}
				require.Positive(t, bad.asked.Load())
				require.Zero(t, bad.running.Load())

				other := &fake{name: "other"}
				set(other)
				_, err := ask(t.Context(), t, newGroup(Options{}, bad, other))
				require.ErrorContains(t, err, "no member of replica group group answered")
				require.ErrorContains(t, err, "remote engine bad: ")
				require.ErrorContains(t, err, "remote engine other: ")
			})
		})
	}
}

// Columns go through as they come; when another member takes over, that is said.
func TestColumnsGoThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := func() error { time.Sleep(time.Hour); return errors.New("boom") }
		bad, good := &fake{name: "bad", late: broken}, &fake{name: "good", delay: after(time.Millisecond)}
		g := newGroup(Options{Strategy: Race}, bad, good)
		q, err := g.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.UnixMilli(0))
		require.NoError(t, err)
		began := time.Now()
		s, err := q.(remote.Streamer).Stream(t.Context())
		require.NoError(t, err)
		c, err := s.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, "bad", c.Series[0].Labels.Get("from"))
		require.Zero(t, time.Since(began), "nothing is held back")
		_, err = s.Next(t.Context())
		require.ErrorIs(t, err, remote.ErrRestart)
		for i := range 2 {
			c, err = s.Next(t.Context())
			require.NoError(t, err)
			require.Equal(t, "good", c.Series[0].Labels.Get("from"))
			require.Equal(t, fmt.Sprint(i+1), c.Series[0].Labels.Get("n"))
		}
		for range 2 {
			_, err = s.Next(t.Context())
			require.Equal(t, io.EOF, err)
		}
		require.Equal(t, "good", s.Trailer().Analysis)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		idle(t, g)
	})
}

// A stream that is closed before its end leaves nobody at work.
func TestClosedEarly(t *testing.T) {
	for _, columns := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(Options{Strategy: Race}, &fake{name: "a", delay: after(time.Second)}, &fake{name: "b", delay: after(time.Hour)})
			q, err := g.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.UnixMilli(0))
			require.NoError(t, err)
			s, err := q.(remote.Streamer).Stream(t.Context())
			require.NoError(t, err)
			for range columns {
				_, err := s.Next(t.Context())
				require.NoError(t, err)
			}
			require.NoError(t, s.Close())
			idle(t, g)
		})
	}
}

// Of two members that were asked, the one that was cancelled is asked again when the other one breaks off.
func TestLosersAreAskedAgain(t *testing.T) {
	for _, strategy := range []Strategy{Race, Hedge} {
		t.Run(string(strategy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := true
				healthy := &fake{name: "healthy", delay: func() time.Duration {
					if first {
						first = false
						return time.Hour
					}
					return time.Millisecond
				}}
				bad := &fake{name: "bad", delay: after(100 * time.Millisecond), late: func() error { return errors.New("boom") }}
				g := newGroup(Options{Strategy: strategy}, bad, healthy)
				who, err := ask(t.Context(), t, g)
				require.NoError(t, err)
				require.Equal(t, "healthy", who)
				require.EqualValues(t, 1, bad.asked.Load())
				require.EqualValues(t, 2, healthy.asked.Load())
				idle(t, g)
			})
		})
	}
}

// A loser that does not notice that it is cancelled keeps nobody from the answer.
func TestDeafLosers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick, deaf := &fake{name: "quick"}, &fake{name: "deaf", delay: after(time.Hour), deaf: true}
		g := newGroup(Options{Strategy: Race}, quick, deaf)
		q, err := g.NewInstantQuery(t.Context(), nil, &remote.Text{Query: "up"}, time.UnixMilli(0))
		require.NoError(t, err)
		began := time.Now()
		s, err := q.(remote.Streamer).Stream(t.Context())
		require.NoError(t, err)
		for err == nil {
			_, err = s.Next(t.Context())
		}
		require.Equal(t, io.EOF, err)
		require.Zero(t, time.Since(began))
		require.NoError(t, s.Close())
		require.Equal(t, time.Minute, time.Since(began), "nothing is at work after the end")
		idle(t, g)
	})
}

// Members that hang are passed over even when the budget of extra requests is used up, and are left out in time.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(prometheus.NewPedanticRegistry())
		stuck, good := &fake{name: "stuck", delay: after(time.Hour)}, &fake{name: "good", delay: after(time.Second)}
		g := newGroup(Options{Metrics: m, Budget: 1e-9}, stuck, good)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				began := time.Now()
				who, err := ask(t.Context(), t, g)
				require.NoError(t, err)
				require.Equal(t, "good", who)
				require.LessOrEqual(t, time.Since(began), 6*time.Second)
			})
		}
		wg.Wait()
		require.Greater(t, stuck.asked.Load(), int64(10), "more than the budget's")
		require.True(t, g.members[0].ejected(time.Now()))
		idle(t, g)
	})
}

// An extra request that the budget did not allow at first is made once it does.
func TestHedgeIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(Options{Budget: 1e-9}, &fake{name: "a", delay: after(time.Hour)}, &fake{name: "b", delay: after(time.Hour)})
		g.budget.earn()
		for g.budget.spend() {
		}
		time.AfterFunc(time.Second, func() {
			g.budget.mu.Lock()
			defer g.budget.mu.Unlock()
			g.budget.tokens = 1
		})
		ctx, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond)
		defer cancel()
		_, err := ask(ctx, t, g)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for _, m := range g.members {
			require.EqualValues(t, 1, m.engine.(*fake).asked.Load())
		}
	})
}

func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fake{name: "a", delay: after(time.Hour)}, &fake{name: "b", delay: after(time.Hour)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := ask(ctx, t, newGroup(Options{}, a, b))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, a.running.Load()+b.running.Load())
	})
}

// The end of a query is no failure of a member: nobody else is asked because of it, whatever members say of it.
func TestCancelledAsksNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i := range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			ends := func() error {
				cancel()
				return errors.New("boom")
			}
			var members []*fake
			for _, name := range []string{"a", "b", "c", "d"} {
				m := &fake{name: name, delay: after(time.Second)}
				if members = append(members, m); i%2 == 0 {
					m.err = ends
				} else {
					m.late = ends
				}
			}
			g := newGroup(Options{Strategy: Race}, members...)
			_, err := ask(ctx, t, g)
			require.Equal(t, context.Canceled, err)
			asked := int64(0)
			for i, m := range members {
				asked += m.asked.Load()
				require.Zero(t, g.members[i].failures)
			}
			require.EqualValues(t, 2, asked)
			idle(t, g)
		}
	})
}

// A member may leave out sources of its own only when no other one is left that may have all.
func TestWholeAnswersComeFirst(t *testing.T) {
	for _, strategy := range []Strategy{Hedge, Race} {
		synctest.Test(t, func(t *testing.T) {
			partial := remote.WithRequest(t.Context(), remote.Request{PartialResponse: true})
			a := &fake{name: "a", delay: after(10 * time.Millisecond), partly: errors.New("a store is lost")}
			b := &fake{name: "b", delay: after(20 * time.Millisecond)}
			g := newGroup(Options{Strategy: strategy, Failures: 1 << 30}, a, b)
			for range 20 {
				who, err := ask(partial, t, g)
				require.NoError(t, err)
				require.Equal(t, "b", who)
			}
			require.Positive(t, a.asked.Load())

			b.partly = errors.New("another one is lost")
			_, err := ask(t.Context(), t, g)
			require.ErrorContains(t, err, "a store is lost")
			require.ErrorContains(t, err, "another one is lost")
			a.asked.Store(0)
			b.asked.Store(0)
			_, err = ask(partial, t, g)
			require.NoError(t, err)
			require.LessOrEqual(t, a.asked.Load()+b.asked.Load(), int64(3), "one of them once more at most")
			idle(t, g)
		})
	}
}
