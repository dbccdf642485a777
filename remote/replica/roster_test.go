package replica

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// What is known of a member goes with it when others come and go, and its metrics go when it does.
func TestRoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(prometheus.NewPedanticRegistry())
		r := NewRoster(Options{Metrics: m, Failures: 1})
		caps := remote.Capabilities{LanguageLevel: "3.16"}
		bad := &fake{name: "bad", caps: caps, err: func() error { return errors.New("boom") }}
		good, other := &fake{name: "good", caps: caps}, &fake{name: "other", caps: caps}
		g := r.Group("g", []remote.RemoteEngine{bad, good})
		for !g.members[0].ejected(time.Now()) {
			_, err := ask(t.Context(), t, g)
			require.NoError(t, err)
		}
		asked := bad.asked.Load()

		g = r.Group("g", []remote.RemoteEngine{bad, good, other})
		for range 20 {
			_, err := ask(t.Context(), t, g)
			require.NoError(t, err)
		}
		require.Equal(t, asked, bad.asked.Load(), "it is still left out")

		before := g
		g = r.Group("g", []remote.RemoteEngine{bad})
		require.False(t, g.members[0].ejected(time.Now()), "the last one never is")
		_, err := ask(t.Context(), t, g)
		require.Error(t, err)
		require.False(t, g.members[0].ejected(time.Now()))

		require.Equal(t, 3, testutil.CollectAndCount(m.picks))
		r.Forget(other)
		r.Forget(good)
		r.Forget(good)
		for _, c := range []prometheus.Collector{m.picks, m.won, m.lost, m.failovers, m.ejections} {
			require.Equal(t, 1, testutil.CollectAndCount(c))
		}
		_, err = ask(t.Context(), t, before)
		require.NoError(t, err)
		require.Equal(t, 1, testutil.CollectAndCount(m.picks), "queries that go on bring none back")

		// Another engine with the name, such as a new connection to the same address, has the metrics as long as one of both is there.
		again := &fake{name: "bad", caps: caps}
		r.Group("g", []remote.RemoteEngine{again})
		r.Forget(bad)
		require.Equal(t, 1, testutil.CollectAndCount(m.picks))
		r.Forget(again)
		require.Zero(t, testutil.CollectAndCount(m.picks))
		idle(t, g)
		idle(t, before)
	})
}
