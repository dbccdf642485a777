// Package replica makes one engine of several that hold the same data: any member can answer, so that a slow or lost one costs
// little, and load spreads.
package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"

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
// fails later, another one is asked from the start.
type Group struct {
	name    string
	opts    Options
	members []*member
	budget  budget
}

var _ remote.RemoteEngine = (*Group)(nil)

// New groups engines under a name. There must be at least one.
func New(name string, engines []remote.RemoteEngine, opts Options) *Group {
	g := &Group{name: name, opts: opts.withDefaults()}
	g.budget.share = g.opts.Budget
	for _, e := range engines {
		g.members = append(g.members, newMember(e, g.opts))
	}
	return g
}

// Name implements remote.RemoteEngine.
func (g *Group) Name() string { return g.name }

// Labels implements remote.RemoteEngine: those of the first member, which are those of all.
func (g *Group) Labels() []string { return g.members[0].engine.Labels() }

// Coverage implements remote.RemoteEngine: what any member holds. A query is only given to members that hold all of it.
func (g *Group) Coverage() []remote.Coverage {
	if len(g.members) == 1 {
		return g.members[0].engine.Coverage()
	}
	var all [][]remote.Coverage
	for _, m := range g.members {
		all = append(all, m.engine.Coverage())
	}
	return unionCoverage(all)
}

// Capabilities implements remote.RemoteEngine: what all members are capable of.
func (g *Group) Capabilities() remote.Capabilities {
	c := g.members[0].engine.Capabilities()
	for _, m := range g.members[1:] {
		o := m.engine.Capabilities()
		if remote.Level(o.LanguageLevel) < remote.Level(c.LanguageLevel) {
			c.LanguageLevel = o.LanguageLevel
		}
		c.PlanVersion = min(c.PlanVersion, o.PlanVersion)
		if c.LabelHash != o.LabelHash {
			c.LabelHash = ""
		}
		c.WholeSeconds = c.WholeSeconds || o.WholeSeconds
	}
	return c
}

// NewInstantQuery implements remote.RemoteEngine.
func (g *Group) NewInstantQuery(_ context.Context, opts promql.QueryOpts, q remote.RemoteQuery, ts time.Time) (promql.Query, error) {
	return &query{group: g, text: q.String(), end: ts.UnixMilli(), ask: func(ctx context.Context, e remote.RemoteEngine) (promql.Query, error) {
		return e.NewInstantQuery(ctx, opts, q, ts)
	}}, nil
}

// NewRangeQuery implements remote.RemoteEngine.
func (g *Group) NewRangeQuery(_ context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	return &query{group: g, text: q.String(), end: end.UnixMilli(), ask: func(ctx context.Context, e remote.RemoteEngine) (promql.Query, error) {
		return e.NewRangeQuery(ctx, opts, q, start, end, interval)
	}}, nil
}

// candidates are the members that hold all that the group holds up to a time, those that were not ejected first, best first but
// for chance: of two random ones the better one leads.
func (g *Group) candidates(end int64) ([]*member, error) {
	now := time.Now()
	whole := g.Coverage()
	var in, out []*member
	for _, m := range g.members {
		if !holds(m.engine.Coverage(), whole, end) {
			continue
		}
		if m.ejected(now) {
			out = append(out, m)
		} else {
			in = append(in, m)
		}
	}
	if len(in)+len(out) == 0 {
		return nil, fmt.Errorf("no member of replica group %s holds all the data up to %s: wait until their data is the same, or take them out of the group",
			g.name, time.UnixMilli(end).UTC().Format(time.RFC3339))
	}
	shuffle(in)
	if len(in) > 1 && in[1].score(now) < in[0].score(now) {
		in[0], in[1] = in[1], in[0]
	}
	shuffle(out)
	return append(in, out...), nil
}

// errAll is the error of a query that no member answered.
type errAll struct {
	group string
	errs  []error
}

// Error names each member's error.
func (e *errAll) Error() string {
	var texts []string
	for _, err := range e.errs {
		texts = append(texts, err.Error())
	}
	return fmt.Sprintf("no member of replica group %s answered: %s", e.group, strings.Join(texts, "; "))
}

// Unwrap gives the members' errors.
func (e *errAll) Unwrap() []error { return e.errs }

// Announced finds the engines that say they hold the same data: of PeerStore or PeerQuery, with equal external label sets and an equal
// group id that is not empty. It gives them by a key that is equal for the same group at any time, and all that are alone, in their order.
func Announced(engines []remote.RemoteEngine) (groups map[string][]remote.RemoteEngine, alone []remote.RemoteEngine) {
	groups = map[string][]remote.RemoteEngine{}
	for _, e := range engines {
		if c := e.Capabilities(); c.GroupID != "" && c.PeerType != remote.PeerSource {
			key := groupKey(e)
			groups[key] = append(groups[key], e)
		}
	}
	for _, e := range engines {
		key := groupKey(e)
		if m := groups[key]; len(m) < 2 {
			delete(groups, key)
			alone = append(alone, e)
		}
	}
	return groups, alone
}

// groupKey is equal for engines that hold the same data.
func groupKey(e remote.RemoteEngine) string {
	c := e.Capabilities()
	var sets []string
	for _, x := range e.Coverage() {
		sets = append(sets, x.Labels.String())
	}
	slices.Sort(sets)
	return fmt.Sprintf("%q %s %q", c.GroupID, c.PeerType, slices.Compact(sets))
}

// isQuerys tells errors of the query, which every member would give.
func isQuerys(err error) bool {
	var q *remote.QueryError
	return errors.As(err, &q)
}
