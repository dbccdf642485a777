package main

import (
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// announcer is an engine that says what it has, and no more.
type announcer struct {
	remote.RemoteEngine
	labels   []string
	coverage []remote.Coverage
}

func (a *announcer) Labels() []string            { return a.labels }
func (a *announcer) Coverage() []remote.Coverage { return a.coverage }

func holding(cluster string, from, to int64) remote.Coverage {
	return remote.Coverage{Labels: labels.FromStrings("cluster", cluster), Intervals: remote.Intervals{{Start: from, End: to}}}
}

func TestUnion(t *testing.T) {
	a := &announcer{labels: []string{"cluster"}, coverage: []remote.Coverage{holding("x", 0, 10), holding("y", 0, 10)}}
	b := &announcer{labels: []string{"cluster", "az"}, coverage: []remote.Coverage{holding("y", 20, 30), holding("z", 20, 30)}}
	engines := []remote.RemoteEngine{a, b}
	var u union
	names, coverage := u.announced(engines)
	require.Equal(t, []string{"az", "cluster"}, names)
	both := holding("y", 0, 10)
	both.Intervals = append(both.Intervals, remote.Interval{Start: 20, End: 30})
	require.Equal(t, []remote.Coverage{holding("x", 0, 10), both, holding("z", 20, 30)}, coverage)

	_, again := u.announced(engines)
	require.Same(t, &coverage[0], &again[0], "nobody says anything else")
	b.coverage = []remote.Coverage{holding("y", 20, 40)}
	_, other := u.announced(engines)
	both.Intervals[1].End = 40
	require.Equal(t, []remote.Coverage{holding("x", 0, 10), both}, other)
	require.Equal(t, holding("y", 0, 10), a.coverage[1], "what an engine announced stays as it is")
	b.coverage = []remote.Coverage{holding("y", 20, 40)}
	b.coverage[0].Grows = true
	_, other = u.announced(engines)
	both.Grows = true
	require.Equal(t, []remote.Coverage{holding("x", 0, 10), both}, other)
	_, alone := u.announced(engines[:1])
	require.Equal(t, a.coverage, alone)
	names, coverage = u.announced(nil)
	require.Empty(t, names)
	require.Empty(t, coverage)
}

// What a node says of nodes that give samples only is asked for by each query that is planned.
func BenchmarkAnnounceMillionLabelSets(b *testing.B) {
	var engines []remote.RemoteEngine
	for i := range 10 {
		e := &announcer{labels: []string{"cluster"}}
		for k := range 100_000 {
			e.coverage = append(e.coverage, holding(fmt.Sprintf("c%d-%d", i/2, k), int64(i%2)*1000, remote.Always.End))
		}
		engines = append(engines, e)
	}
	var u union
	n := newNodeEngine("stores", nil, nil, "", remote.PeerSource, func() ([]string, []remote.Coverage) { return u.announced(engines) })
	before := n.Coverage()
	for b.Loop() {
		require.Len(b, n.Labels(), 1)
		require.Len(b, n.Coverage(), len(before))
	}
}
