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
