package exchange

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

const interval = 1000 // ms

// row is a series; a step without a sample has neither a histogram nor a number.
type row struct {
	labels labels.Labels
	f      []float64 // NaN: no float
	h      []*histogram.FloatHistogram
}

func randomRows(rnd *rand.Rand, n, steps int) []*row {
	rows := make([]*row, n)
	for i := range rows {
		rows[i] = &row{
			labels: labels.FromStrings("__name__", "m"+strconv.Itoa(i%2), "g", strconv.Itoa(rnd.Intn(3)), "i", strconv.Itoa(i)),
			f:      make([]float64, steps), h: make([]*histogram.FloatHistogram, steps),
		}
		// Runs of steps, so that equal labels do not always meet.
		from, to := rnd.Intn(steps+1), rnd.Intn(steps+1)
		for k := range steps {
			rows[i].f[k] = math.NaN()
			switch {
			case k < from || k >= to:
			case rnd.Intn(4) == 0:
				rows[i].h[k] = &histogram.FloatHistogram{Count: float64(i), Sum: float64(k), ZeroCount: float64(i), ZeroThreshold: 0.001, CounterResetHint: histogram.GaugeType}
			default:
				rows[i].f[k] = rnd.NormFloat64()
			}
		}
	}
	return rows
}

type seriesSet struct {
	series []storage.Series
	i      int
}

func (s *seriesSet) Next() bool                        { s.i++; return s.i < len(s.series) }
func (s *seriesSet) At() storage.Series                { return s.series[s.i] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

func prometheus(t *testing.T, rows []*row, query string, steps int, delayed bool) *promql.Result {
	t.Helper()
	queryable := &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
			s := &seriesSet{i: -1}
			for _, r := range rows {
				series := promql.Series{Metric: r.labels}
				for i := range r.f {
					if t := int64(i) * interval; r.h[i] != nil {
						series.Histograms = append(series.Histograms, promql.HPoint{T: t, H: r.h[i]})
					} else if !math.IsNaN(r.f[i]) {
						series.Floats = append(series.Floats, promql.FPoint{T: t, F: r.f[i]})
					}
				}
				s.series = append(s.series, promql.NewStorageSeries(series))
			}
			return s
		},
	}}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: math.MaxInt32, Timeout: time.Minute, LookbackDelta: time.Millisecond, EnableDelayedNameRemoval: delayed})
	q, err := engine.NewRangeQuery(context.Background(), queryable, nil, query, time.UnixMilli(0), time.UnixMilli(int64(steps-1)*interval), interval*time.Millisecond)
	require.NoError(t, err)
	t.Cleanup(q.Close)
	return q.Exec(context.Background())
}

func cut(rnd *rand.Rand, n, k int) []operators.StepRange {
	at := []int{0, n}
	for range k {
		at = append(at, rnd.Intn(n+1))
	}
	sort.Ints(at)
	at = slices.Compact(at)
	var out []operators.StepRange
	for i := range len(at) - 1 {
		out = append(out, operators.StepRange{From: at[i], To: at[i+1]})
	}
	return out
}

func batchOf(rows []*row, first, n int, r operators.StepRange) *operators.Batch {
	b := operators.NewBatch(first, n, r.From, r.Len())
	for i := range n {
		for k := range r.Len() {
			if h := rows[first+i].h[r.From+k]; h != nil {
				b.SetHistogram(b.Pos(i, k), h)
			} else if f := rows[first+i].f[r.From+k]; !math.IsNaN(f) {
				b.SetFloat(b.Pos(i, k), f)
			}
		}
	}
	return b
}

type result map[string]map[int]string

func (m result) put(l labels.Labels, step int, f float64, h *histogram.FloatHistogram) bool {
	series := m[l.String()]
	if series == nil {
		series = map[int]string{}
		m[l.String()] = series
	}
	_, double := series[step]
	series[step] = fmt.Sprint(f, h)
	return !double
}

func (m result) batch(t *testing.T, s *operators.Schema, b *operators.Batch) {
	for i := range b.Rows {
		for k := range b.Steps {
			p := b.Pos(i, k)
			if b.HasHistogram(p) {
				require.True(t, m.put(s.Labels(b.First+i), b.From+k, 0, b.H[p]))
			} else if b.Valid.Get(p) {
				require.True(t, m.put(s.Labels(b.First+i), b.From+k, b.F[p], nil))
			}
		}
	}
}

func resultOf(m promql.Matrix) result {
	out := result{}
	for _, s := range m {
		for _, p := range s.Floats {
			out.put(s.Metric, int(p.T/interval), p.F, nil)
		}
		for _, p := range s.Histograms {
			out.put(s.Metric, int(p.T/interval), 0, p.H)
		}
	}
	return out
}

