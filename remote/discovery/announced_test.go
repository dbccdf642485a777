package discovery

import (
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

func sets(clusters ...string) (out []remote.Coverage) {
	for _, c := range clusters {
		out = append(out, remote.Coverage{Labels: labels.FromStrings("cluster", c), Intervals: remote.Intervals{remote.Always}})
	}
	return out
}

// Groups follow what engines say, whether it is their data or themselves that change.
func TestAnnouncedGroupsChange(t *testing.T) {
	bucket := remote.Capabilities{GroupID: "bucket", PeerType: remote.PeerStore}
	a, b := &fake{name: "a", caps: bucket, sets: sets("x", "y")}, &fake{name: "b", caps: bucket, sets: sets("y", "x")}
	engines := []remote.RemoteEngine{a, b}
	var said announced
	grouped := func() bool {
		groups, alone := said.of(engines)
		require.Equal(t, len(engines), len(alone)+2*len(groups))
		return len(groups) == 1
	}
	require.True(t, grouped())
	require.True(t, grouped())
	a.sets = sets("x")
	require.False(t, grouped(), "other data")
	a.sets = sets("x", "y")
	require.True(t, grouped())
	b.caps.PeerType = remote.PeerSource
	require.False(t, grouped(), "sources are none")
	b.caps = bucket
	require.True(t, grouped())
	engines = []remote.RemoteEngine{a}
	require.False(t, grouped())
	engines = nil
	require.False(t, grouped())
}

// Groups with one id and other data have names that tell them apart.
func TestAnnouncedGroupNames(t *testing.T) {
	s, err := New(Options{})
	require.NoError(t, err)
	var engines []*fake
	add := func(id string, peer remote.PeerType, group string, clusters ...string) {
		for range 2 {
			f := &fake{name: fmt.Sprintf("e%d", len(engines)), caps: remote.Capabilities{GroupID: id, PeerType: peer}, sets: sets(clusters...)}
			f.ready.Store(true)
			s.connected[f.name] = &connection{f, Endpoint{Address: f.name, Group: group}}
			engines = append(engines, f)
		}
	}
	names := func() (out []string) {
		for _, e := range s.Engines() {
			out = append(out, e.Name())
		}
		return out
	}
	add("bucket", remote.PeerStore, "", "x")
	require.Equal(t, []string{"bucket"}, names())
	add("bucket", remote.PeerStore, "", "z", "y")
	add("other", remote.PeerStore, "", "x")
	want := []string{`bucket {cluster="x"}`, `bucket {cluster="y"} and 1 more`, "other"}
	require.Equal(t, want, names())
	kept := s.Engines()[0]
	require.Same(t, kept, s.Engines()[0])
	add("bucket", remote.PeerQuery, "", "x")
	add("", remote.PeerSource, "other", "w")
	require.Equal(t, []string{`bucket {cluster="x"} of e0`, `bucket {cluster="x"} of e6`, `bucket {cluster="y"} and 1 more`, "other", "other (announced)"}, names())
	for _, e := range engines[4:] {
		delete(s.connected, e.name)
	}
	require.Equal(t, want[:2], names())
}

// Each query asks which engines there are.
func BenchmarkEnginesMillionLabelSets(b *testing.B) {
	s, err := New(Options{})
	require.NoError(b, err)
	for i := range 10 {
		f := &fake{name: fmt.Sprint(i), caps: remote.Capabilities{GroupID: fmt.Sprint("g", i/2), PeerType: remote.PeerQuery}}
		for k := range 100_000 {
			f.sets = append(f.sets, sets(fmt.Sprintf("c%d-%d", i/2, k))...)
		}
		f.ready.Store(true)
		s.connected[f.name] = &connection{engine: f}
	}
	require.Len(b, s.Engines(), 5)
	for b.Loop() {
		s.Engines()
	}
}
