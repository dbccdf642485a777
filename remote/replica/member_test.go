package replica

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// A member that fails again and again is left out, for longer each time, and comes back when it is well. The last one is never left out.
func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		bad := &fake{name: "bad", err: func() error {
			if broken {
				return errors.New("boom")
			}
			return nil
		}}
		good := &fake{name: "good", delay: after(20 * time.Millisecond)}
		g := newGroup(Options{}, bad, good)
		for range 100 {
			_, err := ask(t.Context(), t, g)
			require.NoError(t, err)
		}
		asked := bad.asked.Load()
		require.LessOrEqual(t, asked, int64(3))
		time.Sleep(11 * time.Second)
		for range 100 {
			_, err := ask(t.Context(), t, g)
			require.NoError(t, err)
		}
		require.Equal(t, asked+1, bad.asked.Load(), "one try after the time is over")
		time.Sleep(time.Minute)
		broken = false
		for range 100 {
			_, err := ask(t.Context(), t, g)
			require.NoError(t, err)
		}
		require.Greater(t, bad.asked.Load(), asked+10)

		alone := newGroup(Options{}, &fake{name: "alone", err: func() error { return errors.New("boom") }})
		for range 10 {
			_, err := ask(t.Context(), t, alone)
			require.ErrorContains(t, err, "boom")
		}
	})
}

// A member that begins to answer and then breaks off is left out like one that does not begin.
func TestHalfDeadMembersAreEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := &fake{name: "bad", late: func() error { return errors.New("boom") }}
		good := &fake{name: "good", delay: after(20 * time.Millisecond)}
		g := newGroup(Options{}, bad, good)
		for range 100 {
			who, err := ask(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, "good", who)
		}
		require.LessOrEqual(t, bad.asked.Load(), int64(3))
	})
}

// Race does not ask members that were left out.
func TestRaceLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := &fake{name: "bad", err: func() error { return errors.New("boom") }}
		g := newGroup(Options{Strategy: Race}, bad, &fake{name: "good", delay: after(time.Millisecond)})
		for range 100 {
			_, err := ask(t.Context(), t, g)
			require.NoError(t, err)
		}
		require.EqualValues(t, 3, bad.asked.Load())
	})
}

// Requests that fail together leave a member out once.
func TestBurstEjectsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(prometheus.NewPedanticRegistry())
		bad := &fake{name: "bad", delay: after(10 * time.Millisecond), err: func() error { return errors.New("boom") }}
		g := newGroup(Options{Strategy: Race, Metrics: m}, bad, &fake{name: "good", delay: after(20 * time.Millisecond)})
		burst := func() {
			var wg sync.WaitGroup
			for range 9 {
				wg.Go(func() {
					_, err := ask(t.Context(), t, g)
					require.NoError(t, err)
				})
			}
			wg.Wait()
		}
		burst()
		require.EqualValues(t, 1, testutil.ToFloat64(m.ejections.WithLabelValues("bad")))
		time.Sleep(10 * time.Second)
		burst()
		require.EqualValues(t, 2, testutil.ToFloat64(m.ejections.WithLabelValues("bad")))
		time.Sleep(10 * time.Second)
		require.True(t, g.members[0].ejected(time.Now()), "for longer than before")
		require.True(t, g.members[0].ejected(time.Now()), "to ask changes nothing")
	})
}

// A member that was slow gets its share again once it is not, and members that are alike share the load, also where answers are late now and then.
func TestLoadSpreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		slow := true
		often := func(is func() bool) func() time.Duration {
			return func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				if is() {
					return 2 * time.Second
				}
				if rng.IntN(20) == 0 {
					return 400 * time.Millisecond
				}
				return time.Duration(80+rng.IntN(40)) * time.Millisecond
			}
		}
		a := &fake{name: "a", delay: often(func() bool { return false })}
		b := &fake{name: "b", delay: often(func() bool { return slow })}
		g := newGroup(Options{}, a, b)
		share := func() float64 { // of b
			a.asked.Store(0)
			b.asked.Store(0)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 500 {
						_, err := ask(t.Context(), t, g)
						require.NoError(t, err)
					}
				})
			}
			all.Wait()
			return float64(b.asked.Load()) / float64(a.asked.Load()+b.asked.Load())
		}
		require.Less(t, share(), .15, "of hedges")
		mu.Lock()
		slow = false
		mu.Unlock()
		share() // until it is known
		got := share()
		require.InDelta(t, .5, got, .2)
	})
}
