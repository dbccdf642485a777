package logicalplan

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// tree is a tree of a plan as it stands in a test: without the indentation of the test's text.
func tree(s string) string {
	ls := strings.Split(strings.Trim(s, "\n\t"), "\n")
	for i := range ls {
		ls[i] = strings.TrimLeft(ls[i], "\t")
	}
	return strings.Join(ls, "\n") + "\n"
}

func TestPasses(t *testing.T) {
	for _, tc := range []struct {
		pass  Optimizer
		query string
		want  string
	}{
		{FoldConstants{}, "foo * (1 + -(-2))", `
			*
			  foo
			  step-invariant
			    3`},
		{FoldConstants{}, "1 + 1 < bool 2 ^ 3 % 5", `
			step-invariant
			  1`},
		{FoldConstants{}, "(1 + time()) * (1 / 0)", `
			*
			  +
			    1
			    time()
			  step-invariant
			    +Inf`},
		{FoldConstants{}, "-(0) + foo", `
			+
			  -0
			  foo`},
		{SimplifyInvariants{}, "foo @ 600 + bar", `
			+
			  step-invariant
			    foo @ 600 at run time offset=0ms
			  bar`},
		{SortMatchers{}, `foo{b="1",a!="2",b="1"} or absent(foo{b="1",a="2",b="1"})`, `
			or
			  foo{a!="2",b="1"}
			  absent()
			    foo{b="1",a="2",b="1"}`},
		{SortMatchers{}, `absent_over_time(foo{b="1",a="2"}[1m]) or info(foo, {b="1",a="2"})`, `
			or
			  absent_over_time()
			    [1m]
			      foo{b="1",a="2"}
			  info()
			    foo
			    {b="1",a="2"}`},
		{HistogramStats{}, "histogram_count(foo) + histogram_quantile(0.5, foo) + histogram_sum(rate(foo[1m]))", `
			+
			  +
			    histogram_count()
			      foo skip-buckets
			    histogram_quantile()
			      0.5
			      foo
			  histogram_sum()
			    rate()
			      [1m]
			        foo skip-buckets`},
		{MergeSelectors{}, `foo{a="1",b!="2"} / foo{a="1"}`, `
			/
			  foo{a="1"} filter={b!="2"}
			  foo{a="1"}`},
		{MergeSelectors{}, `sum(rate(foo{a="1",a!~"2|3"}[1m])) / sum(rate(foo{a="1"}[1m])) / sum(rate(foo{a="1"}[2m]))`, `
			/
			  /
			    sum
			      rate()
			        [1m]
			          foo{a="1"} filter={a!~"2|3"}
			    sum
			      rate()
			        [1m]
			          foo{a="1"}
			  sum
			    rate()
			      [2m]
			        foo{a="1"}`},
		{MergeSelectors{}, `foo{a="1"} + foo{b="1"} + foo offset 1m + absent(foo{c="1"})`, `
			+
			  +
			    +
			      foo{a="1"}
			      foo{b="1"}
			    foo offset 1m
			  absent()
			    foo{c="1"}`},
		{ShareSubexpressions{}, "abs(foo) - (abs(foo) or bar)", `
			-
			  abs() #1
			    foo uses=2
			  or
			    #1
			    bar`},
		{ShareSubexpressions{}, "foo / on () group_left () sum(foo) + max(foo)", `
			+
			  / on () group_left ()
			    foo uses=3 #1
			    sum
			      #1
			  max
			    #1`},
		{ShareSubexpressions{}, "count(count_over_time(foo[5m])) / count(count_over_time(foo[5m]))", `
			/
			  count #1
			    count_over_time()
			      [5m]
			        foo uses=2
			  #1`},
		// What may annotate is not shared.
		{ShareSubexpressions{}, "rate(foo[5m]) + rate(foo[5m])", `
			+
			  rate()
			    [5m]
			      foo
			  rate()
			    [5m]
			      foo`},
		// Other times, other windows, other offsets.
		{ShareSubexpressions{}, "foo + foo offset 1m + max_over_time(foo[5m:1m]) + last_over_time(foo[5m])", `
			+
			  +
			    +
			      foo
			      foo offset 1m
			    max_over_time()
			      subquery [5m:1m] t=360000..1200000/60000
			        foo
			  last_over_time()
			    [5m]
			      foo`},
		{ShareSubexpressions{}, "timestamp(foo) + foo + timestamp(foo) + foo", `
			+
			  +
			    +
			      timestamp() #1
			        foo uses=2
			      foo uses=2 #2
			    #1
			  #2`},
	} {
		t.Run(tc.pass.Name()+" of "+tc.query, func(t *testing.T) {
			p := build(t, tc.query, 600_000, 1_200_000, 15_000)
			p, annos := tc.pass.Optimize(p)
			require.Empty(t, annos)
			require.Equal(t, tree(tc.want), Tree(p.Root))
		})
	}
}

