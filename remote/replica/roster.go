package replica

import (
	"math"
	"sync"
	"time"

	"github.com/stride-promql/stride/remote"
)

// Roster makes groups of engines, which are pointers, that come and go. What is known of how an engine does goes with it from one group to the next, so that a group
// that gets another member does not ask those again that were slow, or left out.
type Roster struct {
	opts Options

	mu      sync.Mutex
	members map[remote.RemoteEngine]*member
}

// NewRoster makes one, of which all groups have the same options.
func NewRoster(opts Options) *Roster {
	return &Roster{opts: opts.withDefaults(), members: map[remote.RemoteEngine]*member{}}
}

// Group is New of engines that may have been members of other groups of the roster.
func (r *Roster) Group(name string, engines []remote.RemoteEngine) *Group {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := make([]*member, len(engines))
	for i, e := range engines {
		if r.members[e] == nil {
			r.members[e] = newMember(e, r.opts)
		}
		members[i] = r.members[e]
	}
	return groupOf(name, members, r.opts)
}

// Forget takes an engine that is gone for good off the roster, and its metrics away. Groups that it is in go on with it.
func (r *Roster) Forget(e remote.RemoteEngine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[e]; m != nil {
		delete(r.members, e)
		r.opts.Metrics.remove(e.Name())
	}
}

// groupOf makes a group of members. The last one is never left out.
func groupOf(name string, members []*member, opts Options) *Group {
	g := &Group{name: name, opts: opts, members: members}
	g.budget.share = opts.Budget
	for _, m := range members {
		m.setLast(len(members) == 1, opts)
	}
	return g
}

func (m *member) setLast(last bool, opts Options) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opts.Failures = opts.Failures; last {
		m.opts.Failures, m.until = math.MaxInt, time.Time{}
	}
}
