package main

import (
	"slices"
	"sync"

	"github.com/stride-promql/stride/remote"
)

// union is what engines announce together. It is worked out when one of them announces something else, not for each query: there may be a
// million label sets.
type union struct {
	mu       sync.Mutex
	of       [][]remote.Coverage
	coverage []remote.Coverage
}

// announced are the names of the partition labels of engines, and what they hold by label set: the same slice as before if theirs are.
func (u *union) announced(engines []remote.RemoteEngine) (names []string, coverage []remote.Coverage) {
	of := make([][]remote.Coverage, len(engines))
	for i, e := range engines {
		names = append(names, e.Labels()...)
		of[i] = e.Coverage()
	}
	slices.Sort(names)
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.EqualFunc(u.of, of, sameList) {
		u.of, u.coverage = of, together(of)
	}
	return slices.Compact(names), u.coverage
}

// together is what several coverages are, by label set.
func together(of [][]remote.Coverage) (all []remote.Coverage) {
	index := map[string]int{}
	for _, coverage := range of {
		for _, c := range coverage {
			key := c.Labels.String()
			if i, ok := index[key]; ok {
				all[i].Add(c)
				continue
			}
			index[key] = len(all)
			all = append(all, c)
		}
	}
	return all
}

// sameList tells whether two coverages are the same list, of which nothing is looked at.
func sameList(a, b []remote.Coverage) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
