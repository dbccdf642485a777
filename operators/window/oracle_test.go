package window

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"runtime"
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

const testLookback = 5 * 60 * 1000

var testParser = parser.NewParser(parser.Options{EnableExperimentalFunctions: true})

// testSample is a sample of a test series as storage hands it out.
type testSample struct {
	t, st int64
	f     float64
	h     *histogram.FloatHistogram
}

func (s testSample) T() int64                      { return s.t }
func (s testSample) ST() int64                     { return s.st }
func (s testSample) F() float64                    { return s.f }
func (s testSample) H() *histogram.Histogram       { return nil }
func (s testSample) FH() *histogram.FloatHistogram { return s.h }
func (s testSample) Copy() chunks.Sample           { return s }
func (s testSample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// columns are the samples as a scan would hand them to a kernel.
func columns(series []testSample, withST bool) *operators.Samples {
	in := &operators.Samples{}
	for _, s := range series {
		if s.h != nil {
			in.HT = append(in.HT, s.t)
			in.H = append(in.H, s.h.Copy())
			in.HST = append(in.HST, s.st)
			continue
		}
		in.T = append(in.T, s.t)
		in.F = append(in.F, s.f)
		in.ST = append(in.ST, s.st)
	}
	if !withST {
		in.ST, in.HST = nil, nil
	}
	return in
}

// oneSeries is a series set of one series.
type oneSeries struct {
	series storage.Series
	done   bool
}

func (s *oneSeries) Next() bool {
	next := !s.done
	s.done = true
	return next
}
func (s *oneSeries) At() storage.Series                { return s.series }
func (s *oneSeries) Err() error                        { return nil }
func (s *oneSeries) Warnings() annotations.Annotations { return nil }

func queryable(metric labels.Labels, series []testSample) storage.Queryable {
	list := make(chunks.SampleSlice, len(series))
	for i, s := range series {
		list[i] = s
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
			return &oneSeries{series: &storage.SeriesEntry{
				Lset: metric,
				SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator {
					return storage.NewListSeriesIteratorWithCopy(list)
				},
			}}
		},
	}}
}

// oracle are the engines of Prometheus that answers are compared with, by the use of start timestamps.
var oracle = map[bool]*promql.Engine{false: newOracle(false, false), true: newOracle(true, false)}

func newOracle(st, types bool) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples:           math.MaxInt32,
		Timeout:              time.Minute,
		LookbackDelta:        testLookback * time.Millisecond,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		UseStartTimestamps:   st,

		EnableTypeAndUnitLabels: types,
		Parser:                  testParser,
	})
}

// answer is the result of a query over one series, by step.
type answer struct {
	f     map[int]float64
	h     map[int]*histogram.FloatHistogram
	err   string
	notes []string
}

func annotationTexts(a annotations.Annotations, query string) []string {
	w, i := a.AsStrings(query, 0, 0)
	all := append(w, i...)
	slices.Sort(all)
	return all
}

// ask evaluates a query with Prometheus.
func ask(t *testing.T, engine *promql.Engine, query string, g operators.Grid, q storage.Queryable) answer {
	t.Helper()
	qry, err := engine.NewRangeQuery(context.Background(), q, nil, query, time.UnixMilli(g.Start), time.UnixMilli(g.End()), time.Duration(g.Interval)*time.Millisecond)
	require.NoError(t, err, query)
	defer qry.Close()
	res := qry.Exec(context.Background())
	a := answer{f: map[int]float64{}, h: map[int]*histogram.FloatHistogram{}}
	if res.Err != nil {
		a.err = res.Err.Error()
		return a
	}
	a.notes = annotationTexts(res.Warnings, query)
	m, err := res.Matrix()
	require.NoError(t, err)
	require.LessOrEqual(t, len(m), 1)
	for _, s := range m {
		for _, p := range s.Floats {
			a.f[int((p.T-g.Start)/g.Interval)] = p.F
		}
		for _, p := range s.Histograms {
			a.h[int((p.T-g.Start)/g.Interval)] = p.H.Copy()
		}
	}
	return a
}

