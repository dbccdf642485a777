package discovery

import (
	"slices"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/replica"
)

// announced are the groups of engines by what they say. They are worked out when one of them says something else, not for each query: there may
// be a million label sets.
type announced struct {
	by     []saying
	groups map[string][]remote.RemoteEngine
	names  map[string]string // of groups
	alone  []remote.RemoteEngine
}

// saying is what one engine says.
type saying struct {
	engine   remote.RemoteEngine
	caps     remote.Capabilities
	coverage []remote.Coverage
}

// of gives what replica.Announced does.
func (a *announced) of(engines []remote.RemoteEngine) (groups map[string][]remote.RemoteEngine, alone []remote.RemoteEngine) {
	by := make([]saying, len(engines))
	for i, e := range engines {
		by[i] = saying{e, e.Capabilities(), e.Coverage()}
	}
	if a.by == nil || !slices.EqualFunc(a.by, by, saying.same) {
		a.by = by
		a.groups, a.alone = replica.Announced(engines)
		a.names = groupNames(a.groups)
	}
	return a.groups, a.alone
}

// same tells whether two sayings are the same. Engines that have nothing else to say give the same list, which is not looked into.
func (s saying) same(o saying) bool {
	return s.engine == o.engine && s.caps == o.caps && len(s.coverage) == len(o.coverage) && (len(s.coverage) == 0 || &s.coverage[0] == &o.coverage[0])
}
