package replica

import (
	"errors"
	"slices"
)

// silent tells whether the member has never said what it has, such as one that has been down since this process began. What its engine says
// for it, so that no query goes without its data, is not what it has: in a group the others have the same.
func (m *member) silent() bool {
	return m.engine.Capabilities().Unheard
}

// LastError is why the members have said nothing, as far as they know.
func (g *Group) LastError() error {
	var all []error
	for _, m := range g.members {
		if e, ok := m.engine.(interface{ LastError() error }); ok {
			all = append(all, e.LastError())
		}
	}
	return errors.Join(all...)
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