// evaluation is a query of the form f(x[range]), or a smoothed x, over one series.
type evaluation struct {
	app    Application
	pos    Positions
	in     *operators.Samples
	metric func() labels.Labels
}

func mustParse(t testing.TB, query string) parser.Expr {
	t.Helper()
	expr, err := testParser.ParseExpr(query)
	require.NoError(t, err)
	return expr
}

func newEvaluation(t testing.TB, query string, g operators.Grid, metric labels.Labels, series []testSample, st bool) *evaluation {
	t.Helper()
	expr := mustParse(t, query)
	e := &evaluation{
		app:    Application{Spec: Spec{Grid: g, Lookback: testLookback}, Query: &operators.Query{}},
		metric: func() labels.Labels { return metric },
	}
	var selector *parser.VectorSelector
	switch x := expr.(type) {
	case *parser.VectorSelector:
		selector = x
		e.app.Function = Smooth
		e.pos.First = x.PositionRange()
	case *parser.Call:
		f, ok := Lookup(x.Func.Name)
		require.True(t, ok, x.Func.Name)
		e.app.Function = f
		st = st && f.StartTimestamps
		e.pos.First = x.Args[0].PositionRange()
		e.pos.All = x.Args.PositionRange()
		if len(x.Args) > 1 {
			e.pos.Second = x.Args[1].PositionRange()
		}
		for _, arg := range x.Args {
			m, ok := arg.(*parser.MatrixSelector)
			if !ok {
				e.app.Params = append(e.app.Params, operand(t, arg, g))
				continue
			}
			selector = m.VectorSelector.(*parser.VectorSelector)
			e.app.Spec.Range = m.Range.Milliseconds()
		}
	default:
		require.Fail(t, "not a query for a kernel", query)
	}
	e.app.Spec.Offset = selector.OriginalOffset.Milliseconds()
	if selector.Timestamp != nil {
		e.app.Spec.Offset += g.Start - *selector.Timestamp
		e.app.Spec.Fixed = true
	}
	e.app.Spec.Anchored, e.app.Spec.Smoothed = selector.Anchored, selector.Smoothed
	e.in = columns(series, st)
	return e
}

// operand is a scalar argument: a number, or an expression over time that Prometheus evaluates.
func operand(t testing.TB, arg parser.Expr, g operators.Grid) *operators.Scalar {
	t.Helper()
	if n, ok := arg.(*parser.NumberLiteral); ok {
		return operators.ConstantScalar(n.Val)
	}
	qry, err := oracle[false].NewRangeQuery(context.Background(), queryable(labels.EmptyLabels(), nil), nil, arg.String(), time.UnixMilli(g.Start), time.UnixMilli(g.End()), time.Duration(g.Interval)*time.Millisecond)
	require.NoError(t, err)
	m, err := qry.Exec(context.Background()).Matrix()
	require.NoError(t, err)
	b := operators.NewBatch(0, 1, 0, g.Steps)
	for i, p := range m[0].Floats {
		b.SetFloat(i, p.F)
	}
	s := operators.FoldedScalar()
	s.Open(g.All())
	s.Fold(b, g.All())
	return s
}

// run evaluates all steps, cut into ranges at the given steps.
func (e *evaluation) run(t testing.TB, query string, cuts ...int) (a answer) {
	t.Helper()
	defer func() {
		// A layout that the histogram package trips over: Prometheus words it like this.
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			a = answer{err: fmt.Sprintf("unexpected error: %v", r)}
		default:
			panic(r)
		}
	}()
	a = answer{f: map[int]float64{}, h: map[int]*histogram.FloatHistogram{}}
	cuts = append(slices.Clone(cuts), e.app.Spec.Grid.Steps)
	slices.Sort(cuts)
	e.app.Query = &operators.Query{TypeAndUnitLabels: e.app.Query.TypeAndUnitLabels}
	w := e.app.NewEvaluator()
	from := 0
	for _, to := range cuts {
		if from == to {
			continue
		}
		b := operators.NewBatch(0, 1, from, to-from)
		if _, err := w.Eval(operators.StepRange{From: from, To: to}, e.in, e.metric, []Positions{e.pos}, b.Column(0)); err != nil {
			a.err = err.Error()
			return a
		}
		for p := range to - from {
			switch {
			case b.HasHistogram(p):
				require.False(t, b.Valid.Get(p))
				a.h[from+p] = b.H[p]
			case b.Has(p):
				a.f[from+p] = b.F[p]
			}
		}
		from = to
	}
	a.notes = annotationTexts(e.app.Query.Annotations(), query)
	return a
}

