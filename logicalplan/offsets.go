package logicalplan

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// timeMillis and durationMillis convert as Prometheus' evaluator does: toward zero.
func timeMillis(t time.Time) int64 { return t.UnixNano() / int64(time.Millisecond) }

func durationMillis(d time.Duration) int64 { return int64(d / time.Millisecond) }

// subqueries sums up the subqueries between some node above and the one at hand: what their
// offsets, ranges and `@` do to the times at which it is evaluated.
type subqueries struct {
	offset, rng time.Duration
	at          *int64 // of the innermost subquery with `@`
}

// enter is s with one more subquery, around all that follows. Its `@` makes those further out
// irrelevant.
func (s subqueries) enter(e *parser.SubqueryExpr) subqueries {
	if e.Timestamp == nil {
		s.offset += e.OriginalOffset
		s.rng += e.Range
		return s
	}
	s = subqueries{offset: e.OriginalOffset, rng: e.Range}
	if *e.Timestamp != math.MaxInt64 { // Prometheus' sign of having none
		s.at = e.Timestamp
	}
	return s
}

// atReference is what the offsets of selectors with `@` are worked out against. Prometheus writes
// them for the whole query at its start, and again below a subquery whose first step is at
// another time than the first step around it; only the subqueries from there on count.
type atReference struct {
	start int64 // ms
	below subqueries
}

// offset is the offset at run time of a selector or subquery with the given modifiers.
func (r atReference) offset(at *int64, original time.Duration) time.Duration {
	if at == nil {
		return original
	}
	around := r.below.offset
	if r.below.at != nil {
		around += time.Duration(r.start-*r.below.at) * time.Millisecond
	}
	return original + time.Duration(r.start-*at)*time.Millisecond - around
}

// enter is the reference for the expression of subquery e, given the first steps around it and in it.
func (r atReference) enter(e *parser.SubqueryExpr, outerStart, innerStart int64) atReference {
	if innerStart != outerStart {
		return atReference{start: innerStart}
	}
	r.below = r.below.enter(e)
	return r
}

// subqueryTimes are the times at which subquery e evaluates its expression: multiples of its own
// interval that cover the windows of all the steps around it, up to the last real one.
func subqueryTimes(e *parser.SubqueryExpr, outer Times, offset time.Duration, noStep func(rangeMillis int64) int64) (Times, error) {
	rangeMillis, offsetMillis := durationMillis(e.Range), durationMillis(offset)
	interval := durationMillis(e.Step)
	switch {
	case e.Step == 0:
		if interval = noStep(rangeMillis); interval <= 0 {
			return Times{}, fmt.Errorf("the default subquery interval for a range of %dms is %dms, it must be positive", rangeMillis, interval)
		}
	case interval <= 0:
		return Times{}, fmt.Errorf("subquery step %v is shorter than 1ms", e.Step)
	}

	end := outer.lastStep()
	if e.Timestamp != nil {
		// All steps look at the same window; the offset is relative to the first one.
		end = outer.Start
	}
	windowStart := outer.Start - offsetMillis - rangeMillis
	start := windowStart / interval * interval
	if start <= windowStart {
		start += interval
	}
	return Times{Start: start, End: end - offsetMillis, Interval: interval}, nil
}

// lastStep is the time of the last step, or End where there is none.
func (t Times) lastStep() int64 { return t.Start + (t.End-t.Start)/t.Interval*t.Interval }

// first are the times of the first step alone, as a step-invariant expression has them.
func (t Times) first() Times { return Times{Start: t.Start, End: t.Start, Interval: t.Interval} }

// statementTimes are the evaluation times of a whole statement.
func statementTimes(s *parser.EvalStmt) (Times, error) {
	if s.Start.Equal(s.End) && s.Interval == 0 {
		start := timeMillis(s.Start)
		return Times{Start: start, End: start, Interval: 1}, nil
	}
	interval := durationMillis(s.Interval)
	if interval <= 0 {
		return Times{}, errors.New("the interval of a range query must be at least 1ms")
	}
	return Times{Start: timeMillis(s.Start), End: timeMillis(s.End), Interval: interval}, nil
}
