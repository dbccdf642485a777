package operatortest

import (
	"context"
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

	"github.com/stride-promql/stride/operators"
)

// Interval is the distance in milliseconds of the steps of Grid and of the samples that Prometheus
// sees: with a lookback that is shorter, a step sees exactly the sample at its time.
const Interval = 60_000

// Grid is the grid of that many steps from time 0 on.
func Grid(steps int) operators.Grid { return operators.Grid{Interval: Interval, Steps: steps} }

// Parser parses all of PromQL.
var Parser = parser.NewParser(parser.Options{EnableExperimentalFunctions: true, EnableBinopFillModifiers: true})

// Query is a query for Prometheus.
type Query struct {
	Text    string
	Grid    operators.Grid
	Instant bool // at the only step of the grid
	Delayed bool // delayed name removal
}

// engines are Prometheus' engines without and with delayed name removal.
var engines = [2]*promql.Engine{newEngine(false), newEngine(true)}

func newEngine(delayed bool) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples:               1e9,
		Timeout:                  time.Hour,
		LookbackDelta:            Interval / 2 * time.Millisecond,
		EnableAtModifier:         true,
		EnableDelayedNameRemoval: delayed,
		Parser:                   Parser,
	})
}

// Prometheus runs a query over series, which a selector gets in their order.
func Prometheus(t testing.TB, series []Series, query Query) Result {
	t.Helper()
	ng := engines[0]
	if query.Delayed {
		ng = engines[1]
	}
	ctx := context.Background()
	var (
		q   promql.Query
		err error
	)
	start, end := time.UnixMilli(query.Grid.Start), time.UnixMilli(query.Grid.End())
	if query.Instant {
		q, err = ng.NewInstantQuery(ctx, storageOf(series), nil, query.Text, start)
	} else {
		q, err = ng.NewRangeQuery(ctx, storageOf(series), nil, query.Text, start, end, time.Duration(query.Grid.Interval)*time.Millisecond)
	}
	require.NoError(t, err, query.Text)
	defer q.Close()
	res := q.Exec(ctx)
	return Result{Series: Values(res.Value, query.Grid), Annotations: res.Warnings, Err: res.Err}
}

// Values are the series of a query's result, with samples at the steps of grid. They share no memory with it.
func Values(v parser.Value, grid operators.Grid) []Series {
	var out []Series
	switch v := v.(type) {
	case promql.Scalar:
		s := NewSeries(labels.EmptyLabels(), 1)
		s.Samples[0] = Float(v.V)
		out = append(out, s)
	case promql.Vector:
		for _, x := range v {
			s := NewSeries(x.Metric, 1)
			if s.Samples[0] = Float(x.F); x.H != nil {
				s.Samples[0] = Histogram(x.H.Copy())
			}
			out = append(out, s)
		}
	case promql.Matrix:
		for _, x := range v {
			s := NewSeries(x.Metric, grid.Steps)
			for _, p := range x.Floats {
				s.Samples[(p.T-grid.Start)/grid.Interval] = Float(p.F)
			}
			for _, p := range x.Histograms {
				s.Samples[(p.T-grid.Start)/grid.Interval] = Histogram(p.H.Copy())
			}
			if !s.Empty() {
				out = append(out, s)
			}
		}
	}
	return out
}

// storageOf offers series, in their order, to Prometheus.
func storageOf(series []Series) storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			set := &seriesSet{at: -1}
			for _, s := range series {
				if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Labels.Get(m.Name)) }) {
					continue
				}
				var samples []chunks.Sample
				for i, x := range s.Samples {
					if x.Present {
						samples = append(samples, stored{int64(i) * Interval, x})
					}
				}
				set.series = append(set.series, storage.NewListSeries(s.Labels, samples))
			}
			return set
		},
	}}
}

// stored implements chunks.Sample. Prometheus gets histograms of its own, which it may write to.
type stored struct {
	t      int64
	sample Sample
}

func (s stored) T() int64              { return s.t }
func (stored) ST() int64               { return 0 }
func (s stored) F() float64            { return s.sample.F }
func (stored) H() *histogram.Histogram { return nil }
func (s stored) Copy() chunks.Sample   { return s }
func (s stored) Type() chunkenc.ValueType {
	if s.sample.H != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

func (s stored) FH() *histogram.FloatHistogram {
	if s.sample.H == nil {
		return nil
	}
	return s.sample.H.Copy()
}

type seriesSet struct {
	series []*storage.SeriesEntry
	at     int
}

func (s *seriesSet) Next() bool                      { s.at++; return s.at < len(s.series) }
func (s *seriesSet) At() storage.Series              { return s.series[s.at] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }
