package logicalplan

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// distributedPlan is a query after passthrough and distribution, evaluated from 600 s to 6000 s or at one time, with the warnings.
func distributedPlan(t testing.TB, query string, times [3]int64, engines ...remote.RemoteEngine) (*Plan, []string) {
	p, ok := tryBuild(t, query, times)
	require.True(t, ok, query)
	o := NewDistributedExecutionOptimizer(remote.StaticEndpoints(engines))
	var warnings []string
	for _, pass := range []Optimizer{SimplifyInvariants{}, o.PassthroughWithEngines(engines, Conditions{}), o} {
		var notes map[string]error
		p, notes = pass.Optimize(p)
		for _, err := range notes {
			warnings = append(warnings, err.Error())
		}
	}
	return p, warnings
}

var (
	rangeTimes   = [3]int64{600_000, 6_000_000, 60_000}
	instantTimes = [3]int64{6_000_000, 6_000_000, 0}
)

// Where other systems are known to have wrong answers, by the time that parts of a query need. Engines hold one data set.
func TestDistributionByTimeWhereOthersFail(t *testing.T) {
	old, young := endpoint(t, "old", `{cluster="a"} ..3000`), endpoint(t, "young", `{cluster="a"} 2000..`)
	for _, c := range []struct {
		name, query string
		engines     []remote.RemoteEngine
		want        string
	}{
		{"the offset of a subquery", `max_over_time(foo[20m:1m] offset 30m)`, []remote.RemoteEngine{old, young}, `
			dedup coalesce by (cluster)
			  remote old: max_over_time(foo[20m:1m] offset 30m) steps 0..70
			  remote young: max_over_time(foo[20m:1m] offset 30m) steps 79..90
			  here, at steps 71..78
			    max_over_time()
			      subquery [20m:1m] offset 30m t=-2340000..4200000/60000
			        foo`},
		{"a negative offset", `foo offset -50m`, []remote.RemoteEngine{endpoint(t, "before", `{cluster="a"} ..6000`), endpoint(t, "after", `{cluster="a"} 6500..`)}, `
			dedup coalesce by (cluster)
			  remote after: foo offset -50m steps 49..90
			  remote before: foo offset -50m steps 0..44`},
		{"ranges side by side do not add up", `rate(foo[15m]) + rate(bar[15m])`, []remote.RemoteEngine{old, young}, `
			dedup coalesce by (cluster)
			  remote old: rate(foo[15m]) + rate(bar[15m]) steps 0..40
			  remote young: rate(foo[15m]) + rate(bar[15m]) steps 39..90`},
		{"times within times", `rate(foo[15m])`, []remote.RemoteEngine{
			endpoint(t, "all", `{cluster="a"} 0..12000`), endpoint(t, "some", `{cluster="a"} 1000..2000`), endpoint(t, "most", `{cluster="a"} 3000..12000`),
		}, `
			dedup coalesce by (cluster)
			  remote all: rate(foo[15m])
			  remote most: rate(foo[15m]) steps 55..90
			  remote some: rate(foo[15m]) steps 22..23`},
		{"a store and a receiver in one engine", `sum_over_time(foo[1h])`, []remote.RemoteEngine{endpoint(t, "node", `{cluster="a"} ..3000`, `{cluster="a"} 2500..`), endpoint(t, "b", `{cluster="b"}`)}, `
			dedup coalesce by (cluster)
			  remote b: sum_over_time(foo[1h])
			  remote node: sum_over_time(foo[1h])`},
		{"a gap in a store", `foo`, []remote.RemoteEngine{endpoint(t, "a-store", `{cluster="a"} 0..1000,4000..5000`), endpoint(t, "b", `{cluster="b"} 5000..`)}, `
			dedup coalesce by (cluster)
			  remote a-store: foo steps 0..78
			  remote b: foo steps 74..90`},
		{"@ at a time that one engine has", `foo @ 2500`, []remote.RemoteEngine{old, endpoint(t, "late", `{cluster="a"} 2600..`), endpoint(t, "b", `{cluster="b"} 5000..`)}, `
			step-invariant
			  dedup coalesce by (cluster)
			    remote old: foo @ 2500`},
		{"timestamp looks at that time, whatever the offset", `timestamp(foo @ 2500 offset -50m)`, []remote.RemoteEngine{old, endpoint(t, "late", `{cluster="a"} 2600..`)}, `
			step-invariant
			  dedup coalesce by (cluster)
			    remote old: timestamp(foo @ 2500 offset -50m)`},
		{"parameters at steps without data", `topk by (cluster) (time() % 5, foo)`, []remote.RemoteEngine{endpoint(t, "a", `{cluster="a"} ..3000`), endpoint(t, "b", `{cluster="b"} 1800..3000`)}, `
			topk by (cluster)
			  dedup coalesce by (cluster)
			    remote a: topk by (cluster) (time() % 5, foo)
			    remote b: topk by (cluster) (time() % 5, foo) steps 20..44
			  %
			    time()
			    5`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, warnings := distributedPlan(t, c.query, rangeTimes, c.engines...)
			require.Equal(t, tree(c.want), Tree(p.Root))
			require.Empty(t, warnings)
		})
	}
}

