package difftest

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// wrongEngine is Prometheus' engine with a fault in its answers.
type wrongEngine struct {
	promql.QueryEngine
	fault func(q promql.Query, r *promql.Result)
}

type wrongQuery struct {
	promql.Query
	fault func(q promql.Query, r *promql.Result)
}

func (q wrongQuery) Exec(ctx context.Context) *promql.Result {
	r := q.Query.Exec(ctx)
	q.fault(q.Query, r)
	return r
}

func (e wrongEngine) NewInstantQuery(ctx context.Context, s storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	q, err := e.QueryEngine.NewInstantQuery(ctx, s, opts, qs, ts)
	if err != nil {
		return nil, err
	}
	return wrongQuery{q, e.fault}, nil
}

func (e wrongEngine) NewRangeQuery(ctx context.Context, s storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	q, err := e.QueryEngine.NewRangeQuery(ctx, s, opts, qs, start, end, interval)
	if err != nil {
		return nil, err
	}
	return wrongQuery{q, e.fault}, nil
}

func wrong(fault func(promql.Query, *promql.Result)) EngineFactory {
	return func(opts promql.EngineOpts) promql.QueryEngine {
		return wrongEngine{Prometheus(opts), fault}
	}
}

// firstFloat lets change alter one float of a vector or matrix.
func firstFloat(r *promql.Result, change func(float64) float64) {
	switch v := r.Value.(type) {
	case promql.Vector:
		for i := range v {
			if v[i].H == nil {
				v[i].F = change(v[i].F)
				return
			}
		}
	case promql.Matrix:
		for i := range v {
			if len(v[i].Floats) > 0 {
				v[i].Floats[0].F = change(v[i].Floats[0].F)
				return
			}
		}
	}
}

// firstHistogram lets change alter a copy of one histogram.
func firstHistogram(r *promql.Result, change func(*histogram.FloatHistogram)) {
	switch v := r.Value.(type) {
	case promql.Vector:
		for i := range v {
			if v[i].H != nil {
				v[i].H = v[i].H.Copy()
				change(v[i].H)
				return
			}
		}
	case promql.Matrix:
		for i := range v {
			if len(v[i].Histograms) > 0 {
				v[i].Histograms[0].H = v[i].Histograms[0].H.Copy()
				change(v[i].Histograms[0].H)
				return
			}
		}
	}
}

