package logicalplan

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/replica"
)

// testEngine announces what a test says, and evaluates nothing.
type testEngine struct {
	name     string
	labels   []string
	coverage []remote.Coverage
	caps     remote.Capabilities
}

func (e *testEngine) Name() string                      { return e.name }
func (e *testEngine) Labels() []string                  { return e.labels }
func (e *testEngine) Coverage() []remote.Coverage       { return e.coverage }
func (e *testEngine) Capabilities() remote.Capabilities { return e.caps }
func (*testEngine) NewInstantQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time) (promql.Query, error) {
	panic("not reached")
}
func (*testEngine) NewRangeQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time, time.Time, time.Duration) (promql.Query, error) {
	panic("not reached")
}

// endpoint is an engine of its own level with the label sets and intervals (in s) that a test writes as `{cluster="a"} 0..100,200..`, with
// a `+` behind them if the data grows.
func endpoint(t testing.TB, name string, sets ...string) *testEngine {
	e := &testEngine{name: name, labels: []string{"cluster"}, caps: remote.Capabilities{LanguageLevel: OwnLanguageLevel, PlanVersion: PlanVersion, LabelHash: remote.LabelHash}}
	for _, s := range sets {
		set, intervals, _ := strings.Cut(s, " ")
		ms, err := testParser.ParseMetric(set)
		require.NoError(t, err)
		c := remote.Coverage{Labels: ms, Intervals: remote.Intervals{remote.Always}}
		intervals, c.Grows = strings.CutSuffix(intervals, "+")
		if intervals != "" {
			c.Intervals = nil
			for _, i := range strings.Split(intervals, ",") {
				from, to, _ := strings.Cut(i, "..")
				x := remote.Always
				if from != "" {
					fmt.Sscan(from, &x.Start)
					x.Start *= 1000
				}
				if to != "" {
					fmt.Sscan(to, &x.End)
					x.End *= 1000
				}
				c.Intervals = append(c.Intervals, x)
			}
		}
		e.coverage = append(e.coverage, c)
	}
	return e
}

// distributedText is a query as it is after passthrough and distribution, evaluated from 600 s to 6000 s.
func distributedText(t testing.TB, query string, engines ...remote.RemoteEngine) string {
	p, ok := tryBuild(t, query, [3]int64{600_000, 6_000_000, 60_000})
	require.True(t, ok, query)
	o := NewDistributedExecutionOptimizer(remote.StaticEndpoints(engines))
	for _, pass := range []Optimizer{SimplifyInvariants{}, o.PassthroughWithEngines(engines, Conditions{}), o} {
		p, _ = pass.Optimize(p)
	}
	before := p.String()
	p, _ = o.Optimize(p)
	require.Equal(t, before, p.String(), "a second run changes nothing")
	return Text(p.Root)
}

// expand writes R(x) out.
func expand(s string) string {
	i := strings.Index(s, "R(")
	if i < 0 {
		return s
	}
	end := i + 2
	for depth := 1; depth > 0; end++ {
		switch s[end] {
		case '(':
			depth++
		case ')':
			depth--
		}
	}
	x := s[i+2 : end-1]
	return s[:i] + "dedup(coalesce(remote(" + x + "), remote(" + x + ")))" + expand(s[end:])
}

// Each rule of distribution, by its effect on a query over two engines with a partition each. R(x) is
// dedup(coalesce(remote(x), remote(x))).
func TestDistributionRules(t *testing.T) {
	a, b := endpoint(t, "a", `{cluster="a"}`), endpoint(t, "b", `{cluster="b"}`)
	for _, rule := range lines(t, "testdata/distribution.txt") {
		query, want, ok := strings.Cut(rule, " => ")
		require.True(t, ok, rule)
		t.Run(query, func(t *testing.T) { require.Equal(t, expand(want), distributedText(t, query, b, a)) })
	}
}

// What engines do not understand stays at the root, over the largest part that they do.
func TestDistributionByLanguage(t *testing.T) {
	a, b := endpoint(t, "a", `{cluster="a"}`), endpoint(t, "b", `{cluster="b"}`)
	b.caps = remote.Capabilities{LanguageLevel: "3.9"}
	for query, want := range map[string]string{
		`abs(foo + fill (0) bar)`:    `abs(dedup(coalesce(remote(foo), remote(foo))) + fill_left (0) fill_right (0) dedup(coalesce(remote(bar), remote(bar))))`,
		`increase(foo[5m] anchored)`: `increase(foo[5m] anchored)`,
		`limit_ratio(0.5, foo)`:      `limit_ratio(0.5, dedup(coalesce(remote(foo), remote(foo))))`,
	} {
		require.Equal(t, want, distributedText(t, query, a, b))
	}
}

// Engines that know whole seconds only are asked at such a time, with selectors pinned, or not at all.
func TestDistributionByWholeSeconds(t *testing.T) {
	a, b := endpoint(t, "a", `{cluster="a"}`), endpoint(t, "b", `{cluster="b"}`)
	for _, e := range []*testEngine{a, b} {
		e.caps = remote.Capabilities{LanguageLevel: "3.9", WholeSeconds: true}
	}
	plan := func(query string, times [3]int64, c Conditions) (string, string) {
		p, ok := tryBuild(t, query, times)
		require.True(t, ok, query)
		o := NewDistributedExecutionOptimizer(nil).WithEngines([]remote.RemoteEngine{a, b}, c)
		p, _ = o.Optimize(p)
		pinned := ""
		Walk(p.Root, func(n Node) bool {
			if r, ok := n.(*Remote); ok {
				pinned = r.Query.Pinned
			}
			return true
		})
		return Text(p.Root), pinned
	}
	instant, whole, step, start := [3]int64{600_250, 600_250, 0}, [3]int64{600_000, 900_000, 60_000}, [3]int64{600_000, 900_000, 1_500}, [3]int64{600_500, 900_500, 60_000}
	for _, c := range []struct {
		query  string
		times  [3]int64
		c      Conditions
		want   string
		pinned string
	}{
		{`sum(rate(foo[5m] offset 1m))`, instant, Conditions{}, expand(`sum(R(sum by (cluster) (rate(foo[5m] offset 1m))))`), `sum by (cluster) (rate(foo[5m] @ 600.25 offset 1m))`},
		{`max_over_time(foo[1h:5m])`, instant, Conditions{}, expand(`R(max_over_time(foo[1h:5m]))`), `max_over_time(foo[1h:5m] @ 600.25)`},
		{`foo @ 10`, instant, Conditions{}, expand(`R(foo @ 10)`), `foo @ 10`},
		{`timestamp(foo)`, instant, Conditions{}, `timestamp(foo)`, ``},
		{`foo * time()`, instant, Conditions{}, expand(`R(foo) * time()`), `foo @ 600.25`},
		{`sum(foo)`, whole, Conditions{}, expand(`sum(R(sum by (cluster) (foo)))`), ``},
		{`sum(foo)`, step, Conditions{}, `sum(foo)`, ``},
		{`sum(foo)`, start, Conditions{}, `sum(foo)`, ``},
		{`max_over_time(foo[1h:5m])`, start, Conditions{}, expand(`max_over_time((R(foo))[1h:5m])`), ``},
		{`rate(foo[5m])`, whole, Conditions{DelayedNames: true}, `rate(foo[5m])`, ``},
		{`sum(rate(foo[5m]))`, whole, Conditions{DelayedNames: true}, expand(`sum(R(sum by (cluster) (rate(foo[5m]))))`), ``},
		{`sum(rate({__name__=~"a|b"}[5m]))`, whole, Conditions{DelayedNames: true}, `sum(rate({__name__=~"a|b"}[5m]))`, ``},
		{`sum by (__name__) (abs(foo))`, whole, Conditions{DelayedNames: true}, expand(`sum by (__name__) (abs(R(foo)))`), ``},
		{`topk(5, foo)`, whole, Conditions{DelayedNames: true}, expand(`topk(5, R(topk by (cluster) (5, foo)))`), ``},
		{`topk(5, abs(foo))`, whole, Conditions{DelayedNames: true}, expand(`topk(5, abs(R(foo)))`), ``},
		{`count(count by (__name__) (foo or abs(foo)))`, whole, Conditions{DelayedNames: true}, expand(`count(count by (__name__) (R(foo) or abs(R(foo))))`), ``},
		{`count by (x) (label_join(abs(foo), "x", "", "__name__"))`, whole, Conditions{DelayedNames: true}, expand(`count by (x) (label_join(abs(R(foo)), "x", "", "__name__"))`), ``},
		{`count(foo and on (cluster, __name__) abs(foo))`, whole, Conditions{DelayedNames: true}, expand(`count(R(foo) and on (cluster, __name__) abs(R(foo)))`), ``},
		{`histogram_sum(foo - bar)`, whole, Conditions{}, expand(`R(histogram_sum(foo - bar))`), ``},
		{`histogram_sum(foo - on () bar)`, whole, Conditions{}, `histogram_sum(foo - on () bar)`, ``},
		{`histogram_sum(sum(foo) + last_over_time(bar[5m]))`, whole, Conditions{}, `histogram_sum(sum(foo) + last_over_time(bar[5m]))`, ``},
		{`histogram_sum(sum(foo + bar))`, whole, Conditions{}, `histogram_sum(sum(foo + bar))`, ``},
		{`histogram_sum(sum(rate(foo[5m])) + sum(rate(bar[5m])))`, whole, Conditions{}, expand(`histogram_sum(sum(R(sum by (cluster) (rate(foo[5m])))) + sum(R(sum by (cluster) (rate(bar[5m])))))`), ``},
		{`sum(foo) - sum(bar)`, whole, Conditions{}, expand(`sum(R(sum by (cluster) (foo))) - sum(R(sum by (cluster) (bar)))`), ``},
	} {
		got, pinned := plan(c.query, c.times, c.c)
		require.Equal(t, c.want, got, c.query)
		require.Equal(t, c.pinned, pinned, c.query)
	}
}

