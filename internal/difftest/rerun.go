package difftest

import "context"

// Rerun evaluates a query in place of a mismatch's own one on the reference, with the series in one of many orders: 0 is the usual one.
type Rerun func(query string, order int64) *Outcome

type rerunKey struct{}

type rerun struct {
	query string
	order int64
}

// InPlaceOf says of a query that a Rerun evaluates which one it stands for, and in which order a storage should give its series. It
// returns the query itself, and 0, of others.
func InPlaceOf(ctx context.Context, query string) (original string, order int64) {
	if r, ok := ctx.Value(rerunKey{}).(rerun); ok {
		return r.query, r.order
	}
	return query, 0
}

// Rerunning is the Rerun of a case, which run evaluates.
func Rerunning(ctx context.Context, c Case, run func(context.Context, Case) *Outcome) Rerun {
	return func(query string, order int64) *Outcome {
		again := c
		again.Query = query
		return run(context.WithValue(ctx, rerunKey{}, rerun{c.Query, order}), again)
	}
}

// orders is in how many orders series are looked at to see whether an answer depends on it.
const orders = 64

// ByOrder says whether the reference gives other samples if it meets the series in another order.
func (m *Mismatch) ByOrder() bool {
	want := pointsOf(m.Runs[0].Value)
	for order := range int64(orders) {
		got := m.Rerun(m.Case.Query, order+1)
		if got.Err != nil || got.Value == nil {
			continue
		}
		if !m.Comparer.samePoints(want, pointsOf(got.Value)) {
			return true
		}
	}
	return false
}

// AnnotatesByOrder says whether the reference, if it meets the series in another order, annotates as alike wants it.
func (m *Mismatch) AnnotatesByOrder(alike func(*Outcome) bool) bool {
	for order := range int64(orders) {
		if got := m.Rerun(m.Case.Query, order+1); got.Err == nil && alike(got) {
			return true
		}
	}
	return false
}

func (c Comparer) samePoints(a, b map[pointKey]point) bool {
	if len(a) != len(b) {
		return false
	}
	for key, p := range a {
		if q, ok := b[key]; !ok || c.comparePoints(p, q) != "" {
			return false
		}
	}
	return true
}

// SameButHints says whether the outcomes are equal but for counter reset hints.
func (m *Mismatch) SameButHints() bool {
	c := m.Comparer
	c.ignoreHints = true
	return c.Compare(m.Runs[0], m.Got) == nil
}

// SameTimes says whether both outcomes have samples of the same series at the same times.
func (m *Mismatch) SameTimes() bool {
	want, got := pointsOf(m.Runs[0].Value), pointsOf(m.Got.Value)
	for key, p := range want {
		if q, ok := got[key]; !ok || (p.h == nil) != (q.h == nil) {
			return false
		}
	}
	return len(want) == len(got)
}