// With several partition labels all of them count.
func TestDistributionBySeveralLabels(t *testing.T) {
	engines := withPartition([]string{"region", "cluster"}, endpoint(t, "a", `{cluster="a",region="x"}`), endpoint(t, "b", `{cluster="a",region="y"}`))
	for _, c := range [][2]string{
		{`foo * on (cluster, region) bar`, `R(foo * on (cluster, region) bar)`},
		{`foo * on (cluster) bar`, `R(foo) * on (cluster) R(bar)`},
		{`foo * on (region) bar`, `R(foo) * on (region) R(bar)`},
		{`foo * ignoring (x) bar`, `R(foo * ignoring (x) bar)`},
		{`foo * ignoring (region) bar`, `R(foo) * ignoring (region) R(bar)`},
		{`foo and ignoring (x, cluster) bar`, `R(foo) and ignoring (x, cluster) R(bar)`},
		{`sum by (cluster, region) (foo)`, `R(sum by (cluster, region) (foo))`},
		{`sum by (cluster) (foo)`, `sum by (cluster) (R(sum by (cluster, region) (foo)))`},
		{`sum without (region) (foo)`, `sum without (region) (R(sum without () (foo)))`},
		{`label_replace(foo, "region", "", "", "")`, `label_replace(R(foo), "region", "", "", "")`},
		{`absent(foo)`, `absent(R(group by (cluster, region) (foo)))`},
	} {
		require.Equal(t, expand(c[1]), distributedText(t, c[0], engines...), c[0])
	}
}