// Who is asked for which steps when engines hold different times of the same data.
func TestDistributionByTime(t *testing.T) {
	old, young := endpoint(t, "old", `{cluster="a"} ..3000`), endpoint(t, "young", `{cluster="a"} 2000..`)
	plan := func(query string, engines ...remote.RemoteEngine) string {
		p, ok := tryBuild(t, query, [3]int64{600_000, 6_000_000, 60_000})
		require.True(t, ok, query)
		p, _ = NewDistributedExecutionOptimizer(remote.StaticEndpoints(engines)).Optimize(p)
		return Tree(p.Root)
	}
	require.Equal(t, tree(`
		dedup coalesce by (cluster)
		  remote old: rate(foo[5m]) steps 0..40
		  remote young: rate(foo[5m]) steps 29..90`), plan(`rate(foo[5m])`, old, young), "the overlap is longer than the window")
	require.Equal(t, tree(`
		dedup coalesce by (cluster)
		  remote old: rate(foo[20m]) steps 0..40
		  remote young: rate(foo[20m]) steps 44..90
		  here, at steps 41..43
		    rate()
		      [20m]
		        foo`), plan(`rate(foo[20m])`, old, young), "no engine has all that a window at the seam needs")
	require.Equal(t, tree(`
		dedup coalesce by (cluster)
		  remote old: foo offset 50m
		  remote young: foo offset 50m steps 79..90`), plan(`foo offset 50m`, old, young))
	require.Equal(t, tree(`
		dedup coalesce by (cluster)
		  remote old: foo + (bar offset 50m) steps 0..40
		  remote young: foo + (bar offset 50m) steps 79..90
		  here, at steps 41..78
		    +
		      foo
		      bar offset 50m`), plan(`foo + bar offset 50m`, old, young), "each selector's times count for themselves")
	alone := endpoint(t, "alone", `{cluster="b"} 5000..`)
	require.Equal(t, tree(`
		dedup coalesce by (cluster)
		  remote alone: sum_over_time(foo[1h]) steps 74..90
		  remote old: sum_over_time(foo[1h])`), plan(`sum_over_time(foo[1h])`, old, alone), "a young cluster that nobody else holds is not cut")
	require.Equal(t, tree(`
		step-invariant
		  sum
		    dedup coalesce by (cluster)
		      remote old: sum by (cluster) (foo @ 2500)`), plan(`sum(foo @ 2500)`, old, endpoint(t, "z", `{cluster="a"} 2600..`)))
}

func TestNoEngines(t *testing.T) {
	p, ok := tryBuild(t, `sum(foo)`, testTimes[2])
	require.True(t, ok)
	p, notes := NewDistributedExecutionOptimizer(remote.StaticEndpoints(nil)).Optimize(p)
	require.Equal(t, "sum(foo)", Text(p.Root))
	require.Contains(t, notes, ErrNoEngines.Error())
}

// A million label sets are looked at when they change, not for each query; also where engines are replica groups.
func BenchmarkPlanMillionLabelSets(b *testing.B) {
	const n = 10
	member := func(i int, name string) remote.RemoteEngine {
		e := endpoint(b, name)
		for k := range 1_000_000 / n {
			e.coverage = append(e.coverage, remote.Coverage{
				Labels:    labels.FromStrings("cluster", fmt.Sprintf("c%d-%d", i/2, k), "region", fmt.Sprint(k%10)),
				Intervals: remote.Intervals{{Start: int64(i%2) * 1000, End: remote.Always.End}},
			})
		}
		return e
	}
	bench := func(b *testing.B, make func(i int) remote.RemoteEngine) {
		engines := []remote.RemoteEngine{}
		for i := range n {
			engines = append(engines, make(i))
		}
		o := NewDistributedExecutionOptimizer(remote.StaticEndpoints(engines))
		index := o.topologies.of(engines).index
		for b.Loop() {
			p, ok := tryBuild(b, `sum by (region) (rate(foo{cluster=~"c1-.*"}[5m])) / sum by (region) (rate(bar[5m]))`, testTimes[2])
			require.True(b, ok)
			p, _ = o.Optimize(p)
			require.True(b, distributed(p.Root))
		}
		require.Same(b, index, o.topologies.get())
	}
	b.Run("engines", func(b *testing.B) {
		bench(b, func(i int) remote.RemoteEngine { return member(i, fmt.Sprint("engine", i)) })
	})
	b.Run("groups", func(b *testing.B) {
		bench(b, func(i int) remote.RemoteEngine {
			name := fmt.Sprint("group", i)
			return replica.New(name, []remote.RemoteEngine{member(i, name+"-a"), member(i, name+"-b")}, replica.Options{})
		})
	})
}
