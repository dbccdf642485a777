package replica

import (
	"slices"

	"github.com/stride-promql/stride/remote"
)

// announcer is an engine that may not have said yet what data it has; it gives nil until then.
type announcer interface {
	Announced() []remote.Coverage
}

// silent tells whether the member has never said what it has, such as one that has been down since this process began. What its engine says
// for it, so that no query goes without its data, is not what it has: in a group the others have the same.
func (m *member) silent() bool {
	a, ok := m.engine.(announcer)
	return ok && a.Announced() == nil
}

// known are the members of which it is known what they have, for which the group speaks; all of them as long as that is known of none.
func (g *Group) known() []*member {
	if !slices.ContainsFunc(g.members, (*member).silent) {
		return g.members
	}
	known := slices.DeleteFunc(slices.Clone(g.members), (*member).silent)
	if len(known) == 0 {
		return g.members
	}
	return known
}