// A data set that lacks a partition label may have series with any value of it.
func TestDistributionOfDataThatLabelsDoNotTellApart(t *testing.T) {
	two := func(x string) string {
		return "dedup(coalesce(remote(" + x + "), remote(label_replace(" + x + `, "__source__", "1", "", ""))))`
	}
	crossing := withPartition([]string{"cluster", "ruler"}, endpoint(t, "leaf", `{cluster="a"}`), endpoint(t, "ruler", `{ruler="r"}`))
	nested := withPartition([]string{"cluster"}, endpoint(t, "leaf", `{cluster="a"}`), endpoint(t, "server", `{}`))
	entangled := withPartition([]string{"cluster"}, endpoint(t, "both", `{cluster="a"}`, `{}`), endpoint(t, "old", `{}`))
	for _, c := range []struct {
		query                       string
		crossing, nested, entangled string // "" is the same as what stands before
	}{
		{`rec`, `R(rec)`, ``, ``},
		{`rate(rec[5m]) * 2`, `R(rate(rec[5m]) * 2)`, ``, ``},
		{`-{__name__=~"m|rec"}`, `-R({__name__=~"m|rec"})`, ``, ``},
		{`rate({__name__=~"m|rec"}[5m])`, `rate({__name__=~"m|rec"}[5m])`, ``, ``},
		{`label_replace(rec, "x", "", "", "")`, `label_replace(R(rec), "x", "", "", "")`, ``, ``},
		{`histogram_quantile(0.9, foo)`, `histogram_quantile(0.9, R(foo))`, ``, ``},
		{`foo * bar`, `R(foo) * R(bar)`, ``, ``},
		{`quantile(0.9, rec)`, `quantile(0.9, R(rec))`, ``, ``},
		{`limit_ratio(0.5, rec)`, `R(limit_ratio(0.5, rec))`, ``, ``},
		{`absent(foo)`, `absent(R(group by (cluster, ruler) (foo)))`, `absent(R(group by (cluster) (foo)))`, `absent(foo)`},
		{`sum(rec)`, `sum(` + two(`sum by (cluster, ruler) (rec)`) + `)`, `sum(R(rec))`, ``},
		{`sum by (cluster, ruler) (rec)`, `sum by (cluster, ruler) (` + two(`sum by (cluster, ruler) (rec)`) + `)`, `sum by (cluster, ruler) (R(rec))`, ``},
		{`count without (x) (rec)`, `sum without (__source__, x) (` + two(`count without (x) (rec)`) + `)`, `count without (x) (R(rec))`, ``},
		{
			`avg without (x) (rec)`, `combine avg without (__source__, x) (` +
				two(`label_replace(avg without (x) (rec), "__part__", "avg", "", "") or label_replace(count without (x) (rec), "__part__", "count", "", "")`) + `)`,
			`avg without (x) (R(rec))`, ``,
		},
		{`topk without (x) (1, rec)`, `topk without (x) (1, R(topk without (x) (1, rec)))`, `topk without (x) (1, R(rec))`, ``},
	} {
		want := ""
		for _, x := range []struct {
			want    string
			engines []remote.RemoteEngine
		}{{c.crossing, crossing}, {c.nested, nested}, {c.entangled, entangled}} {
			if x.want != "" {
				want = x.want
			}
			require.Equal(t, expand(want), distributedText(t, c.query, x.engines...), c.query)
		}
	}
	require.Equal(t, `remote(foo{cluster="b"})`, distributedText(t, `foo{cluster="b"}`, nested...))

	// Where nobody has all that a window needs, the root would see all sources at once.
	p, _ := distributedPlan(t, `sum(rate(rec[10m]))`, rangeTimes, withPartition([]string{"cluster", "ruler"},
		endpoint(t, "head", `{cluster="a"} ..3000`), endpoint(t, "tail", `{cluster="a"} 3001..`), endpoint(t, "ruler", `{ruler="r"}`))...)
	require.Equal(t, tree(`
		sum
		  dedup coalesce by (cluster, ruler)
		    remote head: rate(rec[10m]) steps 0..40
		    remote ruler: rate(rec[10m])
		    remote tail: rate(rec[10m]) steps 50..90
		    here, at steps 41..49
		      rate()
		        [10m]
		          rec`), Tree(p.Root))
}

// An engine that counts for one data set and not for another one that it has: where labels do not say of which a series is, the root
// looks at the samples.
func TestDoubtfulSteps(t *testing.T) {
	node, old := endpoint(t, "node", `{cluster="a"} 2000..`, `{}`), endpoint(t, "old", `{cluster="a"} ..4000`)
	p, _ := distributedPlan(t, `rec`, rangeTimes, node, old)
	require.Equal(t, tree(`
		dedup coalesce by (cluster)
		  remote node: rec
		  remote old: rec steps 0..56
		  here, at steps 24..28
		    rec`), Tree(p.Root))
	runs := p.Root.(*Dedup).Ranking.Runs
	run := func(from, to int, inputs ...int) Run { return Run{StepRange{from, to}, inputs} }
	require.Equal(t, []Run{run(0, 24, 1, 0), run(24, 29, 2), run(29, 57, 0, 1), run(57, 91, 0)}, runs(labels.FromStrings("cluster", "a")))
	require.Equal(t, []Run{run(0, 91, 0)}, runs(labels.FromStrings("cluster", "b")), "who has data of it is sure")
}

// Engines are pruned by all their external labels, whichever tell data sets apart.
func TestPruningByExternalLabels(t *testing.T) {
	a := endpoint(t, "a", `{cluster="a",tenant="1"}`, `{cluster="a",tenant="2"}`)
	b, c := endpoint(t, "b", `{cluster="b"}`), endpoint(t, "c", `{cluster="c",tenant="1"}`)
	require.Equal(t, expand(`R(foo{tenant="2"})`), distributedText(t, `foo{tenant="2"}`, a, b, c))

	// What cannot match covers nothing.
	first, second := endpoint(t, "first", `{cluster="a",tenant="1"} ..3000`), endpoint(t, "second", `{cluster="a",tenant="2"} 2900..`)
	p, _ := distributedPlan(t, `rate(foo{tenant="2"}[10m])`, rangeTimes, first, second, b)
	require.Equal(t, tree(`
		dedup coalesce by (cluster)
		  remote b: rate(foo{tenant="2"}[10m])
		  remote second: rate(foo{tenant="2"}[10m]) steps 39..90`), Tree(p.Root))
}

