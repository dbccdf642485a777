package aggregate

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/schema"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

const interval = 1000 // ms

// row is a series of the input, with a value, a histogram or nothing at each step.
type row struct {
	labels labels.Labels
	drop   bool
	f      []float64
	h      []*histogram.FloatHistogram
	has    []bool
}

func newRow(l labels.Labels, steps int) *row {
	return &row{labels: l, f: make([]float64, steps), h: make([]*histogram.FloatHistogram, steps), has: make([]bool, steps)}
}

func (r *row) set(i int, f float64, h *histogram.FloatHistogram) {
	r.f[i], r.h[i], r.has[i] = f, h, true
}

// storageOf offers rows as series, in their order, to Prometheus.
func storageOf(rows []*row) storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			s := &seriesSet{i: -1}
			for _, r := range rows {
				if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(r.labels.Get(m.Name)) }) {
					continue
				}
				series := promql.Series{Metric: r.labels}
				for i := range r.f {
					switch t := int64(i) * interval; {
					case !r.has[i]:
					case r.h[i] != nil:
						series.Histograms = append(series.Histograms, promql.HPoint{T: t, H: r.h[i].Copy()})
					default:
						series.Floats = append(series.Floats, promql.FPoint{T: t, F: r.f[i]})
					}
				}
				s.series = append(s.series, promql.NewStorageSeries(series))
			}
			return s
		},
	}}
}

type seriesSet struct {
	series []storage.Series
	i      int
}

func (s *seriesSet) Next() bool                        { s.i++; return s.i < len(s.series) }
func (s *seriesSet) At() storage.Series                { return s.series[s.i] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

var testParser = parser.NewParser(parser.Options{EnableExperimentalFunctions: true})

// prometheus answers a query over steps [0, steps).
func prometheus(t testing.TB, rows []*row, query string, steps int, delayed bool) *promql.Result {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: math.MaxInt32, Timeout: time.Minute, LookbackDelta: time.Millisecond, Parser: testParser,
		EnableDelayedNameRemoval: delayed,
	})
	var q promql.Query
	var err error
	if steps == 1 {
		q, err = engine.NewInstantQuery(context.Background(), storageOf(rows), nil, query, time.UnixMilli(0))
	} else {
		q, err = engine.NewRangeQuery(context.Background(), storageOf(rows), nil, query, time.UnixMilli(0), time.UnixMilli(int64(steps-1)*interval), interval*time.Millisecond)
	}
	require.NoError(t, err)
	defer q.Close()
	return q.Exec(context.Background())
}

// build makes the operator of an aggregation's AST over rows named by its selector.
func build(q *operators.Query, e *parser.AggregateExpr, in *operators.Schema, grid operators.Grid) (operators.Operator, *operators.Scalar) {
	grouping := slices.Clone(e.Grouping)
	slices.Sort(grouping)
	param := operators.FoldedScalar()
	if e.Param != nil {
		if n, ok := e.Param.(*parser.NumberLiteral); ok {
			param = operators.ConstantScalar(n.Val)
		}
	}
	switch e.Op {
	case parser.QUANTILE:
		return NewQuantile(q, in, param, grouping, e.Without, grid, e.Expr.PositionRange(), e.Param.PositionRange()), param
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		return NewPick(q, e.Op, in, param, grouping, e.Without, grid, e.PosRange, e.Param.PositionRange()), param
	case parser.COUNT_VALUES:
		return NewCountValues(q, in, e.Param.(*parser.StringLiteral).Val, grouping, e.Without, grid), nil
	default:
		return NewAccumulate(q, e.Op, in, grouping, e.Without, grid, e.Expr.PositionRange()), nil
	}
}

// shape is how the driver cuts a query.
type shape struct {
	ranges  []operators.StepRange
	rnd     *rand.Rand
	workers int
	growing bool // the input's schema grows between batches
}

func randomShape(rnd *rand.Rand, steps int) shape {
	s := shape{rnd: rnd, workers: 1 + rnd.Intn(3), growing: rnd.Intn(2) == 0}
	s.ranges = cut(rnd, steps, rnd.Intn(3))
	return s
}

// cut cuts [0, n) at up to k random places.
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

