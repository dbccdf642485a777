// Package replica makes one engine of several that hold the same data: any member can answer, so that a slow or lost one costs
// little, and load spreads.
package replica

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/remote"
)

// Strategy is how many members are asked.
type Strategy string

const (
	// Hedge asks the better one of two random members, and the other one only when the first is late.
	Hedge Strategy = "hedge"
	// Race asks two random members at once, and takes the answer of the first that begins to answer.
	Race Strategy = "race"
)

// Options are those of a Group. The zero value hedges.
type Options struct {
	Strategy Strategy
	// LeastDelay is the least time before a second member is asked; 0 is 50 ms.
	LeastDelay time.Duration
	// Budget is the share of extra requests, of all requests, that hedging may make; 0 is 0.1.
	Budget float64
	// Failures in a row after which a member is left out for Ejection; 0 are 3 and 10 s. Ejections that follow each other get longer.
	Failures int
	Ejection time.Duration
	// Metrics counts what members do; nil counts nothing.
	Metrics *Metrics
}

func (o Options) withDefaults() Options {
	if o.Strategy == "" {
		o.Strategy = Hedge
	}
	if o.LeastDelay <= 0 {
		o.LeastDelay = 50 * time.Millisecond
	}
	if o.Budget <= 0 {
		o.Budget = 0.1
	}
	if o.Failures <= 0 {
		o.Failures = 3
	}
	if o.Ejection <= 0 {
		o.Ejection = 10 * time.Second
	}
	return o
}

// Group is a RemoteEngine whose members hold the same data. Of each query the first member that begins to answer wins; if it
// fails later, another one is asked from the start, and the stream says remote.ErrRestart. With samples it is the same, but another member
// goes on where the first one failed, or hangs. Where the query allows a partial response,
// a member that lacks data answers, with a warning, if nobody does that has all. Members that have never said what they have are asked last.
type Group struct {
	name    string
	opts    Options
	members []*member
	budget  budget

	mu       sync.Mutex
	holdings *holdings // nil before they are asked for
}

var _ interface {
	remote.Selector
	storage.ChunkQueryable
} = (*Group)(nil)

// New groups engines under a name. There must be at least one.
func New(name string, engines []remote.RemoteEngine, opts Options) *Group {
	opts = opts.withDefaults()
	members := make([]*member, len(engines))
	for i, e := range engines {
		members[i] = newMember(e, opts)
	}
	return groupOf(name, members, opts)
}

// Name implements remote.RemoteEngine.
func (g *Group) Name() string { return g.name }

// Labels implements remote.RemoteEngine: those of the first member that has said what it has, which are those of all.
func (g *Group) Labels() []string { return g.known()[0].engine.Labels() }

// Coverage implements remote.RemoteEngine: what any member holds that has said so. A query is given to members that hold all that it needs.
func (g *Group) Coverage() []remote.Coverage {
	if len(g.members) == 1 {
		return g.members[0].engine.Coverage()
	}
	return g.held().all
}

// Capabilities implements remote.RemoteEngine: what all members are capable of that have said what they have.
func (g *Group) Capabilities() remote.Capabilities {
	known := g.known()
	c := known[0].engine.Capabilities()
	for _, m := range known[1:] {
		o := m.engine.Capabilities()
		if remote.Level(o.LanguageLevel) < remote.Level(c.LanguageLevel) {
			c.LanguageLevel = o.LanguageLevel
		}
		c.PlanVersion = min(c.PlanVersion, o.PlanVersion)
		if c.LabelHash != o.LabelHash {
			c.LabelHash = ""
		}
		c.WholeSeconds = c.WholeSeconds || o.WholeSeconds
		c.SamplesOnly = c.SamplesOnly || o.SamplesOnly
	}
	return c
}

// NewInstantQuery implements remote.RemoteEngine.
func (g *Group) NewInstantQuery(_ context.Context, opts promql.QueryOpts, q remote.RemoteQuery, ts time.Time) (promql.Query, error) {
	return &query{group: g, text: q.String(), needs: needs(q, ts), ask: func(ctx context.Context, e remote.RemoteEngine) (promql.Query, error) {
		return e.NewInstantQuery(ctx, opts, q, ts)
	}}, nil
}

// NewRangeQuery implements remote.RemoteEngine.
func (g *Group) NewRangeQuery(_ context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	return &query{group: g, text: q.String(), needs: needs(q, end), ask: func(ctx context.Context, e remote.RemoteEngine) (promql.Query, error) {
		return e.NewRangeQuery(ctx, opts, q, start, end, interval)
	}}, nil
}

// needs are the times that a query looks at. If it does not say, that may be all up to its end.
func needs(q remote.RemoteQuery, end time.Time) remote.Intervals {
	if n, ok := q.(remote.Needer); ok {
		if times := n.Needs(); times != nil {
			return times
		}
	}
	return remote.Intervals{{Start: remote.Always.Start, End: end.UnixMilli()}}
}

// held is what the group has, and who lacks what of it. It is worked out when a member's coverage changes, not for each query: there may be a
// million label sets.
func (g *Group) held() *holdings {
	if len(g.members) == 1 {
		return &holdings{members: g.members, lacks: make([]lack, 1)}
	}
	known := g.known()
	of := make([][]remote.Coverage, len(known))
	for i, m := range known {
		of[i] = m.engine.Coverage()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holdings == nil || !slices.Equal(known, g.holdings.members) || !same(of, g.holdings.of) {
		g.holdings = newHoldings(of)
		g.holdings.members = known
	}
	return g.holdings
}

// Announced finds the engines that say they hold the same data: of PeerStore or PeerQuery, with equal external label sets and an equal
// group id that is not empty. It gives them by a key that is equal for the same group at any time, and all that are alone, in their order.
func Announced(engines []remote.RemoteEngine) (groups map[string][]remote.RemoteEngine, alone []remote.RemoteEngine) {
	alike := map[string]int{}
	for _, e := range engines {
		alike[groupName(e)]++
	}
	keys := make([]string, len(engines))
	groups = map[string][]remote.RemoteEngine{}
	for i, e := range engines {
		if name := groupName(e); name != "" && alike[name] > 1 {
			keys[i] = name + " " + setsKey(e.Coverage())
			groups[keys[i]] = append(groups[keys[i]], e)
		}
	}
	for i, e := range engines {
		if len(groups[keys[i]]) < 2 {
			delete(groups, keys[i])
			alone = append(alone, e)
		}
	}
	return groups, alone
}

// groupName is equal for engines that hold the same data if their label sets are equal, too, and "" for one that says nothing of it.
func groupName(e remote.RemoteEngine) string {
	c := e.Capabilities()
	if c.GroupID == "" || c.PeerType == remote.PeerSource {
		return ""
	}
	return fmt.Sprintf("%q %s", c.GroupID, c.PeerType)
}

// setsKey is equal for the same label sets in any order.
func setsKey(coverage []remote.Coverage) string {
	sum := uint64(0)
	for _, c := range coverage {
		sum += c.Labels.Hash()
	}
	return fmt.Sprintf("%d %016x", len(coverage), sum)
}