// sameFloat compares floats bit for bit, but for NaNs, or within a tolerance.
func sameFloat(want, got, tolerance float64) bool {
	switch {
	case math.IsNaN(want) || math.IsNaN(got):
		return math.IsNaN(want) && math.IsNaN(got)
	case math.Float64bits(want) == math.Float64bits(got):
		return true
	case math.IsInf(want, 0) || math.IsInf(got, 0):
		return false
	}
	return math.Abs(want-got) <= tolerance*max(math.Abs(want), math.Abs(got))
}

func sameAnswer(want, got answer, tolerance float64) error {
	if want.err != got.err {
		return fmt.Errorf("error: want %q, got %q", want.err, got.err)
	}
	if want.err != "" {
		return nil
	}
	for i, w := range want.f {
		if g, ok := got.f[i]; !ok || !sameFloat(w, g, tolerance) {
			return fmt.Errorf("step %d: want %v (%x), got %v (%x), %v", i, w, math.Float64bits(w), g, math.Float64bits(g), ok)
		}
	}
	for i, w := range want.h {
		if g, ok := got.h[i]; !ok || !w.Equals(g) || w.CounterResetHint != g.CounterResetHint {
			return fmt.Errorf("step %d: want %v (hint %d), got %v", i, w, w.CounterResetHint, g)
		}
	}
	if len(want.f) != len(got.f) || len(want.h) != len(got.h) {
		return fmt.Errorf("want %d floats and %d histograms, got %d and %d", len(want.f), len(want.h), len(got.f), len(got.h))
	}
	if !slices.Equal(want.notes, got.notes) {
		return fmt.Errorf("annotations: want %q, got %q", want.notes, got.notes)
	}
	return nil
}

// sliding are the functions whose results may depend on the windows before, within a tolerance.
var sliding = []string{"sum_over_time", "avg_over_time"}

// compare checks a kernel against Prometheus, for all steps at once and cut at random places.
func compare(rng *rand.Rand, t *testing.T, query, function string, g operators.Grid, metric labels.Labels, series []testSample, st bool) {
	t.Helper()
	var tolerance float64
	if g.Steps > 1 && slices.Contains(sliding, function) {
		tolerance = 1e-12
	}
	want := ask(t, oracle[st], query, g, queryable(metric, series))
	e := newEvaluation(t, query, g, metric, series, st)
	before := columns(series, true)
	for range 2 {
		var cuts []int
		for range rng.Intn(4) {
			cuts = append(cuts, rng.Intn(g.Steps))
		}
		if err := sameAnswer(want, e.run(t, query, cuts...), tolerance); err != nil {
			t.Fatalf("%s, grid %+v, cuts %v, start timestamps %v: %v\nseries %s", query, g, cuts, st, err, show(series))
		}
	}
	for i, h := range e.in.H {
		require.True(t, before.H[i].Equals(h) && before.H[i].CounterResetHint == h.CounterResetHint, "input histogram changed")
	}
}

func show(series []testSample) (s string) {
	for _, x := range series {
		if x.h != nil {
			s += fmt.Sprintf("%d(%d): %v hint %d schema %d\n", x.t, x.st, x.h, x.h.CounterResetHint, x.h.Schema)
		} else {
			s += fmt.Sprintf("%d(%d): %v\n", x.t, x.st, x.f)
		}
	}
	return s
}
