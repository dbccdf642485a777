package difftest

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// The reference answers up to maxRuns times, in batches, before a difference
// counts: in places its answers follow the order of a Go map. Maps of a few
// entries keep their order in three of four iterations, so that a handful of
// equal answers does not show that there are no others.
const (
	runBatch = 8
	maxRuns  = 64
)

// settle returns nil if got agrees with the runs of the reference taken
// together: each part equals that of some run, or, where the runs differ, every
// value lies between theirs. Otherwise it returns the difference to the first run.
func (c Comparer) settle(runs []*Outcome, got *Outcome) *Difference {
	first := c.Compare(runs[0], got)
	for _, part := range []Part{PartPanic, PartError, PartValue, PartAnnotations, PartStats} {
		settled := false
		for _, run := range runs {
			if c.compare(part, run, got) == "" {
				settled = true
				break
			}
		}
		if !settled && part == PartValue && !c.stable(runs) {
			settled = c.compareSpread(runs, got) == ""
		}
		if !settled {
			if first == nil || first.Part != part {
				first = &Difference{Part: part, Text: c.compare(part, runs[0], got)}
			}
			return first
		}
	}
	return nil
}

// stable says whether the runs are equal to each other.
func (c Comparer) stable(runs []*Outcome) bool {
	for _, run := range runs[1:] {
		if c.Compare(runs[0], run) != nil {
			return false
		}
	}
	return true
}

type pointKey struct {
	labels string
	t      int64
}

func pointsOf(v parser.Value) map[pointKey]point {
	out := map[pointKey]point{}
	switch v := v.(type) {
	case promql.Scalar:
		out[pointKey{t: v.T}] = point{f: v.V}
	case promql.Vector:
		for _, s := range v {
			out[pointKey{s.Metric.String(), s.T}] = point{s.F, s.H}
		}
	case promql.Matrix:
		for _, s := range v {
			name := s.Metric.String()
			for _, p := range s.Floats {
				out[pointKey{name, p.T}] = point{f: p.F}
			}
			for _, p := range s.Histograms {
				out[pointKey{name, p.T}] = point{h: p.H}
			}
		}
	}
	return out
}

// compareSpread compares got point by point with what the runs of the
// reference span: where all have a point there must be one, where none has
// there must be none, and floats lie between the least and the greatest.
func (c Comparer) compareSpread(runs []*Outcome, got *Outcome) string {
	spread := make([]map[pointKey]point, 0, len(runs))
	for _, run := range runs {
		if run.Err == nil && got.Value != nil && run.Value != nil && run.Value.Type() == got.Value.Type() {
			spread = append(spread, pointsOf(run.Value))
		}
	}
	if len(spread) < 2 {
		return "the reference has no spread"
	}
	points := pointsOf(got.Value)
	for key := range spread[0] {
		if _, ok := points[key]; ok {
			continue
		}
		everywhere := true
		for _, run := range spread[1:] {
			if _, ok := run[key]; !ok {
				everywhere = false
			}
		}
		if everywhere {
			return fmt.Sprintf("%v is missing", key)
		}
	}
	for key, p := range points {
		if !c.within(spread, key, p) {
			return fmt.Sprintf("%v lies outside of the reference's answers", key)
		}
	}
	return ""
}

func (c Comparer) within(spread []map[pointKey]point, key pointKey, p point) bool {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, run := range spread {
		q, ok := run[key]
		if !ok {
			continue
		}
		if c.comparePoints(q, p) == "" {
			return true
		}
		if q.h == nil && p.h == nil && !math.IsNaN(q.f) {
			lo, hi = min(lo, q.f), max(hi, q.f)
		}
		if q.h != nil && p.h != nil && c.withinHistograms(spread, key, p.h) {
			return true
		}
	}
	return p.h == nil && lo <= p.f && p.f <= hi
}

// withinHistograms says whether h has the layout of the runs' histograms at
// key and its numbers lie between theirs.
func (c Comparer) withinHistograms(spread []map[pointKey]point, key pointKey, h *histogram.FloatHistogram) bool {
	numbers := func(h *histogram.FloatHistogram) []float64 {
		out := append([]float64{h.ZeroCount, h.Count, h.Sum}, h.PositiveBuckets...)
		return append(out, h.NegativeBuckets...)
	}
	values := numbers(h)
	lo, hi := make([]float64, len(values)), make([]float64, len(values))
	for i := range values {
		lo[i], hi[i] = math.Inf(1), math.Inf(-1)
	}
	any := false
	for _, run := range spread {
		q := run[key].h
		if q == nil || q.Schema != h.Schema || !c.sameHints(q, h) {
			continue
		}
		qs := numbers(q)
		if len(qs) != len(values) {
			continue
		}
		any = true
		for i, v := range qs {
			lo[i], hi[i] = min(lo[i], v), max(hi[i], v)
		}
	}
	for i, v := range values {
		if !c.equal(v, lo[i]) && !c.equal(v, hi[i]) && (v < lo[i] || v > hi[i]) {
			return false
		}
	}
	return any
}
