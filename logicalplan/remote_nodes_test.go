package logicalplan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// Needs are those of each selector, for the steps that an engine is asked for.
func TestRemoteQueryNeeds(t *testing.T) {
	a, b := endpoint(t, "a", `{cluster="a"} ..3000`), endpoint(t, "b", `{cluster="a"} 2000..`)
	between := func(from, to int64) remote.Interval { return remote.Interval{Start: from*1000 + 1, End: to * 1000} }
	for query, want := range map[string][2]remote.Intervals{ // of a and b
		`foo`:                         {{between(300, 3000)}, {between(2040, 6000)}},
		`rate(foo[10m])`:              {{between(0, 3000)}, {between(2040, 6000)}},
		`foo offset -10m`:             {{between(900, 3000)}, {between(2040, 6600)}},
		`max_over_time(foo[10m:1m])`:  {{{Start: -299_998, End: 3_000_000}}, {{Start: 2_040_002, End: 6_000_000}}}, // both windows are open at the left
		`foo + bar @ 2500`:            {{between(300, 3000)}, {between(2040, 6000)}},
		`foo + ignoring (x) bar @ 10`: {{between(-290, 10), between(300, 3000)}, nil},
	} {
		p, ok := tryBuild(t, query, rangeTimes)
		require.True(t, ok)
		p, _ = NewDistributedExecutionOptimizer(remote.StaticEndpoints{a, b}).Optimize(p)
		got := map[string]remote.Intervals{}
		Walk(p.Root, func(n Node) bool {
			if r, ok := n.(*Remote); ok {
				got[r.Engine.Name()] = r.Query.Needs(r.Times, r.Steps)
			}
			return true
		})
		for i, name := range []string{"a", "b"} {
			require.Equal(t, want[i], got[name], "%s of %s", query, name)
		}
	}
}
