package scan_test

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/scan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample is a float or, with h, a histogram.
type sample struct {
	t int64
	f float64
	h *histogram.FloatHistogram
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return s.h }
func (s sample) Copy() chunks.Sample           { return s }

func (s sample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

func (s sample) stale() bool {
	if s.h != nil {
		return value.IsStaleNaN(s.h.Sum)
	}
	return value.IsStaleNaN(s.f)
}

// size is the sample's size in Prometheus' unit.
func (s sample) size() int64 {
	if s.h != nil {
		return operators.HistogramSamples(s.h)
	}
	return 1
}

// store holds series in a fixed order, and counts its queriers.
type store struct {
	labels  []labels.Labels
	samples [][]sample
	open    atomic.Int64 // queriers not closed
	ever    atomic.Int64 // queriers made
	panics  bool         // where Select comes after the first Next
}

func (s *store) series(i int) storage.Series {
	list := make([]chunks.Sample, len(s.samples[i]))
	for k, p := range s.samples[i] {
		list[k] = p
	}
	return storage.NewListSeries(s.labels[i], list)
}

func (s *store) querier() *querier {
	s.open.Add(1)
	s.ever.Add(1)
	return &querier{store: s}
}

func (s *store) Querier(int64, int64) (storage.Querier, error) {
	return sampleQuerier{querier: s.querier()}, nil
}

func (s *store) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) {
	return chunkQuerier{querier: s.querier()}, nil
}

type querier struct {
	storage.LabelQuerier
	store *store
	begun bool
}

func (q *querier) Close() error { q.store.open.Add(-1); return nil }

func (q *querier) selected(ms []*labels.Matcher) *set {
	if q.begun && q.store.panics {
		panic("Select after Next")
	}
	out := &set{q: q, at: -1}
	for i, l := range q.store.labels {
		keep := true
		for _, m := range ms {
			keep = keep && m.Matches(l.Get(m.Name))
		}
		if keep {
			out.series = append(out.series, i)
		}
	}
	return out
}

type sampleQuerier struct{ *querier }

func (q sampleQuerier) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return sampleSet{q.selected(ms)}
}

type chunkQuerier struct{ *querier }

func (q chunkQuerier) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	return chunkSet{q.selected(ms)}
}

type set struct {
	q      *querier
	series []int
	at     int
}

func (s *set) Next() bool {
	s.q.begun = true
	s.at++
	return s.at < len(s.series)
}
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

type sampleSet struct{ *set }

func (s sampleSet) At() storage.Series { return s.q.store.series(s.series[s.at]) }

type chunkSet struct{ *set }

func (s chunkSet) At() storage.ChunkSeries {
	return storage.NewSeriesToChunkEncoder(s.q.store.series(s.series[s.at]))
}

// randomStore holds series of floats, of histograms and of both, with gaps and stale markers.
func randomStore(r *rand.Rand, series int, start, span int64) *store {
	s := &store{}
	for i := range series {
		var list []sample
		kind := r.IntN(4)
		for t := start + r.Int64N(span/4+1); t < start+span; t += 1 + r.Int64N(span/16+1) {
			p := sample{t: t, f: math.Round(r.Float64() * 100)}
			if kind == 1 || kind == 2 && r.IntN(3) == 0 {
				p = sample{t: t, h: tsdbutil.GenerateTestFloatHistogram(r.Int64N(50))}
			}
			if r.IntN(9) == 0 {
				if p.h != nil {
					p.h = &histogram.FloatHistogram{Sum: math.Float64frombits(value.StaleNaN)}
				} else {
					p.f = math.Float64frombits(value.StaleNaN)
				}
			}
			list = append(list, p)
		}
		if kind == 3 && r.IntN(2) == 0 {
			list = nil
		}
		s.samples = append(s.samples, list)
		s.labels = append(s.labels, labels.FromStrings("__name__", "m", "i", string(rune('a'+i))))
	}
	return s
}

// point is what a source gave for a series at a step.
type point struct {
	f float64
	h *histogram.FloatHistogram
}

