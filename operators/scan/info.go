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
	// Scope counts what is selected and read.
	Scope *operators.Scope

	once map[string]struct{} // labels of the series counted: each one once, however many step ranges select it
}

// Select selects the series that matchers match and gives, for the steps r of grid, the time in ms of the newest
// sample of each at the reference time: the step's, or *at, less offset (ms). It runs alone, on the
// worker w.
func (l *Lookup) Select(ctx context.Context, hints storage.SelectHints, matchers []*labels.Matcher, grid operators.Grid, r operators.StepRange, offset int64, at *int64) (*operators.Schema, *operators.Batch, error) {
	if l.once == nil {
		l.once = map[string]struct{}{}
	}
	// Other answers of the query's own querier have been read already: see Storage.selectAll.
	st, err := l.Storage.again()
	if err != nil {
		return nil, nil, err
	}
	defer st.Close() //nolint:errcheck // What was read is read.
	sel := &Selector{Storage: st, Matchers: matchers, Hints: hints, Text: "info series", Uses: []*Use{{Scope: l.Scope, once: l.once}}}
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
