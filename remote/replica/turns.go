package replica

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/remote"
)

// turns is who of a group is asked for something, one after another: first the members that have all the data that it needs. When none of these is
// left come live ones that are behind them, with a warning. Those that lack some of it come after them, and only where a partial response is
// allowed. Behind all of these come those that had not said what they have when this began.
//
// That members may leave out sources of theirs that fail is for the last one: as long as there is another one, its answer may be whole.
type turns struct {
	group   *Group
	needs   remote.Intervals
	whole   []*member
	behind  []lacking // which are live, but of which others have more
	lacking []lacking
	silent  []*member
	partial bool
	last    *member // of whole, that was asked last
	allowed bool    // one of whole was asked for a partial response
	trial   bool    // the second member is one that was slow, and is to be asked at once with the first
	errs    []error // of those that failed
}

// turn is a member that is to be asked, which lacks some data if there is a warning, and whether it may leave out sources of its own.
type turn struct {
	*member
	warning error
	partial bool
}

// with is the context to ask the member with.
func (t turn) with(ctx context.Context) context.Context {
	r := remote.RequestFrom(ctx)
	if r.PartialResponse == t.partial {
		return ctx
	}
	r.PartialResponse = t.partial
	return remote.WithRequest(ctx, r)
}

// lacking is a member without some of the data.
type lacking struct {
	*member
	missing remote.Intervals
}

// turns orders the members: of two random ones that were not left out the better one leads, and those left out come last.
func (g *Group) turns(ctx context.Context, needs remote.Intervals) *turns {
	t := &turns{group: g, needs: needs, partial: remote.RequestFrom(ctx).PartialResponse}
	now := time.Now()
	held := g.held()
	var out []*member
	for i, m := range held.members {
		missing := held.lacks[i].of(needs, now)
		switch {
		case len(missing) > 0:
			t.lacking = append(t.lacking, lacking{m, missing})
		case m.ejected(now):
			out = append(out, m)
		default:
			t.whole = append(t.whole, m)
		}
	}
	t.whole, out = t.ahead(held, t.whole, out, now)
	shuffle(t.whole)
	if len(t.whole) > 1 {
		t.whole[0], t.whole[1] = t.lead(t.whole[0], t.whole[1], now)
	}
	shuffle(out)
	t.whole = append(t.whole, out...)
	for _, m := range g.members {
		if !slices.Contains(held.members, m) {
			t.silent = append(t.silent, m)
		}
	}
	for _, l := range [][]lacking{t.behind, t.lacking} {
		slices.SortStableFunc(l, func(a, b lacking) int { return cmp.Compare(length(a.missing), length(b.missing)) })
	}
	return t
}

// ahead leaves out of two lists of live members those that are behind the others, if there are others.
func (t *turns) ahead(held *holdings, whole, out []*member, now time.Time) (_, _ []*member) {
	var behind []lacking
	for i, m := range held.members {
		if !slices.Contains(whole, m) && !slices.Contains(out, m) {
			continue
		}
		if missing := held.lacks[i].behind(t.needs, now); len(missing) > 0 {
			behind = append(behind, lacking{m, missing})
		}
	}
	if len(behind) == len(whole)+len(out) {
		return whole, out
	}
	t.behind = behind
	is := func(m *member) bool {
		return slices.ContainsFunc(behind, func(l lacking) bool { return l.member == m })
	}
	return slices.DeleteFunc(whole, is), slices.DeleteFunc(out, is)
}

// lead orders two members, the better one first. One that was slow is tried again when that is forgotten: beside the other one, as an extra
// request, so that nobody waits for it.
func (t *turns) lead(a, b *member, now time.Time) (first, second *member) {
	if slower(a.usual(), b.usual()) {
		a, b = b, a
	}
	switch {
	case slower(b.usual(), a.usual()):
		t.trial = b.forgotten(now, a.usual()) && t.group.budget.spend()
	case b.score(now) < a.score(now):
		return b, a
	}
	return a, b
}

// more tells whether a member with all the data is still to be asked that was not left out.
func (t *turns) more() bool { return len(t.whole) > 0 && !t.whole[0].ejected(time.Now()) }

// next is the next member, which is nil if nobody is left; alone says that no other one is being asked.
func (t *turns) next(alone bool) turn {
	if len(t.whole) > 0 {
		t.last, t.whole = t.whole[0], t.whole[1:]
		return t.lastResort(alone && len(t.whole) == 0)
	}
	if t.last != nil && t.partial && !t.allowed && alone {
		return t.lastResort(true)
	}
	if len(t.behind) > 0 {
		l := t.behind[0]
		t.behind = t.behind[1:]
		return turn{l.member, t.warning(l.member, fmt.Errorf("its data may end before what was asked for: others announced more %s", inWords(l.missing))), t.partial && alone}
	}
	for len(t.lacking) > 0 {
		l := t.lacking[0]
		t.lacking = t.lacking[1:]
		if next := t.without(l); next.member != nil {
			return next
		}
	}
	for len(t.silent) > 0 {
		m := t.silent[0]
		t.silent = t.silent[1:]
		// It may have said something by now.
		held := t.group.held()
		if i := slices.Index(held.members, m); i >= 0 {
			if missing := held.lacks[i].of(t.needs, time.Now()); len(missing) > 0 {
				if next := t.without(lacking{m, missing}); next.member != nil {
					return next
				}
				continue
			}
		}
		return turn{m, nil, t.partial && alone}
	}
	return turn{}
}

// without is the turn of a member that lacks data, of which there is none where a partial response is not allowed.
func (t *turns) without(l lacking) turn {
	err := fmt.Errorf("it lacks data %s", inWords(l.missing))
	if t.partial {
		return turn{l.member, t.warning(l.member, err), true}
	}
	t.failed(l.member, err)
	return turn{}
}

// lastResort is the turn of the member that is asked last. It may leave out sources of its own if there is nobody else to ask.
func (t *turns) lastResort(nobodyElse bool) turn {
	partial := t.partial && nobodyElse
	t.allowed = t.allowed || partial
	return turn{t.last, nil, partial}
}

// warning is that of an answer without all the data.
func (t *turns) warning(m *member, lacks error) error {
	var others string
	if len(t.errs) > 0 {
		others = ", but others failed: " + joined(t.errs)
	}
	return fmt.Errorf("%w: remote engine %s answered for replica group %s, of which results may be missing: %w%s",
		annotations.PromQLWarning, m.engine.Name(), t.group.name, lacks, others)
}

// again puts a member that has not failed behind the others.
func (t *turns) again(m *member) { t.whole = append(t.whole, m) }

// failed notes a member's error.
func (t *turns) failed(m *member, err error) {
	t.errs = append(t.errs, remote.EngineError(m.engine.Name(), err))
}

// err is the error of what no member answered.
func (t *turns) err() error { return &errAll{t.group.name, t.errs} }

// errAll is the error of a query that no member answered.
type errAll struct {
	group string
	errs  []error
}

// Error names each member's error.
func (e *errAll) Error() string {
	return fmt.Sprintf("no member of replica group %s answered: %s", e.group, joined(e.errs))
}

// Unwrap gives the members' errors.
func (e *errAll) Unwrap() []error { return e.errs }

func joined(errs []error) string {
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}