// An empty answer is certain, or there is a warning.
func TestEmptyAnswers(t *testing.T) {
	a, b := endpoint(t, "a", `{cluster="a"} 1000..2000,3000..4000`), endpoint(t, "b", `{cluster="b"} ..5000`)
	later, silent := endpoint(t, "later", `{cluster="c"} 3000..3100`), endpoint(t, "silent")
	behind := `PromQL warning: no remote engine was asked for foo{cluster=~"a|c"}: what they announce ends at 1970-01-01T01:06:40Z`
	for name, c := range map[string]struct {
		query   string
		engines []remote.RemoteEngine
		want    string // nobody is asked if the plan has this
		warning string
	}{
		"labels":               {`foo{cluster="c"}`, []remote.RemoteEngine{a, b}, `dedup(coalesce())`, ``},
		"before all data":      {`foo{cluster=~"a|c"} offset 90m`, []remote.RemoteEngine{a, later}, `dedup(coalesce())`, ``},
		"in a gap":             {`foo{cluster=~"a|c"} offset 1h`, []remote.RemoteEngine{a, later}, `dedup(coalesce())`, ``},
		"behind all data":      {`foo{cluster=~"a|c"}`, []remote.RemoteEngine{a, endpoint(t, "c", `{cluster="c"} 0..10`)}, `dedup(coalesce())`, behind},
		"behind, in an absent": {`absent(foo{cluster="a"} + foo{cluster="b"})`, []remote.RemoteEngine{a, b}, `absent(dedup(coalesce()))`, `ends at 1970-01-01T01:23:20Z`},
		"no engine":            {`absent(foo)`, nil, `absent(foo)`, ErrNoEngines.Error()},
		"nothing is picked":    {`topk(NaN, rate(foo{cluster="c"}[5m]) + foo{cluster="c"})`, []remote.RemoteEngine{a, b}, `topk(NaN, dedup(coalesce()) + dedup(coalesce()))`, ``},
		"quantiles of nothing": {`histogram_quantile(2, foo{cluster="c"})`, []remote.RemoteEngine{a, b}, `histogram_quantile(2, dedup(coalesce()))`, ``},
		"absent of nothing":    {`absent(quantile by (cluster) (2, foo{cluster="c"}))`, []remote.RemoteEngine{a, b}, `absent(group by (cluster) (quantile by (cluster) (2, dedup(coalesce()))))`, ``},
		"silent engine":        {`foo`, []remote.RemoteEngine{a, b, silent}, `dedup(coalesce())`, `remote engine silent announces no data, so that it was not asked`},
		"silent, passed by":    {`foo{cluster="a"}`, []remote.RemoteEngine{a, b, silent}, `remote(foo{cluster="a"})`, `remote engine silent announces no data`},
	} {
		t.Run(name, func(t *testing.T) {
			p, warnings := distributedPlan(t, c.query, instantTimes, c.engines...)
			require.Equal(t, c.want, Text(p.Root))
			if c.warning == "" {
				require.Empty(t, warnings)
				return
			}
			require.Contains(t, strings.Join(warnings, "\n"), c.warning)
		})
	}
}

// Data that grows is asked for behind its announced end: by itself, next to others of its data set that have not announced more either, but not
// where one of them has.
func TestDataThatGrows(t *testing.T) {
	times := [3]int64{590_000, 610_000, 1_000}
	a, b := endpoint(t, "a", `{cluster="a"} 0..594+`), endpoint(t, "b", `{cluster="b"} 0..600+`)
	p, warnings := distributedPlan(t, `sum(rate(foo[5s]))`, times, a, b)
	require.Equal(t, tree(`
		sum
		  dedup coalesce by (cluster)
		    remote a: sum by (cluster) (rate(foo[5s]))
		    remote b: sum by (cluster) (rate(foo[5s]))`), Tree(p.Root))
	require.Empty(t, warnings)

	newer := endpoint(t, "newer", `{cluster="a"} 0..600+`)
	p, _ = distributedPlan(t, `rate(foo[5s])`, times, a, newer, b)
	run := func(from, to int, inputs ...int) Run { return Run{StepRange{from, to}, inputs} }
	require.Equal(t, []Run{run(0, 5, 2, 0), run(5, 15, 2), run(15, 21, 2, 0)}, p.Root.(*Dedup).Ranking.Runs(labels.FromStrings("cluster", "a")))

	ended := endpoint(t, "ended", `{cluster="a"} 0..594`)
	p, _ = distributedPlan(t, `rate(foo[5s])`, times, ended, b)
	require.Equal(t, tree(`
		dedup coalesce by (cluster)
		  remote b: rate(foo[5s])
		  remote ended: rate(foo[5s]) steps 0..8`), Tree(p.Root))
}

