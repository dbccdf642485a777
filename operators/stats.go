package operators

import (
	"slices"

	"github.com/prometheus/prometheus/util/stats"
)

// Scope collects the sample statistics of the selectors that one of Prometheus' evaluators would
// evaluate: the query itself, a step-invariant expression, or a subquery, each with a grid of its own.
// Every worker counts into a Counts of its own, so that counting needs no lock.
type Scope struct {
	perStep bool
	steps   int // elements of a worker's counts, which are made when it first counts
	counts  []Counts
	series  int64
	from    int
}

// Counts are one worker's share of a Scope. With per-step statistics the slices have an element a
// step of the scope's grid, else one for all.
type Counts struct {
	Total, Read []int64
	PerStep     bool
	// From is the first step that has not been counted yet: step ranges of a subquery overlap,
	// and a step evaluated twice counts once.
	From int
	_    [64]byte // keeps workers off each other's cache lines
}

// NewScope is a scope of a grid of the given number of steps.
func NewScope(workers, steps int, perStep bool) *Scope {
	s := &Scope{perStep: perStep, steps: 1, counts: make([]Counts, workers)}
	if perStep {
		s.steps = max(1, steps)
	}
	for i := range s.counts {
		s.counts[i].PerStep = perStep
	}
	return s
}

// Open starts a step range: steps before an earlier range's end are not counted again.
func (s *Scope) Open(r StepRange, first bool) {
	if first {
		s.from = 0
	}
	for i := range s.counts {
		s.counts[i].From = s.from
	}
	s.from = max(s.from, r.To)
}

// ScopeMark is how far a scope had counted.
type ScopeMark struct {
	from   int
	counts []Counts
}

// Mark notes the state for Rewind. No worker may run.
func (s *Scope) Mark() ScopeMark {
	m := ScopeMark{from: s.from, counts: slices.Clone(s.counts)}
	for i := range m.counts {
		m.counts[i].Total, m.counts[i].Read = slices.Clone(m.counts[i].Total), slices.Clone(m.counts[i].Read)
	}
	return m
}

// Rewind goes back to a mark, which cannot be used again. No worker may run.
func (s *Scope) Rewind(m ScopeMark) { s.from, s.counts = m.from, m.counts }

// Forget drops all samples counted. No worker may run.
func (s *Scope) Forget() {
	for i := range s.counts {
		clear(s.counts[i].Total)
		clear(s.counts[i].Read)
	}
}

// AddSeries counts series selected, at bind time.
func (s *Scope) AddSeries(n int) { s.series += int64(n) }

// Counts is the worker's share.
func (s *Scope) Counts(w *Worker) *Counts {
	c := &s.counts[w.ID]
	if c.Total == nil {
		c.Total, c.Read = make([]int64, s.steps), make([]int64, s.steps)
	}
	return c
}

// Add counts samples at a step: total in the windows, and read anew.
func (c *Counts) Add(step int, total, read int64) {
	if !c.PerStep {
		step = 0
	}
	c.Total[step] += total
	c.Read[step] += read
}

// MergeInto adds the scope's numbers to a query's statistics. No worker may run.
func (s *Scope) MergeInto(qs *stats.QuerySamples) {
	qs.IncrementSeries(s.series)
	for i := range s.counts {
		c := &s.counts[i]
		for step := range c.Total {
			qs.IncrementSamplesAtStep(step, c.Total[step])
			qs.IncrementSamplesReadAtStep(step, c.Read[step])
		}
	}
}
