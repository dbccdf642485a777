package logicalplan

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/replica"
)

// withPartition are engines whose external labels of the given names tell data sets apart.
func withPartition(names []string, engines ...*testEngine) []remote.RemoteEngine {
	var out []remote.RemoteEngine
	for _, e := range engines {
		e.labels = names
		out = append(out, e)
	}
	return out
}

// What labels can tell apart, and what they cannot.
func TestRelatedDataSets(t *testing.T) {
	for name, c := range map[string]struct {
		engines                      [][]string // label sets of each
		sources                      []int
		ambiguous, copied, entangled bool
	}{
		"one label":                      {engines: [][]string{{`{c="1"}`}, {`{c="2"}`}, {`{c="1"}`}}, sources: []int{0, 1, 0}},
		"no labels":                      {engines: [][]string{{`{}`}, {`{}`}}, sources: []int{0, 0}},
		"one set lacks the label":        {engines: [][]string{{`{c="1"}`}, {`{}`}}, sources: []int{0, 1}, ambiguous: true, copied: true},
		"different labels":               {engines: [][]string{{`{c="1"}`}, {`{r="1"}`}}, sources: []int{0, 1}, ambiguous: true},
		"a common label differs":         {engines: [][]string{{`{c="1"}`}, {`{c="2",r="1"}`}}, sources: []int{0, 1}},
		"a common label is equal":        {engines: [][]string{{`{c="1"}`}, {`{c="1",r="1"}`}}, sources: []int{0, 1}, ambiguous: true, copied: true},
		"one engine has both":            {engines: [][]string{{`{c="1"}`, `{c="1",r="1"}`}, {`{c="2"}`, `{c="2",r="1"}`}}, sources: []int{0, 1}},
		"each engine has both":           {engines: [][]string{{`{c="1"}`, `{}`}, {`{c="1"}`, `{}`}}, sources: []int{0, 0}},
		"both have one, one has another": {engines: [][]string{{`{c="1"}`, `{}`}, {`{c="1"}`}}, sources: []int{0, 0}, ambiguous: true, entangled: true},
		"at different times":             {engines: [][]string{{`{c="1"}`, `{} 5..9`}, {`{c="1"}`, `{}`}}, sources: []int{0, 0}, ambiguous: true, entangled: true},
		"by way of a third":              {engines: [][]string{{`{c="1"}`}, {`{c="2"}`}, {`{c="1"}`, `{c="2"}`}, {`{c="3"}`}}, sources: []int{0, 0, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var engines []*testEngine
			for i, sets := range c.engines {
				engines = append(engines, endpoint(t, fmt.Sprint(i), sets...))
			}
			x := (&topologies{}).of(withPartition([]string{"c", "r"}, engines...)).index
			require.Equal(t, c.sources, x.sources)
			require.Equal(t, c.ambiguous, x.ambiguous)
			require.Equal(t, c.copied, x.copied)
			require.Equal(t, c.entangled, x.entangled)
		})
	}
}

// More shapes than are compared with each other are taken to be confusable.
func TestTooManyShapes(t *testing.T) {
	var sets, names []string
	for i := range maxShapes + 1 {
		names = append(names, fmt.Sprintf("l%02d", i))
		sets = append(sets, fmt.Sprintf(`{%s="x"}`, names[i]))
	}
	x := (&topologies{}).of(withPartition(names, endpoint(t, "a", sets...), endpoint(t, "b", sets...))).index
	require.True(t, x.ambiguous)
	require.True(t, x.copied)
	require.True(t, x.entangled)
}

// renewed makes its list of coverage anew each time.
type renewed struct{ *testEngine }

func (e renewed) Coverage() []remote.Coverage { return slices.Clone(e.coverage) }

// The index is kept for as long as engines announce the same; the engines are those of the query.
func TestTopologyIsKept(t *testing.T) {
	a, b := endpoint(t, "a", `{cluster="a"} 0..100`, `{cluster="c"}`), endpoint(t, "b", `{cluster="b"}`)
	known := &topologies{}
	first := known.of([]remote.RemoteEngine{a, b})

	again := *a
	next := known.of([]remote.RemoteEngine{b, &again})
	require.Same(t, first.index, next.index, "another engine with the same list, in another order")
	require.Same(t, &again, next.engines[0])
	require.Same(t, first.index, known.of([]remote.RemoteEngine{renewed{a}, b}).index, "another list that says the same")

	group := replica.New("a", []remote.RemoteEngine{a, &again}, replica.Options{})
	grouped := known.of([]remote.RemoteEngine{group, b})
	require.Same(t, grouped.index, known.of([]remote.RemoteEngine{group, b}).index, "a group has the data of its members")
	require.Same(t, grouped.index, known.of([]remote.RemoteEngine{a, b}).index)

	grown := *a
	grown.coverage = slices.Clone(a.coverage)
	grown.coverage[0].Intervals = remote.Intervals{{Start: 0, End: 101_000}}
	next = known.of([]remote.RemoteEngine{&grown, b})
	require.NotSame(t, first.index, next.index)
	require.Equal(t, int64(101_000), next.patterns[0].members[0].intervals.End())
	require.Equal(t, fmt.Sprintf("%p", first.values[1].values), fmt.Sprintf("%p", next.values[1].values), "what one engine announces is looked at when that one changes")

	// Queries that meet make one index between them.
	var wg sync.WaitGroup
	made := make([]*topology, 8)
	for i := range made {
		wg.Go(func() { made[i] = known.of([]remote.RemoteEngine{a, b}) })
	}
	wg.Wait()
	for _, x := range made {
		require.Same(t, made[0].index, x.index)
	}
}

// A series counts where it counts for any of the data sets that it may be of.
func TestSetRanking(t *testing.T) {
	a, b := endpoint(t, "a", `{c="1"} 0..10`), endpoint(t, "b", `{} 0..5`)
	x := (&topologies{}).of(withPartition([]string{"c"}, a, b)).index
	run := func(from, to int, inputs ...int) Run { return Run{StepRange{from, to}, inputs} }
	r := &setRanking{index: x, runs: [][]Run{{run(0, 10, 0)}, {run(0, 5, 1), run(5, 10)}}, here: -1}
	one, other := labels.FromStrings("c", "1"), labels.FromStrings("c", "2")
	require.Equal(t, []Run{run(0, 5, 0, 1), run(5, 10, 0)}, r.Runs(one), "first the set that says more")
	require.Equal(t, []Run{run(0, 5, 1), run(5, 10)}, r.Runs(other), "{} may have series with any label")

	// The root sees all data.
	r = &setRanking{index: x, runs: [][]Run{{run(0, 3, 0), run(3, 4, 2), run(4, 10, 0)}, {run(0, 5, 1), run(5, 10)}}, here: 2}
	require.Equal(t, []Run{run(0, 3, 0, 1), run(3, 4, 2), run(4, 5, 0, 1), run(5, 10, 0)}, r.Runs(one))

	r.runs[0] = nil
	require.Equal(t, r.runs[1], r.Runs(one), "nobody was asked for the other")
	r.runs[1] = nil
	require.Nil(t, r.Runs(one))
}
