package replica

import (
	"slices"
	"strings"

	"github.com/stride-promql/stride/remote"
)

// unionCoverage is what any of several engines holds, by label set.
func unionCoverage(all [][]remote.Coverage) []remote.Coverage {
	index := map[string]int{}
	var out []remote.Coverage
	for _, cs := range all {
		for _, c := range cs {
			key := c.Labels.String()
			i, ok := index[key]
			if !ok {
				index[key] = len(out)
				out = append(out, c)
				continue
			}
			out[i].Intervals = out[i].Intervals.Union(c.Intervals)
		}
	}
	slices.SortFunc(out, func(a, b remote.Coverage) int { return strings.Compare(a.Labels.String(), b.Labels.String()) })
	return out
}

// holds tells whether an engine with the coverage own has all of whole up to a time.
func holds(own, whole []remote.Coverage, end int64) bool {
	has := map[string]remote.Intervals{}
	for _, c := range own {
		has[c.Labels.String()] = has[c.Labels.String()].Union(c.Intervals)
	}
	for _, c := range whole {
		if c.Intervals.Without(has[c.Labels.String()]).Meets(remote.Interval{Start: remote.Always.Start, End: end}) {
			return false
		}
	}
	return true
}
