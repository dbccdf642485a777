package physicalplan

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/util/stats"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
)

type scopeKind int

const (
	rootScope scopeKind = iota
	invariantScope
	subqueryScope
	sectionScope // at some of the steps of the one around it, for which it counts as if it were a part of it
)

// scopeInfo is a part of the query that Prometheus evaluates with an evaluator of its own, and how its
// sample statistics become part of the one around it.
type scopeInfo struct {
	scope    *operators.Scope
	perStep  bool
	kind     scopeKind
	parent   *scopeInfo
	grid     operators.Grid
	top      *node // what the scope computes
	consumer stats.SubqueryConsumer
	samples  *stats.QuerySamples
}

func (p *Plan) newScope(parent *scopeInfo, kind scopeKind, grid operators.Grid, perStep bool) *scopeInfo {
	s := &scopeInfo{kind: kind, parent: parent, grid: grid, perStep: perStep, scope: operators.NewScope(max(1, p.query.Workers), grid.Steps, perStep)}
	p.scopes = append(p.scopes, s)
	return s
}

// subqueryPlace is the place of a subquery's expression. offset and width (ms) are those of the windows in
// which the results are used; a width of 0 is a subquery that is the query's result itself.
func (b *builder) subqueryPlace(n *logicalplan.Subquery, c place, offset time.Duration, width time.Duration) (place, error) {
	grid := operators.NewGrid(n.Times.Start, n.Times.End, n.Times.Interval)
	if c.grid.Steps == 0 {
		grid.Steps = 0
	}
	if err := checkSteps("subquery", grid); err != nil {
		return place{}, err
	}
	inner := place{grid: grid, start: n.Times.Start, end: n.Times.End}
	inner.scope = b.plan.newScope(c.scope, subqueryScope, grid, true)
	inner.scope.consumer = stats.SubqueryConsumer{
		Start:    c.grid.Start,
		Interval: c.grid.Interval,
		NumSteps: c.grid.Steps,
		Offset:   offset.Milliseconds(),
		Range:    width.Milliseconds(),
	}
	if width > 0 {
		inner.scope.consumer.AtTimestamp = n.Timestamp
	}
	return inner, nil
}

// maxSteps bounds the steps of a grid: a row of so many takes 128 MiB.
const maxSteps = 1 << 24

// checkSteps refuses a grid that memory will not hold, before anything is allocated for it.
func checkSteps(what string, g operators.Grid) error {
	if g.Steps <= maxSteps {
		return nil
	}
	return fmt.Errorf("the %s has %d steps of %s, the limit is %d: choose a longer step or a shorter range",
		what, g.Steps, time.Duration(g.Interval)*time.Millisecond, maxSteps)
}

// MergeStats adds the plan's sample statistics to those of the query, whose steps are tracked
// already. It is called once, after Run. cost says that the query-cost limits are on: then every step
// that a subquery evaluated counts as read.
func (p *Plan) MergeStats(query *stats.QuerySamples, cost bool) {
	for i := len(p.scopes) - 1; i >= 0; i-- {
		s := p.scopes[i]
		s.scope.MergeInto(p.samplesOf(s, query))
		if s.parent == nil || s.kind == sectionScope {
			continue
		}
		s.mergeInto(p.samplesOf(s.parent, query), s.parent.grid, cost)
	}
	query.UpdatePeak(int(p.query.PeakSamples()))
}

// samplesOf are the statistics that a scope counts into.
func (p *Plan) samplesOf(s *scopeInfo, query *stats.QuerySamples) *stats.QuerySamples {
	if s.samples == nil {
		s.samples = p.childSamples(s, query)
	}
	return s.samples
}

func (p *Plan) childSamples(s *scopeInfo, query *stats.QuerySamples) *stats.QuerySamples {
	switch {
	case s.kind == rootScope:
		return query
	case s.kind == sectionScope:
		return p.samplesOf(s.parent, query)
	case s.kind == subqueryScope && s.grid.Steps > 0:
		return stats.NewChildWithStepTracking(s.grid.Start, s.grid.End(), s.grid.Interval)
	}
	return stats.NewQuerySamples(false)
}

func (s *scopeInfo) mergeInto(parent *stats.QuerySamples, grid operators.Grid, cost bool) {
	parent.MergeSeriesFromSubquery(s.samples)
	if s.kind == invariantScope {
		for step := range grid.Steps {
			parent.IncrementSamplesAtStep(step, s.samples.TotalSamples)
		}
		parent.IncrementSamplesReadAtStep(0, s.samples.SamplesRead)
		return
	}
	c := s.consumer
	parent.MergeTotalSamplesFromSubquery(s.samples, c)
	if cost && c.Range > 0 {
		c.Range = 0
		if c.AtTimestamp != nil {
			c.NumSteps = 1
		}
	}
	parent.MergeSamplesReadFromSubquery(s.samples, c)
}