// drive runs an operator over rows and returns its output series in the order of its schema.
func drive(t testing.TB, q *operators.Query, op operators.Operator, in *operators.Schema, rows []*row, param []float64, steps int, s shape) ([]*row, error) {
	t.Helper()
	ctx := context.Background()
	defer op.Close()
	if err := op.Bind(ctx); err != nil {
		return nil, err
	}
	var out []*row
	for _, r := range s.ranges {
		if err := op.Open(r); err != nil {
			return nil, err
		}
		if param != nil {
			require.NoError(t, op.Extend())
			b := operators.NewBatch(0, 1, r.From, r.Len())
			for i := range r.Len() {
				b.SetFloat(i, param[r.From+i])
			}
			for _, seg := range cut(s.rnd, r.Len(), 2) {
				require.NoError(t, op.(operators.Sink).Fold(&operators.Worker{}, 1, b, seg))
			}
			if err := op.(operators.Sink).Finish(ctx, 1); err != nil {
				return nil, err
			}
		}
		if !s.growing {
			extend(t, op, in, rows, len(rows))
		}
		var batches []*operators.Batch
		for first := 0; first < len(rows); {
			n := 1 + s.rnd.Intn(min(7, len(rows)-first))
			batches = append(batches, batchOf(rows, first, n, r, len(batches), s.rnd.Intn(3) == 0))
			first += n
		}
		for len(batches) > 0 {
			n := 1 + s.rnd.Intn(len(batches))
			last := batches[n-1]
			extend(t, op, in, rows, last.First+last.Rows)
			if err := fold(op.(operators.Sink), batches[:n], r, s); err != nil {
				return nil, err
			}
			batches = batches[n:]
		}
		if err := op.(operators.Sink).Finish(ctx, 0); err != nil {
			return nil, err
		}
		src := op.(operators.Source)
		next := 0
		w := &operators.Worker{Poison: true}
		for m := range src.Morsels() {
			b, err := src.Read(w, m)
			require.NoError(t, err)
			require.Equal(t, next, b.First)
			require.Equal(t, r.From, b.From)
			require.Equal(t, r.Len(), b.Steps)
			next += b.Rows
			for i := range b.Rows {
				for len(out) <= b.First+i {
					out = append(out, newRow(labels.EmptyLabels(), steps))
				}
				for k := range b.Steps {
					p := b.Pos(i, k)
					require.False(t, b.Valid.Get(p) && b.HasHistogram(p))
					if b.HasHistogram(p) {
						out[b.First+i].set(r.From+k, 0, b.H[p])
					} else if b.Valid.Get(p) {
						out[b.First+i].set(r.From+k, b.F[p], nil)
					}
				}
			}
			w.Release(b)
		}
		require.Equal(t, op.Schema().Len(), next)
	}
	for i, r := range out {
		r.labels, r.drop = op.Schema().Labels(i), op.Schema().DropName(i)
	}
	op.Close()
	require.NoError(t, q.Grow(0))
	q.MemoryBudget, q.MaxSamples = 1, 1
	require.NoError(t, q.Grow(1), "bytes were not given back")
	require.NoError(t, q.Hold(1), "samples were not given back")
	return out, nil
}

func extend(t testing.TB, op operators.Operator, in *operators.Schema, rows []*row, n int) {
	for i := in.Len(); i < n; i++ {
		in.Append(rows[i].labels, rows[i].drop)
	}
	require.NoError(t, op.Extend())
}

func batchOf(rows []*row, first, n int, r operators.StepRange, morsel int, shared bool) *operators.Batch {
	b := operators.NewBatch(first, n, r.From, r.Len())
	b.Morsel, b.Shared = morsel, shared
	for i := range b.F {
		b.F[i] = 1e77 // undefined
	}
	for i := range n {
		for k := range r.Len() {
			src := rows[first+i]
			switch {
			case !src.has[r.From+k]:
			case src.h[r.From+k] != nil:
				b.SetHistogram(b.Pos(i, k), src.h[r.From+k])
			default:
				b.SetFloat(b.Pos(i, k), src.f[r.From+k])
			}
		}
	}
	return b
}