// drive runs a merge in whichever role it asks for.
func drive(t *testing.T, rnd *rand.Rand, q *operators.Query, m *Merge, in *operators.Schema, rows []*row, drop bool, ranges []operators.StepRange, complete bool) (result, error) {
	defer m.Close()
	got := result{}
	add := func(n int) {
		for i := in.Len(); i < n; i++ {
			in.Append(rows[i].labels, drop)
		}
		if complete {
			in.SetComplete()
		}
		require.NoError(t, m.Extend())
	}
	for _, r := range ranges {
		require.NoError(t, m.Open(r))
		if complete {
			add(len(rows))
			require.Equal(t, Collides(in, m.classes.dropReserved), m.Needed())
		}
		w := &operators.Worker{Poison: true}
		for first := 0; first < len(rows); {
			n := 1 + rnd.Intn(len(rows)-first)
			add(first + n)
			b := batchOf(rows, first, n, r)
			b.Shared = rnd.Intn(2) == 0
			if m.Needed() {
				require.Equal(t, operators.FoldRows, m.Takes(0))
				require.NoError(t, m.Fold(w, 0, b, operators.StepRange{To: r.Len()}))
			} else {
				require.Equal(t, operators.Stream, m.Takes(0))
				out, err := m.Process(w, b)
				require.NoError(t, err)
				require.Same(t, b, out)
				got.batch(t, m.Schema(), out)
			}
			w.Release(b)
			first += n
		}
		if !m.Needed() {
			continue
		}
		if err := m.Finish(context.Background(), 0); err != nil {
			return nil, err
		}
		next := 0
		for i := range m.Morsels() {
			b, err := m.Read(w, i)
			require.NoError(t, err)
			require.Equal(t, next, b.First)
			next += b.Rows
			got.batch(t, m.Schema(), b)
			w.Release(b)
		}
		require.Equal(t, m.Schema().Len(), next)
	}
	require.True(t, m.Schema().Complete())
	m.Close()
	q.MaxSamples, q.MemoryBudget = 1, 1
	require.NoError(t, q.Hold(1))
	require.NoError(t, q.Grow(1))
	return got, nil
}

func TestMerge(t *testing.T) {
	failed, merged := 0, 0
	for seed := range 150 {
		rnd := rand.New(rand.NewSource(int64(seed)))
		steps := []int{2, 5, 70, 130}[rnd.Intn(4)]
		rows := randomRows(rnd, 1+rnd.Intn(5), steps)
		delayed := seed%2 == 0
		// In one case metadata labels go at the end of the query, in the other a label goes in it.
		query := `label_replace({g!=""}, "i", "", "", "")`
		if delayed {
			query = `last_over_time({g!=""}[1ms]) * 1`
			for _, r := range rows {
				r.labels = labels.NewBuilder(r.labels).Del("i").Set("__name__", "m"+r.labels.Get("i")).Labels()
			}
		}
		want := prometheus(t, rows, query, steps, delayed)
		if !delayed {
			for _, r := range rows {
				r.labels = labels.NewBuilder(r.labels).Del("i").Labels()
			}
		}
		ranges := cut(rnd, steps, rnd.Intn(3))
		q := &operators.Query{Workers: 1, MorselRows: rnd.Intn(3)}
		in := operators.NewSchema()
		m := NewMerge(q, in, delayed, operators.Grid{Interval: interval, Steps: steps})
		got, err := drive(t, rnd, q, m, in, rows, delayed, ranges, rnd.Intn(2) == 0)
		if want.Err != nil {
			failed++
			require.EqualError(t, err, want.Err.Error())
			continue
		}
		require.NoError(t, err)
		if m.Schema().Len() < len(rows) {
			merged++
		}
		require.Equal(t, resultOf(want.Value.(promql.Matrix)), got)
	}
	require.Greater(t, failed, 10)
	require.Greater(t, merged, 10)
}

// DropName and the place in the output are those of samples, not of series without any.
func TestMergeSettlesDropNameBySteps(t *testing.T) {
	l := labels.FromStrings("a", "b")
	in := operators.ConstantSchema(l, labels.FromStrings("c", "d"), l, l)
	q := &operators.Query{}
	m := NewMerge(q, in, false, operators.Grid{Interval: interval, Steps: 3})
	defer m.Close()
	require.NoError(t, m.Open(operators.StepRange{To: 3}))
	require.NoError(t, m.Extend())
	in.SetDropName(3, true)
	require.True(t, m.Needed())
	b := operators.NewBatch(0, 4, 0, 3)
	b.SetFloat(b.Pos(1, 0), 1)
	b.SetFloat(b.Pos(2, 2), 2)
	b.SetFloat(b.Pos(3, 1), 3)
	require.NoError(t, m.Fold(&operators.Worker{}, 0, b, operators.StepRange{To: 3}))
	require.NoError(t, m.Finish(context.Background(), 0))
	require.Equal(t, 2, m.Schema().Len())
	require.Equal(t, `{c="d"}`, m.Schema().Labels(0).String())
	require.False(t, m.Schema().DropName(0))
	require.Equal(t, l, m.Schema().Labels(1))
	require.True(t, m.Schema().DropName(1))
}

func TestRepeat(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	rows := randomRows(rnd, 7, 1)
	in := operators.NewSchema()
	for _, r := range rows {
		in.Append(r.labels, false)
	}
	for _, r := range []operators.StepRange{{From: 0, To: 1}, {From: 3, To: 4}, {From: 0, To: 130}, {From: 7, To: 70}} {
		for _, shared := range []bool{false, true} {
			o := NewRepeat(in)
			require.NoError(t, o.Open(r))
			require.Equal(t, operators.StepRange{To: 1}, o.InputRange(0, r))
			b := batchOf(rows, 2, 4, operators.StepRange{To: 1})
			b.Morsel, b.Shared = 5, shared
			out, err := o.Process(&operators.Worker{}, b)
			require.NoError(t, err)
			require.Equal(t, []int{2, 4, r.From, r.Len(), 5}, []int{out.First, out.Rows, out.From, out.Steps, out.Morsel})
			if shared {
				require.NotSame(t, b, out)
				require.Zero(t, b.From)
			}
			for i := range 4 {
				for k := range r.Len() {
					p := out.Pos(i, k)
					h, f := rows[2+i].h[0], rows[2+i].f[0]
					require.Equal(t, h != nil, out.HasHistogram(p))
					require.Equal(t, !math.IsNaN(f), out.Valid.Get(p))
					if h != nil {
						require.Same(t, h, out.H[p])
					} else if !math.IsNaN(f) {
						require.Equal(t, f, out.F[p])
					}
				}
			}
			o.Close()
		}
	}
}
