package logicalplan

import (
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// hintScope is what the nodes above a selector tell about it to the storage.
type hintScope struct {
	// subqueries are those above, from the root of the query on.
	subqueries subqueries
	// interval of the innermost subquery, as the storage is told: the default for one without a step.
	interval time.Duration
	// function is the nearest function or aggregation above; none beyond a binary operation.
	function string
	// by and grouping are those of the aggregation directly above.
	by       bool
	grouping []string
}

// under is the scope of e's children. (For subqueries see underSubquery.)
func (h hintScope) under(e parser.Expr) hintScope {
	h.by, h.grouping = false, nil
	switch e := e.(type) {
	case *parser.AggregateExpr:
		h.function, h.by, h.grouping = e.Op.String(), !e.Without, e.Grouping
	case *parser.Call:
		h.function = e.Func.Name
	case *parser.BinaryExpr:
		h.function = ""
	}
	return h
}

// underSubquery is the scope of the expression of subquery e with the given interval at run time.
func (h hintScope) underSubquery(e *parser.SubqueryExpr, intervalMillis int64) hintScope {
	h = h.under(e)
	h.subqueries = h.subqueries.enter(e)
	if h.interval = e.Step; e.Step == 0 {
		h.interval = time.Duration(intervalMillis) * time.Millisecond
	}
	return h
}

// selectHints are the hints of selector v, with the range of the matrix selector around it or 0.
// The times cover what the steps of the whole query may need, not only those of the grid.
func (b *builder) selectHints(v *parser.VectorSelector, rng time.Duration, h hintScope) storage.SelectHints {
	// Prometheus truncates these two times otherwise than those of the evaluation (before 1970).
	start, end := b.stmt.Start.UnixMilli(), b.stmt.End.UnixMilli()
	if h.subqueries.at != nil {
		start, end = *h.subqueries.at, *h.subqueries.at
	}
	if v.Timestamp != nil {
		start, end = *v.Timestamp, *v.Timestamp
	} else {
		offset := durationMillis(h.subqueries.offset)
		start -= offset + durationMillis(h.subqueries.rng)
		end -= offset
	}

	// Windows are open on the left, hence the millisecond.
	lookback := b.stmt.LookbackDelta
	switch {
	case rng == 0:
		start -= durationMillis(lookback) - 1
	case v.Anchored || v.Smoothed:
		start -= durationMillis(lookback+rng) - 1
	default:
		start -= durationMillis(rng) - 1
	}
	if v.Smoothed {
		end += durationMillis(lookback)
	}

	offset := durationMillis(v.OriginalOffset)
	interval := h.interval
	if interval == 0 {
		interval = b.stmt.Interval
	}
	return storage.SelectHints{
		Start:    start - offset,
		End:      end - offset,
		Step:     durationMillis(interval),
		Range:    durationMillis(rng),
		Func:     h.function,
		By:       h.by,
		Grouping: slices.Clone(h.grouping),
	}
}
