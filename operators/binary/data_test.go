package binary

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
)

// interval is the distance of steps and of samples: with a shorter lookback, a step sees exactly
// the sample at its time.
const interval = 60_000

// value is a sample or, with present unset, a hole.
type value struct {
	present bool
	f       float64
	h       *histogram.FloatHistogram
}

// row is a series with a value for each step.
type row struct {
	labels labels.Labels
	values []value
}

func (r row) empty() bool {
	return !slices.ContainsFunc(r.values, func(v value) bool { return v.present })
}

// sample implements chunks.Sample.
type sample struct {
	t int64
	v value
}

func (s sample) T() int64                      { return s.t }
func (sample) ST() int64                       { return 0 }
func (s sample) F() float64                    { return s.v.f }
func (sample) H() *histogram.Histogram         { return nil }
func (s sample) FH() *histogram.FloatHistogram { return s.v.h }
func (s sample) Copy() chunks.Sample           { return s }
func (s sample) Type() chunkenc.ValueType {
	if s.v.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// memory is a storage of rows that answers in their order.
type memory []row

func (m memory) Querier(int64, int64) (storage.Querier, error) { return querier{m}, nil }

type querier struct{ m memory }

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{at: -1}
	for _, r := range q.m {
		if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(r.labels.Get(m.Name)) }) {
			var samples []chunks.Sample
			for i, v := range r.values {
				if v.present {
					samples = append(samples, sample{int64(i) * interval, v})
				}
			}
			set.series = append(set.series, storage.NewListSeries(r.labels, samples))
		}
	}
	return set
}

func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}
func (querier) Close() error { return nil }

type seriesSet struct {
	series []*storage.SeriesEntry
	at     int
}

func (s *seriesSet) Next() bool                      { s.at++; return s.at < len(s.series) }
func (s *seriesSet) At() storage.Series              { return s.series[s.at] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// profile says what kind of data to make.
type profile struct {
	steps      int
	series     int
	histograms float64 // part of samples
	invalid    bool    // histograms with an invalid layout too
	distinct   bool    // no two series of a side in a match group by x and y
	constant   bool    // a series has all samples
}

// randomRows makes the series of a side, called name1, name2 and so on.
func randomRows(rng *rand.Rand, name string, p profile) []row {
	var rows []row
	seen := map[string]bool{}
	for range p.series {
		lb := labels.NewBuilder(labels.EmptyLabels())
		x, y := fmt.Sprint(rng.Intn(4)), fmt.Sprint(rng.Intn(2))
		lb.Set("x", x)
		if rng.Intn(3) > 0 {
			lb.Set("y", y)
		}
		n := 1 + rng.Intn(2)
		if p.distinct {
			n = 1
		}
		lb.Set("__name__", fmt.Sprint(name, n))
		if rng.Intn(4) == 0 {
			lb.Set("__type__", []string{"gauge", "counter", "unknown"}[rng.Intn(3)])
		}
		if rng.Intn(6) == 0 {
			lb.Set("__unit__", "s")
		}
		if rng.Intn(2) == 0 {
			lb.Set("z", fmt.Sprint(name, rng.Intn(2)))
		}
		l := lb.Labels()
		key := l.String()
		if p.distinct {
			key = l.Get("x") + l.Get("y")
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		r := row{labels: l, values: make([]value, p.steps)}
		from, to := 0, p.steps
		if !p.constant && rng.Intn(2) == 0 {
			from = rng.Intn(p.steps)
			to = from + rng.Intn(p.steps-from+1)
		}
		holes := []float64{0, 0, 0.1, 0.6}[rng.Intn(4)]
		if p.constant {
			holes = 0
		}
		for i := from; i < to; i++ {
			switch {
			case rng.Float64() < holes:
			case rng.Float64() < p.histograms:
				r.values[i] = value{present: true, h: randomHistogram(rng, p.invalid)}
			default:
				r.values[i] = value{present: true, f: randomFloat(rng)}
			}
		}
		rows = append(rows, r)
	}
	return rows
}

func randomFloat(rng *rand.Rand) float64 {
	switch rng.Intn(20) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1)
	case 2:
		return rng.NormFloat64()
	case 3:
		return math.Copysign(0, -1)
	default:
		return float64(rng.Intn(7) - 2)
	}
}

func randomHistogram(rng *rand.Rand, invalid bool) *histogram.FloatHistogram {
	if invalid && rng.Intn(3) == 0 {
		return &histogram.FloatHistogram{
			Schema:          2,
			Count:           1,
			PositiveSpans:   []histogram.Span{{Offset: 0, Length: uint32(2 + rng.Intn(2))}},
			PositiveBuckets: []float64{1},
		}
	}
	h := &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(rng.Intn(4)),
		Count:            float64(3 + rng.Intn(3)),
		Sum:              float64(rng.Intn(20)),
		PositiveSpans:    []histogram.Span{{Offset: 0, Length: 2}},
		PositiveBuckets:  []float64{1, 2},
	}
	switch rng.Intn(4) {
	case 0:
		h.Schema = 1
	case 1:
		h.Schema = histogram.CustomBucketsSchema
		h.CustomValues = []float64{1, 2, 5}
	case 2:
		h.Schema = histogram.CustomBucketsSchema
		h.CustomValues = []float64{1, 3, 5}
	default:
		h.ZeroThreshold, h.ZeroCount = 0.001, float64(rng.Intn(2))
	}
	return h
}

var promqlParser = parser.NewParser(parser.Options{EnableExperimentalFunctions: true, EnableBinopFillModifiers: true})

// oracle answers a query with Prometheus' own engine over steps 0 to steps-1.
func oracle(t *testing.T, query string, data memory, steps int, instant, delayed bool) *promql.Result {
	ng := promql.NewEngine(promql.EngineOpts{
		MaxSamples:               1e9,
		Timeout:                  time.Hour,
		LookbackDelta:            interval / 2 * time.Millisecond,
		EnableDelayedNameRemoval: delayed,
		EnableAtModifier:         true,
		Parser:                   promqlParser,
	})
	ctx := context.Background()
	var (
		q   promql.Query
		err error
	)
	if instant {
		q, err = ng.NewInstantQuery(ctx, data, nil, query, time.UnixMilli(0))
	} else {
		q, err = ng.NewRangeQuery(ctx, data, nil, query, time.UnixMilli(0), time.UnixMilli(int64(steps-1)*interval), interval*time.Millisecond)
	}
	require.NoError(t, err, query)
	defer q.Close()
	res := q.Exec(ctx)
	return &promql.Result{Err: res.Err, Value: copyValue(res.Value), Warnings: res.Warnings}
}

// copyValue brings every kind of result into a matrix that outlives its query.
func copyValue(v parser.Value) parser.Value {
	var out promql.Matrix
	switch v := v.(type) {
	case promql.Matrix:
		for _, s := range v {
			out = append(out, promql.Series{Metric: s.Metric, Floats: slices.Clone(s.Floats), Histograms: slices.Clone(s.Histograms)})
		}
	case promql.Vector:
		for _, s := range v {
			if s.H != nil {
				out = append(out, promql.Series{Metric: s.Metric, Histograms: []promql.HPoint{{T: s.T, H: s.H}}})
			} else {
				out = append(out, promql.Series{Metric: s.Metric, Floats: []promql.FPoint{{T: s.T, F: s.F}}})
			}
		}
	case promql.Scalar:
		out = append(out, promql.Series{Floats: []promql.FPoint{{T: v.T, F: v.V}}})
	}
	return out
}
