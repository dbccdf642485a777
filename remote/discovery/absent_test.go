package discovery

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// An endpoint without an address has an engine in its place, of which queries fail, until there is one.
func TestEndpointWithoutAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &names{of: map[string][]string{}}
		dialled := map[string]*fake{}
		var refused atomic.Bool
		refused.Store(true)
		s, err := New(Options{
			Static: Config{Endpoints: []Endpoint{
				{Address: "good:1"}, {Address: "dns+lost:1"}, {Address: "dnssrv+_grpc._tcp.none"}, {Address: "bad:1"},
				{Address: "dns+grouped:1", Group: "g"}, {Address: "other:1", Group: "g"}, {Address: "dns+alone:1", Group: "h"},
			}},
			Resolver: dns,
			Dial: func(e Endpoint) (Engine, error) {
				if e.Address == "bad:1" && refused.Load() {
					return nil, errors.New("no such compression")
				}
				f := &fake{name: e.Address, of: e}
				f.ready.Store(true)
				dialled[e.Address] = f
				return f, nil
			},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()

		engines := s.Engines()
		require.Equal(t, "bad:1 dns+lost:1 dnssrv+_grpc._tcp.none g good:1 h", namesOf(engines))
		require.Equal(t, engines, s.Engines(), "they stay")
		for _, want := range []string{
			"remote engine bad:1: no such compression",
			"remote engine dns+lost:1: its address is not known: no such host",
			"remote engine dnssrv+_grpc._tcp.none: its address is not known: the name has no addresses",
		} {
			e := engines[0]
			engines = engines[1:]
			require.Equal(t, remote.Intervals{remote.Always}, e.Coverage()[0].Intervals)
			require.Empty(t, e.Labels())
			_, err := e.NewInstantQuery(ctx, nil, nil, time.Time{})
			require.EqualError(t, err, want)
			_, err = e.NewRangeQuery(ctx, nil, nil, time.Time{}, time.Time{}, 0)
			require.EqualError(t, err, want)
			_, err = remote.Samples(e, 0, 1)
			require.EqualError(t, err, want)
			_, err = remote.Chunks(e, 0, 1)
			require.EqualError(t, err, want)
		}
		require.ErrorContains(t, s.NotReady(), "endpoint dns+lost:1 is not ready: its address is not known: no such host")
		require.Equal(t, []string{"bad:1", "dns+alone:1", "dns+grouped:1", "dns+lost:1", "dnssrv+_grpc._tcp.none", "good:1", "other:1"}, addressesOf(s))
		require.Equal(t, time.Now(), s.Statuses()[0].LastCheck)

		// It stays the same as long as it is absent, and goes when it is there.
		lost := s.Engines()[1]
		dns.set("grouped", "10.0.0.2")
		dns.set("_grpc._tcp.none", "10.0.0.3")
		refused.Store(false)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		require.Equal(t, "10.0.0.3:7 bad:1 dns+lost:1 g good:1 h", namesOf(s.Engines()))
		require.Same(t, lost, s.Engines()[2])
		dns.set("lost", "10.0.0.1")
		dns.set("alone", "10.0.0.4")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		require.Equal(t, "10.0.0.1:1 10.0.0.3:7 bad:1 g good:1 h", namesOf(s.Engines()))
		require.NoError(t, s.NotReady())
		require.Equal(t, []string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:7", "10.0.0.4:1", "bad:1", "good:1", "other:1"}, addressesOf(s))

		// One that had addresses keeps them, also when it has none any more.
		dns.set("_grpc._tcp.none")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		require.Equal(t, "10.0.0.1:1 10.0.0.3:7 bad:1 g good:1 h", namesOf(s.Engines()))
		require.False(t, dialled["10.0.0.3:7"].closed.Load())

		cancel()
		require.NoError(t, <-done)
	})
}

func addressesOf(s *Set) (out []string) {
	for _, st := range s.Statuses() {
		out = append(out, st.Address)
	}
	return out
}