func TestSimplifyInvariantsAfterFolding(t *testing.T) {
	p := build(t, "foo + 1 + (2 * 3)", 600_000, 1_200_000, 15_000)
	for _, o := range []Optimizer{FoldConstants{}, SimplifyInvariants{}} {
		p, _ = o.Optimize(p)
	}
	require.Equal(t, tree(`
		+
		  +
		    foo
		    1
		  6`), Tree(p.Root))
}

// A parent that annotates its input must name its own place and not that of the shared node.
func TestSharedNodesKeepTheirPlaces(t *testing.T) {
	p := build(t, "min(foo) + max(foo)", 600_000, 1_200_000, 15_000)
	p, _ = ShareSubexpressions{}.Optimize(p)
	sum := p.Root.(*Binary)
	l, r := sum.LHS.(*Aggregate).Expr, sum.RHS.(*Aggregate).Expr
	require.Same(t, target(l), target(r))
	require.EqualValues(t, 4, l.Pos().Start)
	require.EqualValues(t, 15, r.Pos().Start)
	// What min and max tell the storage differs.
	require.Empty(t, target(l).(*VectorSelector).Hints.Func)
}

func TestPassesAreIdempotent(t *testing.T) {
	for _, q := range queries(t) {
		p, ok := tryBuild(t, q, testTimes[2])
		if !ok {
			continue
		}
		for _, o := range DefaultOptimizers() {
			p, _ = o.Optimize(p)
			once := p.String()
			p, _ = o.Optimize(p)
			require.Equal(t, once, p.String(), "%s of %s", o.Name(), q)
		}
		all := p.String()
		for _, o := range DefaultOptimizers() {
			p, _ = o.Optimize(p)
		}
		require.Equal(t, all, p.String(), q)
	}
}

// TestPassesKeepTheQuery runs each pass alone and compares what PromQL can say of the plan.
func TestPassesKeepTheQuery(t *testing.T) {
	for _, q := range queries(t) {
		before, ok := tryBuild(t, q, testTimes[2])
		if !ok {
			continue
		}
		for _, o := range []Optimizer{SortMatchers{}, MergeSelectors{}, HistogramStats{}, SimplifyInvariants{}, ShareSubexpressions{}} {
			after, _ := tryBuild(t, q, testTimes[2])
			after, _ = o.Optimize(after)
			require.Equal(t, selected(before.Root), selected(after.Root), "%s of %s", o.Name(), q)
			switch o.(type) {
			case SortMatchers, MergeSelectors:
			default:
				require.Equal(t, Text(before.Root), Text(after.Root), "%s of %s", o.Name(), q)
			}
		}
	}
}

// selected is what a plan's selectors stand for, as sorted sets of matchers.
func selected(root Node) []string {
	var all []string
	Walk(root, func(n Node) bool {
		if v, ok := n.(*VectorSelector); ok {
			ms := slices.Concat(v.Matchers, v.Filter)
			slices.SortFunc(ms, compareMatchers)
			ms = slices.CompactFunc(ms, sameMatcher)
			for range v.uses() {
				all = append(all, matchersText(ms))
			}
		}
		return true
	})
	slices.Sort(all)
	return all
}

// A merged selector's matchers and filter must let through the series that the query's matchers select.
func TestMergedSelectorsSelectTheSameSeries(t *testing.T) {
	const query = `x{a="1"} + x{a="1",b=""} + x{a="1",a=~"1|2",b!="3"} + {a="1",__name__="x",b=~".+"} + x{a="2",b=~"3?"} + x`
	before, after := build(t, query, 600_000, 1_200_000, 15_000), build(t, query, 600_000, 1_200_000, 15_000)
	after, _ = MergeSelectors{}.Optimize(after)
	b, a := selectorTimes(before).order, selectorTimes(after).order
	filters := 0
	for i := range b {
		for _, name := range []string{"x", "y"} {
			for _, av := range []string{"", "1", "2"} {
				for _, bv := range []string{"", "3", "4"} {
					l := labels.FromStrings("__name__", name, "a", av, "b", bv)
					require.Equal(t, matches(l, b[i].Matchers), matches(l, a[i].Matchers) && matches(l, a[i].Filter), "%s of %s", l, a[i].Describe())
				}
			}
		}
		if a[i].Filter != nil {
			filters++
			require.True(t, SameScan(a[i], a[len(a)-1]))
		}
	}
	require.Equal(t, 5, filters)
}

func matches(l labels.Labels, ms []*labels.Matcher) bool {
	return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(l.Get(m.Name)) })
}

func TestDAGPassesComeLast(t *testing.T) {
	dag := false
	names := map[string]bool{}
	for _, o := range DefaultOptimizers() {
		_, is := o.(DAGPass)
		require.False(t, dag && !is, "%s comes after a pass that leaves PromQL", o.Name())
		dag = dag || is
		require.False(t, names[o.Name()])
		names[o.Name()] = true
	}
	require.True(t, dag)
}