// fold folds batches in order, segments concurrently where the operator allows it.
func fold(op operators.Sink, batches []*operators.Batch, r operators.StepRange, s shape) error {
	segs := []operators.StepRange{{To: r.Len()}}
	if op.Takes(0) == operators.Fold {
		segs = cut(s.rnd, r.Len(), s.workers-1)
	}
	errs := make([]error, len(segs))
	var wg sync.WaitGroup
	for i, seg := range segs {
		wg.Go(func() {
			w := &operators.Worker{ID: i}
			for _, b := range batches {
				if errs[i] = op.Fold(w, 0, b, seg); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	w := &operators.Worker{Poison: true}
	for _, b := range batches {
		w.Release(b)
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// check runs an aggregation of m over rows in some shapes and compares with Prometheus.
func check(t *testing.T, rnd *rand.Rand, rows []*row, param []float64, query string, steps int) {
	t.Helper()
	all := rows
	if param != nil {
		p := newRow(labels.FromStrings("__name__", "p"), steps)
		for i, v := range param {
			p.set(i, v, nil)
		}
		all = append(slices.Clone(rows), p)
	}
	delayed := rnd.Intn(2) == 0 || slices.ContainsFunc(rows, func(r *row) bool { return r.drop })
	want := prometheus(t, all, query, steps, delayed)
	expr, err := testParser.ParseExpr(query)
	require.NoError(t, err)
	e := expr.(*parser.AggregateExpr)

	for n := range 2 {
		s := randomShape(rnd, steps)
		if param != nil || want.Err != nil {
			s.ranges = []operators.StepRange{{To: steps}}
		}
		q := &operators.Query{Workers: 3, MorselRows: rnd.Intn(4)}
		in := operators.NewSchema()
		grid := operators.Grid{Interval: interval, Steps: steps}
		op, _ := build(q, e, in, grid)
		got, err := drive(t, q, op, in, rows, param, steps, s)
		if want.Err != nil {
			require.EqualError(t, err, want.Err.Error())
			continue
		}
		require.NoError(t, err)
		ordered := steps == 1 && e.Op != parser.COUNT_VALUES
		require.Equal(t, textOf(t, want.Value, ordered), text(got, ordered), "%s, run %d, %+v", query, n, s.ranges)
		require.Equal(t, strs(want.Warnings, query), strs(q.Annotations(), query), query)
		require.True(t, op.Schema().Complete())
	}
}

func strs(a annotations.Annotations, query string) []string {
	w, i := a.AsStrings(query, 0, 0)
	out := append(w, i...)
	sort.Strings(out)
	return out
}

// point is a sample that differs from others of other bits, all NaN being one.
func point(step int, f float64, h *histogram.FloatHistogram) string {
	if h != nil {
		return fmt.Sprintf("%d:%s hint %d", step, h.TestExpression(), h.CounterResetHint)
	}
	if math.IsNaN(f) {
		return fmt.Sprintf("%d:NaN", step)
	}
	return fmt.Sprintf("%d:%x %g", step, math.Float64bits(f), f)
}

func text(rows []*row, ordered bool) []string {
	out := []string{}
	byLabels := map[string][]string{}
	for _, r := range rows {
		l := r.labels
		if r.drop {
			l = l.DropReserved(schema.IsMetadataLabel)
		}
		var points []string
		for i := range r.f {
			if r.has[i] {
				points = append(points, point(i, r.f[i], r.h[i]))
			}
		}
		if len(points) == 0 {
			continue
		}
		if ordered {
			out = append(out, l.String()+" "+strings.Join(points, " "))
		} else {
			byLabels[l.String()] = append(byLabels[l.String()], points...)
		}
	}
	for l, points := range byLabels {
		sort.Strings(points)
		out = append(out, l+" "+strings.Join(points, " "))
	}
	if !ordered {
		sort.Strings(out)
	}
	return out
}

func textOf(t testing.TB, v parser.Value, ordered bool) []string {
	var rows []*row
	steps := 1
	switch v := v.(type) {
	case promql.Vector:
		for _, s := range v {
			r := newRow(s.Metric, 1)
			r.set(0, s.F, s.H)
			rows = append(rows, r)
		}
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				steps = max(steps, int(p.T/interval)+1)
			}
			for _, p := range s.Histograms {
				steps = max(steps, int(p.T/interval)+1)
			}
		}
		for _, s := range v {
			r := newRow(s.Metric, steps)
			for _, p := range s.Floats {
				r.set(int(p.T/interval), p.F, nil)
			}
			for _, p := range s.Histograms {
				r.set(int(p.T/interval), 0, p.H)
			}
			rows = append(rows, r)
		}
	default:
		t.Fatalf("unexpected %T", v)
	}
	return text(rows, ordered)
}