// Of an engine that has said nothing yet nothing is known that could tell data sets apart, or levels: others are asked for what they would be without it, and
// it is in the plan of each part, to fail there.
func TestUnheardEngines(t *testing.T) {
	a, b, dead := endpoint(t, "a", `{cluster="a"}`), endpoint(t, "b", `{cluster="b"}`), endpoint(t, "dead", `{}`)
	dead.labels, dead.caps = nil, remote.Capabilities{Unheard: true}
	for query, want := range map[string]string{
		`sum by (job) (rate(foo[5m]))`: `
			sum by (job)
			  dedup coalesce by (cluster)
			    remote a: sum by (cluster, job) (rate(foo[5m]))
			    remote b: sum by (cluster, job) (rate(foo[5m]))
			    remote dead: nothing was heard of it`,
		`foo{cluster="a"} + fill (0) bar{cluster="a"}`: `
			dedup coalesce by (cluster)
			  remote a: foo{cluster="a"} + fill_left (0) fill_right (0) bar{cluster="a"}
			  remote dead: nothing was heard of it`,
		`foo{cluster="c"}`: `
			dedup coalesce by (cluster)
			  remote dead: nothing was heard of it`,
		`absent(foo)`: `
			absent()
			  dedup coalesce by (cluster)
			    remote a: group by (cluster) (foo)
			    remote b: group by (cluster) (foo)
			    remote dead: nothing was heard of it`,
	} {
		p, warnings := distributedPlan(t, query, rangeTimes, dead, b, a)
		require.Equal(t, tree(want), Tree(p.Root), query)
		require.Empty(t, warnings)
	}
	p, _ := distributedPlan(t, `foo`, rangeTimes, dead)
	require.Equal(t, tree(`
		dedup coalesce by ()
		  remote dead: nothing was heard of it`), Tree(p.Root))
}

// What is no instant vector, or selects nothing, is evaluated at the root, also where one engine has all the data.
func TestNotPassedThrough(t *testing.T) {
	for query, want := range map[string]string{
		`"foo"`:                `"foo"`,
		`foo[1d]`:              `foo[1d]`,
		`rate(foo[5m])[1h:]`:   `(dedup(coalesce(remote(rate(foo[5m])))))[1h:]`,
		`1 + 1`:                `1 + 1`,
		`vector(1)`:            `vector(1)`,
		`scalar(foo)`:          `scalar(dedup(coalesce(remote(foo))))`,
		`2 * foo`:              `remote(2 * foo)`,
		`foo or vector(0)`:     `remote(foo or vector(0))`,
		`absent(foo)`:          `remote(absent(foo))`,
		`quantile(0.5, foo)`:   `remote(quantile(0.5, foo))`,
		`topk(scalar(x), foo)`: `remote(topk(scalar(x), foo))`,
	} {
		p, _ := distributedPlan(t, query, instantTimes, endpoint(t, "a", `{cluster="a"}`))
		require.Equal(t, want, Text(p.Root), query)
	}
}

// An engine that reads older plans is one that evaluates text where a plan has newer nodes.
func TestDistributionToOlderPlans(t *testing.T) {
	a, b := endpoint(t, "a", `{cluster="a"}`), endpoint(t, "b", `{cluster="b"}`)
	plan := func() string {
		p, ok := tryBuild(t, `rate(foo[5m])`, rangeTimes)
		require.True(t, ok)
		p, _ = NewDistributedExecutionOptimizer(nil).WithEngines([]remote.RemoteEngine{a, b}, Conditions{DelayedNames: true}).Optimize(p)
		return Text(p.Root)
	}
	require.Equal(t, expand(`R(rate(foo[5m]))`), plan())
	before := nodeVersions["call"]
	nodeVersions["call"] = PlanVersion + 1
	defer func() { nodeVersions["call"] = before }()
	require.Equal(t, `rate(foo[5m])`, plan())
}