// run plays the driver: it reads the source over all steps, in ranges of random length, with several workers, and
// gives the samples by series and step, and the counts.
func run(t *testing.T, r *rand.Rand, q *operators.Query, src operators.Source, steps int, scope *operators.Scope) []map[int]point {
	t.Helper()
	require.NoError(t, src.Bind(t.Context()))
	workers := make([]*operators.Worker, q.Workers)
	for i := range workers {
		workers[i] = &operators.Worker{ID: i, Poison: true}
	}
	out := make([]map[int]point, src.Schema().Len())
	for i := range out {
		out[i] = map[int]point{}
	}
	for from := 0; from < steps; {
		open := operators.StepRange{From: from, To: min(steps, from+1+r.IntN(steps))}
		scope.Open(open, from == 0)
		require.NoError(t, src.Open(open))
		require.NoError(t, src.Extend())
		var (
			mu   sync.Mutex
			wg   sync.WaitGroup
			next atomic.Int64
		)
		for _, w := range workers {
			wg.Go(func() {
				for m := int(next.Add(1)) - 1; m < src.Morsels(); m = int(next.Add(1)) - 1 {
					b, err := src.Read(w, m)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for row := range b.Rows {
						for k := range b.Steps {
							p := b.Pos(row, k)
							if b.Valid.Get(p) && b.HasHistogram(p) {
								t.Error("a float and a histogram at one position")
							}
							switch {
							case b.Valid.Get(p):
								out[b.First+row][b.From+k] = point{f: b.F[p]}
							case b.HasHistogram(p):
								out[b.First+row][b.From+k] = point{h: b.H[p].Copy()}
							}
						}
					}
					mu.Unlock()
					w.Release(b)
				}
			})
		}
		wg.Wait()
		from = open.To
	}
	src.Close()
	src.Close()
	return out
}

// layout is what is random about a scan.
type layout struct {
	q      *operators.Query
	grid   operators.Grid
	offset int64
	at     *int64
	scope  *operators.Scope
	steps  bool // statistics per step
	sel    *scan.Selector
}

func randomLayout(t *testing.T, r *rand.Rand, st *store, start, span int64) (l layout, done func()) {
	t.Helper()
	steps := 1 + r.IntN(70)
	l.q = &operators.Query{Workers: 1 + r.IntN(4), MorselRows: r.IntN(5), Lookback: 1 + r.Int64N(span/3)}
	l.grid = operators.Grid{Start: start + r.Int64N(span), Interval: 1 + r.Int64N(span/20+1), Steps: steps}
	l.offset = r.Int64N(span/2) - span/4
	if r.IntN(5) == 0 {
		at := start + r.Int64N(span)
		l.at = &at
	}
	l.steps = r.IntN(2) == 0
	l.scope = operators.NewScope(l.q.Workers, steps, l.steps)
	s, err := scan.Open(st, math.MinInt64, math.MaxInt64, r.IntN(2) == 0)
	require.NoError(t, err)
	l.sel = &scan.Selector{
		Storage:  s,
		Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "m")},
		Hints:    storage.SelectHints{Start: math.MinInt64, End: math.MaxInt64},
		Text:     "m",
		Uses:     []*scan.Use{{Scope: l.scope}},
	}
	return l, func() {
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		require.Zero(t, st.open.Load())
	}
}

// requireCounts compares the statistics with those wanted, of each step.
func (l layout) requireCounts(t *testing.T, total, read []int64, series int) {
	t.Helper()
	got := stats.NewQuerySamples(l.steps)
	got.InitStepTracking(l.grid.Start, l.grid.End(), l.grid.Interval)
	l.scope.MergeInto(got)
	sum := func(n []int64) (s int64) {
		for _, v := range n {
			s += v
		}
		return s
	}
	require.Equal(t, sum(total), got.TotalSamples)
	require.Equal(t, sum(read), got.SamplesRead)
	require.EqualValues(t, series, got.TotalSeries)
	if l.steps {
		require.Equal(t, total, got.TotalSamplesPerStep)
		require.Equal(t, read, got.SamplesReadPerStep)
	}
	_, consumed := l.q.Consumed()
	require.Equal(t, sum(read), consumed)
}
