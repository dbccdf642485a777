package discovery

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/replica"
)

// fake is an engine without a connection.
type fake struct {
	name   string
	of     Endpoint
	caps   remote.Capabilities
	sets   []remote.Coverage
	ready  atomic.Bool
	closed atomic.Bool
}

func (f *fake) Name() string     { return f.name }
func (f *fake) Labels() []string { return nil }
func (f *fake) Coverage() []remote.Coverage {
	if f.sets != nil {
		return f.sets
	}
	return []remote.Coverage{{Labels: labels.FromStrings("a", "b"), Intervals: remote.Intervals{remote.Always}}}
}
func (f *fake) Capabilities() remote.Capabilities { return f.caps }
func (f *fake) NewInstantQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time) (promql.Query, error) {
	return nil, errors.New("not asked")
}
func (f *fake) NewRangeQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time, time.Time, time.Duration) (promql.Query, error) {
	return nil, errors.New("not asked")
}
func (f *fake) Close() error         { f.closed.Store(true); return nil }
func (f *fake) Ready() bool          { return f.ready.Load() }
func (f *fake) LastError() error     { return nil }
func (f *fake) LastCheck() time.Time { return time.Time{} }

// names is a resolver of what it has, and that may change.
type names struct {
	mu sync.Mutex
	of map[string][]string
}

func (n *names) set(name string, hosts ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[name] = hosts
}

func (n *names) LookupHost(_ context.Context, host string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a := n.of[host]; a != nil {
		return a, nil
	}
	return nil, errors.New("no such host")
}

func (n *names) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*net.SRV
	for _, h := range n.of[name] {
		out = append(out, &net.SRV{Target: h + ".", Port: 7})
	}
	return "", out, nil
}

func namesOf(engines []remote.RemoteEngine) string {
	var out []string
	for _, e := range engines {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestSet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "endpoints.yaml")
	write := func(content string) { require.NoError(t, os.WriteFile(file, []byte(content), 0o600)) }
	write("endpoints:\n  - address: dns+leaf:1\n  - address: dnssrv+_grpc._tcp.x\n    group: g\n")
	synctest.Test(t, func(t *testing.T) {
		dialled := map[string]*fake{}
		dns := &names{of: map[string][]string{"leaf": {"10.0.0.2", "10.0.0.1"}, "_grpc._tcp.x": {"p", "q"}}}
		s, err := New(Options{
			Static: Config{Endpoints: []Endpoint{{Address: "static:1"}}}, File: file, Resolver: dns,
			Dial: func(e Endpoint) (Engine, error) {
				f := &fake{name: e.Address, of: e}
				dialled[e.Address] = f
				return f, nil
			},
		})
		require.NoError(t, err)
		require.Empty(t, s.Engines())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		require.Empty(t, s.Engines(), "nobody has answered yet")
		require.ErrorContains(t, s.NotReady(), "endpoint static:1 is not ready: it has not answered yet")
		for _, f := range dialled {
			f.ready.Store(true)
		}
		require.Equal(t, "10.0.0.1:1 10.0.0.2:1 g static:1", namesOf(s.Engines()))
		require.NoError(t, s.NotReady())
		g := s.Engines()[2]
		require.Same(t, g, s.Engines()[2], "a group stays as long as its members do")

		// A name that moves, and one that cannot be looked up any more.
		dns.set("leaf", "10.0.0.3")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		dialled["10.0.0.3:1"].ready.Store(true)
		require.Equal(t, "10.0.0.3:1 g static:1", namesOf(s.Engines()))
		require.False(t, dialled["10.0.0.1:1"].closed.Load(), "queries may still use it")
		dns.set("leaf")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.True(t, dialled["10.0.0.1:1"].closed.Load())
		require.Equal(t, "10.0.0.3:1 g static:1", namesOf(s.Engines()), "the last addresses stay")

		// A file that is wrong changes nothing, one that is right does.
		write("endpoints:\n  - addres: x:1\n")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		require.Equal(t, "10.0.0.3:1 g static:1", namesOf(s.Engines()))
		write("endpoints:\n  - address: other:1\n")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		dialled["other:1"].ready.Store(true)
		require.Equal(t, "other:1 static:1", namesOf(s.Engines()))
		require.Len(t, s.Statuses(), 2)

		// A server with a URL is connected to again where its labels change.
		write("endpoints:\n  - address: other:1\n  - address: http://p/x\n    external_labels: {a: b}\n")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		first := dialled["http://p/x"]
		require.Equal(t, map[string]string{"a": "b"}, first.of.ExternalLabels)
		write("endpoints:\n  - address: other:1\n  - address: http://p/x\n    external_labels: {a: c}\n")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.True(t, first.closed.Load())
		require.Equal(t, Endpoint{Address: "http://p/x", ExternalLabels: map[string]string{"a": "c"}}, dialled["http://p/x"].of)

		// One that is away for a while is not asked.
		dialled["other:1"].ready.Store(false)
		require.Equal(t, "static:1", namesOf(s.Engines()))

		// Engines that say they are the same.
		for _, a := range []string{"other:1", "static:1"} {
			dialled[a].ready.Store(true)
			dialled[a].caps = remote.Capabilities{GroupID: "bucket", PeerType: remote.PeerStore}
		}
		require.Equal(t, "bucket", namesOf(s.Engines()))

		cancel()
		require.NoError(t, <-done)
		for _, f := range dialled {
			require.True(t, f.closed.Load(), f.name)
		}
	})
}

// Metrics of members that leave go with them.
func TestMembersThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		dns := &names{of: map[string][]string{}}
		s, err := New(Options{
			Static:   Config{Endpoints: []Endpoint{{Address: "dns+leaf:1", Group: "g"}}},
			Resolver: dns, Replicas: replica.Options{Metrics: replica.NewMetrics(reg)},
			Dial: func(e Endpoint) (Engine, error) {
				f := &fake{name: e.Address, of: e}
				f.ready.Store(true)
				return f, nil
			},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		members := func() (out []string) {
			synctest.Wait()
			require.Len(t, s.Engines(), 1)
			all, err := reg.Gather()
			require.NoError(t, err)
			for _, m := range all[0].Metric {
				out = append(out, m.Label[0].GetValue())
			}
			return out
		}
		require.Equal(t, []string{"dns+leaf:1"}, members())
		for _, hosts := range [][]string{{"10.0.0.1", "10.0.0.2"}, {"10.0.0.2", "10.0.0.3"}, {"10.0.0.4"}} {
			dns.set("leaf", hosts...)
			time.Sleep(31 * time.Second)
			var want []string
			for _, h := range hosts {
				want = append(want, h+":1")
			}
			require.Equal(t, want, members())
		}
		cancel()
		require.NoError(t, <-done)
	})
}

// What the file says of an endpoint of the flags holds, unless they say otherwise; and a name does not hide the group of an address.
func TestEndpointInBoth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "endpoints.yaml")
	write := func(content string) { require.NoError(t, os.WriteFile(file, []byte("endpoints:\n"+content), 0o600)) }
	synctest.Test(t, func(t *testing.T) {
		opts := Options{
			Static:   Config{Endpoints: []Endpoint{{Address: "a:1"}, {Address: "http://p"}, {Address: "b:1", Group: "g"}, {Address: "dns+c:1"}}},
			File:     file,
			Resolver: &names{of: map[string][]string{"c": {"10.0.0.1"}}},
			Dial: func(e Endpoint) (Engine, error) {
				f := &fake{name: e.Address, of: e}
				f.ready.Store(true)
				return f, nil
			},
		}
		write("- {address: 'b:1', group: h}\n")
		_, err := New(opts)
		require.ErrorContains(t, err, `endpoints.yaml: endpoints: "b:1" is of the group "g" already, and not of "h"; remove one`)
		write("- {address: 'a:1', group: g}\n- {address: 'http://p', external_labels: {a: b}}\n- {address: 'b:1'}\n- {address: '10.0.0.1:1', group: h}\n")
		s, err := New(opts)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		groups := func() string {
			var out []string
			for _, st := range s.Statuses() {
				of := st.Engine.(*fake).of
				out = append(out, st.Address+"="+st.Group+of.ExternalLabels["a"])
			}
			return strings.Join(out, " ")
		}
		const want = "10.0.0.1:1=h a:1=g b:1=g http://p=b"
		require.Equal(t, want, groups())
		write("- {address: 'b:1', group: h}\n")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		require.Equal(t, want, groups(), "what is wrong changes nothing")
		write("- {address: 'b:1', group: g}\n")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		require.Equal(t, "10.0.0.1:1= a:1= b:1=g http://p=", groups())
		cancel()
		require.NoError(t, <-done)
	})
	_, err := Config{Endpoints: []Endpoint{{Address: "http://p", ExternalLabels: map[string]string{"a": "b"}}}}.with(
		Config{Endpoints: []Endpoint{{Address: "http://p", ExternalLabels: map[string]string{"a": "c"}}}})
	require.ErrorContains(t, err, `"http://p" has other external labels already`)
}

func TestConfig(t *testing.T) {
	for content, want := range map[string]string{
		"endpoints:\n  - address: a:1\n  - address: a:1\n":                        `"a:1" is there twice`,
		"endpoints:\n  - address: a\n":                                            `"a" is not host:port`,
		"endpoints:\n  - address: dns+a\n":                                        `"dns+a" is not host:port`,
		"endpoints:\n  - address: dnssrv+\n":                                      "has no name to look up",
		"endpoints:\n  - address: srv+a:1\n":                                      "unknown prefix",
		"endpoints:\n  - address: http:///x\n":                                    "has no host",
		"endpoints:\n  - address: http://u:secret@h:1\n":                          "http://u:xxxxx@h:1",
		"endpoints:\n  - address: a:1\n    external_labels: {a: b}\n":             "says itself",
		"endpoints:\n  - address: http://a\n    external_labels: {__name__: b}\n": "cannot have the external label __name__",
		"endpoints:\n  - address: http://a\n    external_labels: {a: \"\"}\n":     "cannot have the external label a",
		"endpoint: []\n": "field endpoint not found",
	} {
		_, err := Parse([]byte(content))
		require.ErrorContains(t, err, want)
	}
	c, err := Parse(nil)
	require.NoError(t, err)
	require.Empty(t, c.Endpoints)
	_, err = New(Options{File: filepath.Join(t.TempDir(), "missing")})
	require.Error(t, err, "to begin with the file must be right")
}
