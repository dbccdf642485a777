package operators

import (
	"testing"

	"github.com/prometheus/prometheus/util/stats"
	"github.com/stretchr/testify/require"
)

// evaluate counts 1 sample in total, and 10 read, at each step of a range that has not been counted.
func evaluate(s *Scope, w *Worker, r StepRange, first bool) {
	s.Open(r, first)
	c := s.Counts(w)
	for step := max(r.From, c.From); step < r.To; step++ {
		c.Add(step, 1, 10)
	}
}

func TestScope(t *testing.T) {
	for _, perStep := range []bool{false, true} {
		s := NewScope(2, 6, perStep)
		s.AddSeries(3)
		s.AddSeries(4)
		evaluate(s, &Worker{ID: 0}, StepRange{From: 0, To: 3}, true)
		// Steps that a range before has counted do not count again, whoever counted them.
		evaluate(s, &Worker{ID: 1}, StepRange{From: 1, To: 5}, false)
		evaluate(s, &Worker{ID: 0}, StepRange{From: 4, To: 6}, false)

		qs := stats.NewQuerySamples(perStep)
		if perStep {
			qs.InitStepTracking(0, 5000, 1000)
		}
		s.MergeInto(qs)
		require.EqualValues(t, 6, qs.TotalSamples)
		require.EqualValues(t, 60, qs.SamplesRead)
		if perStep {
			require.Equal(t, []int64{1, 1, 1, 1, 1, 1}, qs.TotalSamplesPerStep)
		}
	}
}

// A scope that is opened anew from the first range on counts all again.
func TestScopeFromTheFirstRange(t *testing.T) {
	s := NewScope(1, 4, false)
	w := &Worker{}
	evaluate(s, w, StepRange{To: 4}, true)
	evaluate(s, w, StepRange{To: 4}, true)
	qs := stats.NewQuerySamples(false)
	s.MergeInto(qs)
	require.EqualValues(t, 8, qs.TotalSamples)
}
