package discovery

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/remote"
)

// groupNames are the names of announced groups, by key: the id that their members announce, and what tells them apart where several announce the same
// one, with other data. They are looked at when members announce something else, for there may be a million label sets.
func groupNames(groups map[string][]remote.RemoteEngine) map[string]string {
	names := make(map[string]string, len(groups))
	for key, members := range groups {
		names[key] = members[0].Capabilities().GroupID
	}
	further(names, func(key string) string { return inWords(groups[key][0].Coverage()) })
	further(names, func(key string) string { return "of " + groups[key][0].Name() }) // no engine is in two groups
	return names
}

// further adds to names that are there more than once what says more.
func further(names map[string]string, more func(key string) string) {
	often := map[string]int{}
	for _, n := range names {
		often[n]++
	}
	for key, n := range names {
		if often[n] > 1 {
			names[key] = n + " " + more(key)
		}
	}
}

// inWords is the first label set, and how many there are besides.
func inWords(coverage []remote.Coverage) string {
	if len(coverage) == 0 {
		return "without data"
	}
	first := slices.MinFunc(coverage, func(a, b remote.Coverage) int { return labels.Compare(a.Labels, b.Labels) }).Labels
	if more := len(coverage) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", first, more)
	}
	return first.String()
}
