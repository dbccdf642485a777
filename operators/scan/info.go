package scan

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/operators"
)

// Lookup selects series while the query runs, for info(), whose info series depend on its input.
type Lookup struct {
	Query   *operators.Query
	Storage *Storage
	// Scopes count what is selected and read.
	Scopes []*operators.Scope

	counted map[string]struct{} // labels of the series counted: each one once, however many step ranges select it
}

// Select selects the series that matchers match and gives, for the steps r of grid, the time in ms of the newest
// sample of each at the reference time: the step's, or *at, less offset (ms). It runs alone, on the
// worker w.
func (l *Lookup) Select(ctx context.Context, hints storage.SelectHints, matchers []*labels.Matcher, grid operators.Grid, r operators.StepRange, offset int64, at *int64) (*operators.Schema, *operators.Batch, error) {
	if l.counted == nil {
		l.counted = map[string]struct{}{}
	}
	sel := &Selector{Storage: l.Storage, Matchers: matchers, Hints: hints, Text: "info series", Scopes: l.Scopes, counted: l.counted}
	v := NewVector(l.Query, sel, grid, offset, at, Milliseconds)
	defer v.Close()
	if err := v.Bind(ctx); err != nil {
		return nil, nil, err
	}
	all := operators.NewBatch(0, sel.schema.Len(), r.From, r.Len())
	if r.Len() == 0 {
		return sel.schema, all, nil
	}
	v.r, v.rows = r, 1
	w := &operators.Worker{}
	for m := range v.Morsels() {
		b, err := v.Read(w, m)
		if err != nil {
			return nil, nil, err
		}
		copy(all.F[m*r.Len():], b.F)
		all.Valid.Copy(m*r.Len(), b.Valid, 0, r.Len())
		w.Release(b)
	}
	return sel.schema, all, nil
}