func TestFaultsAreFound(t *testing.T) {
	for name, fault := range map[string]struct {
		part  Part
		fault func(promql.Query, *promql.Result)
	}{
		"a value is one more": {PartValue, func(_ promql.Query, r *promql.Result) {
			firstFloat(r, func(f float64) float64 { return f + 1 })
		}},
		"a value is off by 1e-11": {PartValue, func(_ promql.Query, r *promql.Result) {
			firstFloat(r, func(f float64) float64 { return f * (1 + 1e-11) })
		}},
		"an instant value has another last bit": {PartValue, func(_ promql.Query, r *promql.Result) {
			if _, instant := r.Value.(promql.Vector); instant {
				firstFloat(r, func(f float64) float64 { return math.Nextafter(f, math.Inf(1)) })
			}
		}},
		"a NaN becomes a zero": {PartValue, func(_ promql.Query, r *promql.Result) {
			firstFloat(r, func(f float64) float64 {
				if math.IsNaN(f) {
					return 0
				}
				return f
			})
		}},
		"a series is missing": {PartValue, func(_ promql.Query, r *promql.Result) {
			switch v := r.Value.(type) {
			case promql.Vector:
				r.Value = v[:max(len(v)-1, 0)]
			case promql.Matrix:
				r.Value = v[:max(len(v)-1, 0)]
			}
		}},
		"the last step is missing": {PartValue, func(_ promql.Query, r *promql.Result) {
			if m, ok := r.Value.(promql.Matrix); ok && len(m) > 0 {
				m[0].Floats = m[0].Floats[:max(len(m[0].Floats)-1, 0)]
			}
		}},
		"a timestamp is late": {PartValue, func(_ promql.Query, r *promql.Result) {
			if v, ok := r.Value.(promql.Vector); ok && len(v) > 0 {
				v[0].T++
			}
		}},
		"sorted vectors are reversed": {PartValue, func(q promql.Query, r *promql.Result) {
			if v, ok := r.Value.(promql.Vector); ok {
				for i, j := 0, len(v)-1; i < j; i, j = i+1, j-1 {
					v[i], v[j] = v[j], v[i]
				}
			}
		}},
		"a histogram's sum is off": {PartValue, func(_ promql.Query, r *promql.Result) {
			firstHistogram(r, func(h *histogram.FloatHistogram) { h.Sum++ })
		}},
		"a histogram's bucket is off": {PartValue, func(_ promql.Query, r *promql.Result) {
			firstHistogram(r, func(h *histogram.FloatHistogram) {
				if len(h.PositiveBuckets) > 0 {
					h.PositiveBuckets[0]++
				}
			})
		}},
		"a counter reset hint is lost": {PartValue, func(_ promql.Query, r *promql.Result) {
			firstHistogram(r, func(h *histogram.FloatHistogram) { h.CounterResetHint = histogram.UnknownCounterReset })
		}},
		"an annotation is missing": {PartAnnotations, func(_ promql.Query, r *promql.Result) {
			for k := range r.Warnings {
				delete(r.Warnings, k)
				return
			}
		}},
		"an annotation is too much": {PartAnnotations, func(_ promql.Query, r *promql.Result) {
			r.Warnings.Add(errors.New("by the way"))
		}},
		"an error has another text": {PartError, func(_ promql.Query, r *promql.Result) {
			if r.Err != nil {
				r.Err = errors.New("something else")
			}
		}},
		"an error is ignored": {PartError, func(_ promql.Query, r *promql.Result) {
			if r.Err != nil && !panicked(&Outcome{Err: r.Err}) {
				r.Err, r.Value = nil, promql.Vector{}
			}
		}},
		"a panic": {PartPanic, func(promql.Query, *promql.Result) { panic("broken") }},
		"a sample is counted twice": {PartStats, func(q promql.Query, _ *promql.Result) {
			q.Stats().Samples.TotalSamples++
		}},
		"a step is counted twice": {PartStats, func(q promql.Query, _ *promql.Result) {
			if per := q.Stats().Samples.SamplesReadPerStep; len(per) > 0 {
				per[0]++
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Execute(t.Context(), Config{Seed: 5, Queries: 1500, MaxMismatches: 1, Stats: true, Candidate: wrong(fault.fault)})
			require.NoError(t, err)
			require.NotEmpty(t, r.Mismatches)
			m := r.Mismatches[0]
			require.Equal(t, fault.part, m.ShrunkDiff.Part)
			require.LessOrEqual(t, len(m.Shrunk.Query), len(m.Found.Query))
			t.Logf("found after %d queries: %s", r.Queries, m)
		})
	}
}

// TestSelfChecksFindFaults has the same fault on both sides, where only the
// comparison of an engine with itself can find it.
func TestSelfChecksFindFaults(t *testing.T) {
	everyThird := wrong(func(_ promql.Query, r *promql.Result) {
		if m, ok := r.Value.(promql.Matrix); ok {
			for _, s := range m {
				if len(s.Floats) > 2 {
					s.Floats[2].F++
				}
			}
		}
	})
	r, err := Execute(t.Context(), Config{Seed: 5, Queries: 500, MaxMismatches: 2, SelfChecks: 1, Reference: everyThird, Candidate: everyThird})
	require.NoError(t, err)
	checks := map[string]bool{}
	for _, m := range r.Mismatches {
		checks[m.Check] = true
	}
	require.Contains(t, checks, "instant queries")
	require.Contains(t, checks, "halves")
}
