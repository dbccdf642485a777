package function

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/operatortest"
)

const (
	lookback = 90_000
	samples  = 24
	every    = 60_000
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a storage of random samples and Prometheus' engines over it, without and with delayed name removal.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	storage *teststorage.TestStorage
	engines [2]*promql.Engine
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), storage: teststorage.New(t)}
	t.Cleanup(func() { _ = w.storage.Close() })
	for i := range w.engines {
		w.engines[i] = promql.NewEngine(promql.EngineOpts{
			MaxSamples:               1e7,
			Timeout:                  time.Minute,
			LookbackDelta:            lookback * time.Millisecond,
			EnableAtModifier:         true,
			EnableNegativeOffset:     true,
			EnableDelayedNameRemoval: i == 1,
			Parser:                   operatortest.Parser,
			NoStepSubqueryIntervalFn: func(int64) int64 { return every },
		})
		t.Cleanup(func() { _ = w.engines[i].Close() })
	}
	return w
}

// add appends a series; sample says what stands at sample i: nil, a float64 or a histogram.
func (w *world) add(sample func(i int) any, l ...string) {
	w.t.Helper()
	app := w.storage.Appender(context.Background())
	for i := range samples {
		var err error
		ts := int64(i) * every
		switch v := sample(i).(type) {
		case float64:
			_, err = app.Append(0, labels.FromStrings(l...), ts, v)
		case int:
			_, err = app.Append(0, labels.FromStrings(l...), ts, float64(v))
		case *histogram.FloatHistogram:
			_, err = app.AppendHistogram(0, labels.FromStrings(l...), ts, nil, v)
		}
		require.NoError(w.t, err)
	}
	require.NoError(w.t, app.Commit())
}

// hole is nil with a probability of one in n, else v.
func (w *world) hole(n int, v any) any {
	if w.rnd.IntN(n) == 0 {
		return nil
	}
	return v
}

func (w *world) anyFloat(int) any {
	special := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 1, -1, 2.5, -2.5, 0.5, 1e300, -1e-300, 1e18}
	switch w.rnd.IntN(5) {
	case 0:
		return w.hole(2, special[w.rnd.IntN(len(special))])
	case 1:
		return nil
	default:
		return (w.rnd.Float64() - 0.5) * math.Pow(10, float64(w.rnd.IntN(5)))
	}
}

func (w *world) anyHistogram(int) any {
	var h *histogram.FloatHistogram
	switch w.rnd.IntN(6) {
	case 0:
		return nil
	case 1:
		h = tsdbutil.GenerateTestCustomBucketsFloatHistogram(w.rnd.Int64N(6))
	case 2:
		h = tsdbutil.GenerateTestFloatHistogram(w.rnd.Int64N(6))
		h.NegativeSpans, h.NegativeBuckets = nil, nil
	case 3:
		h = tsdbutil.GenerateTestFloatHistogram(w.rnd.Int64N(6))
		h.Count += 3 // observations of NaN
		h.Sum = math.NaN()
	default:
		h = tsdbutil.GenerateTestFloatHistogram(w.rnd.Int64N(6))
	}
	h.CounterResetHint = histogram.GaugeType
	return h
}

func (w *world) anyMix(i int) any {
	if w.rnd.IntN(2) == 0 {
		return w.anyFloat(i)
	}
	return w.anyHistogram(i)
}

// gauges adds random series of floats, histograms and both.
func (w *world) gauges() {
	for i := range 7 {
		w.add(w.anyFloat, "__name__", "g", "i", fmt.Sprint(i%4), "j", fmt.Sprint(i/4), "zone", fmt.Sprintf("z%d", w.rnd.IntN(12)))
	}
	w.add(w.anyFloat, "__name__", "g2", "i", "0", "j", "0", "__type__", "gauge", "__unit__", "s")
	for i := range 3 {
		w.add(w.anyMix, "__name__", "mixed", "i", fmt.Sprint(i))
		w.add(w.anyHistogram, "__name__", "native", "i", fmt.Sprint(i))
	}
	w.add(func(i int) any { return w.hole(6, i) }, "__name__", "single", "i", "0")
	w.add(func(int) any { return w.hole(4, w.rnd.Float64()) }, "__name__", "unit", "i", "0")
}

// evaluation is when a query is evaluated; interval 0 is an instant query.
type evaluation struct{ start, end, interval int64 }

func (e evaluation) grid() operators.Grid { return operators.NewGrid(e.start, e.end, e.interval) }

// ranged says that start and end differ, which is what Prometheus looks at.
func (e evaluation) ranged() bool { return e.start != e.end }

func (w *world) evaluations() []evaluation {
	at := w.rnd.Int64N(samples * every)
	start := w.rnd.Int64N(samples * every / 2)
	return []evaluation{
		{at, at, 0},
		{start, start, 30_000},
		{start, start + 20_000, 30_000},
		{start, start + 7*55_000, 55_000},
		{start, samples * every, 17_000},
	}
}

// oracle evaluates a query as Prometheus does.
func (w *world) oracle(query string, e evaluation, delayed int) operatortest.Result {
	w.t.Helper()
	var (
		q   promql.Query
		err error
	)
	start, end := time.UnixMilli(e.start), time.UnixMilli(e.end)
	if e.interval == 0 {
		q, err = w.engines[delayed].NewInstantQuery(context.Background(), w.storage, nil, query, start)
	} else {
		q, err = w.engines[delayed].NewRangeQuery(context.Background(), w.storage, nil, query, start, end, time.Duration(e.interval)*time.Millisecond)
	}
	require.NoError(w.t, err)
	defer q.Close()
	res := q.Exec(context.Background())
	return operatortest.Result{Series: operatortest.Values(res.Value, e.grid()), Annotations: res.Warnings, Err: res.Err}
}

// Prometheus counts the samples of this annotation wrongly in range queries: it merges its annotations of the
// steps so far into themselves at each step.
var overSamples = regexp.MustCompile(`over -?\d+ samples`)

// ours evaluates a call with this package's operator; its arguments are evaluated by Prometheus.
func (w *world) ours(query string, e evaluation, delayed int) operatortest.Result {
	w.t.Helper()
	expr, err := operatortest.Parser.ParseExpr(query)
	require.NoError(w.t, err)
	c := call{t: w.t, grid: e.grid(), storage: w.storage, e: e}
	var (
		inputs []operatortest.Input
		args   parser.Expressions
	)
	switch x := expr.(type) {
	case *parser.Call:
		c.name, args = x.Func.Name, x.Args
	case *parser.UnaryExpr:
		c.name, args = "-", parser.Expressions{x.Expr}
	}
	c.pos = expr.PositionRange()
	for i, a := range args {
		c.positions = append(c.positions, a.PositionRange())
		switch {
		case c.name == "info" && i == 1:
			c.matchers = a.(*parser.VectorSelector).LabelMatchers
		case a.Type() == parser.ValueTypeString:
			c.strings = append(c.strings, a.(*parser.StringLiteral).Val)
		case a.Type() == parser.ValueTypeScalar:
			if n, ok := a.(*parser.NumberLiteral); ok && w.rnd.IntN(3) > 0 {
				c.scalars = append(c.scalars, func() *operators.Scalar { return operators.ConstantScalar(n.Val) })
				continue
			}
			c.scalars = append(c.scalars, operators.FoldedScalar)
			inputs = append(inputs, operatortest.Input{Series: w.oracle(a.String(), e, delayed).Series, Scalar: true})
		default:
			arg := a.String()
			if c.name == "absent_over_time" {
				arg = fmt.Sprintf("present_over_time(%s)", arg)
			}
			c.selector, _ = a.(*parser.VectorSelector)
			if m, ok := a.(*parser.MatrixSelector); ok {
				c.selector = m.VectorSelector.(*parser.VectorSelector)
			}
			c.hasVector, c.vector = true, len(inputs)
			inputs = append(inputs, operatortest.Input{Series: w.oracle(arg, e, delayed).Series})
		}
	}
	out := operatortest.Run(w.t, c.operator, operatortest.Options{
		Steps: c.grid.Steps, Seed: w.rnd.Uint64(), Shapes: 1,
		Setup: func(q *operators.Query) { q.Lookback, q.DelayedNameRemoval = lookback, delayed == 1 },
	}, inputs...)
	switch {
	case out.Err != nil:
	case delayed == 1:
		out.Series, out.Err = operatortest.DropNames(out.Series)
	default:
		out.Series, out.Err = operatortest.Merge(out.Series)
	}
	return out
}

// call is a call of a function as its operator's constructor needs it.
type call struct {
	t         *testing.T
	storage   storage.Queryable
	e         evaluation
	grid      operators.Grid
	name      string
	pos       posrange.PositionRange
	positions []posrange.PositionRange // of the arguments
	strings   []string
	scalars   []func() *operators.Scalar
	hasVector bool
	vector    int // its input
	selector  *parser.VectorSelector
	matchers  []*labels.Matcher
}

func (c call) operator(q *operators.Query, inputs []*operators.Schema) operators.Operator {
	var in *operators.Schema
	if c.hasVector {
		in = inputs[c.vector]
	}
	var scalars []*operators.Scalar
	for _, s := range c.scalars {
		scalars = append(scalars, s())
	}

	switch c.name {
	case "-":
		return NewNegate(q, in)
	case "time":
		return NewTime(q, c.grid)
	case "pi":
		return NewPi(q)
	case "max_of":
		return NewMaxOf(q, scalars[0], scalars[1])
	case "min_of":
		return NewMinOf(q, scalars[0], scalars[1])
	case "vector":
		return NewVector(q, scalars[0])
	case "scalar":
		return NewScalar(q)
	case "absent", "absent_over_time":
		var l labels.Labels
		if c.selector != nil {
			l = AbsentLabels(c.selector.LabelMatchers)
		}
		return NewAbsent(c.name, l, c.name == "absent_over_time")
	case "timestamp":
		return NewTimestamp(q, in, c.grid)
	case "start_timestamp":
		return NewStartTimestamp(q, in)
	case "label_replace":
		return NewLabelReplace(q, in, c.strings[0], c.strings[1], c.strings[2], c.strings[3])
	case "label_join":
		return NewLabelJoin(q, in, c.strings[0], c.strings[1], c.strings[2:])
	case "sort", "sort_desc":
		return NewSort(q, in, SortConfig{Desc: c.name == "sort_desc", Pos: c.pos}, c.e.ranged())
	case "sort_by_label", "sort_by_label_desc":
		return NewSort(q, in, SortConfig{Labels: true, By: c.strings, Desc: c.name == "sort_by_label_desc", Pos: c.pos}, c.e.ranged())
	case "histogram_quantile":
		return NewHistogramQuantile(q, in, scalars[0], c.grid, c.positions[1], c.positions[0])
	case "histogram_quantiles":
		return NewHistogramQuantiles(q, in, c.strings[0], scalars, c.grid, c.positions[0], c.positions[2:])
	case "histogram_fraction":
		return NewHistogramFraction(q, in, scalars[0], scalars[1], c.grid, c.positions[2])
	case "info":
		config := InfoConfig{Matchers: c.matchers, Start: c.e.start, End: c.e.end, Interval: max(1, c.e.interval)}
		if c.selector != nil {
			config.At, config.Offset = c.selector.Timestamp, c.selector.OriginalOffset.Milliseconds()
		}
		return NewInfo(q, in, c.grid, config, storedInfo{c.t, c.storage})
	}
	if _, ok := dateParts[c.name]; ok {
		if !c.hasVector {
			op, err := NewDateOfStep(q, c.name, c.grid)
			require.NoError(c.t, err)
			return op
		}
		op, err := NewDate(q, c.name, in)
		require.NoError(c.t, err)
		return op
	}
	if _, ok := histogramFunctions[c.name]; ok {
		op, err := NewHistogram(q, c.name, in)
		require.NoError(c.t, err)
		return op
	}
	op, err := NewMath(q, c.name, in, scalars)
	require.NoError(c.t, err)
	return op
}

// compare holds this package's operator against Prometheus for each query, at random times. Unless ordered is set, the order
// of an instant vector does not matter.
func (w *world) compare(ordered bool, queries ...string) {
	w.t.Helper()
	for _, query := range queries {
		for _, e := range w.evaluations() {
			for delayed := range w.engines {
				what := fmt.Sprintf("%s %+v delayed=%d", query, e, delayed)
				want, got := w.oracle(query, e, delayed), w.ours(query, e, delayed)
				if want.Err != nil {
					require.EqualError(w.t, got.Err, want.Err.Error(), what)
					continue
				}
				require.NoError(w.t, got.Err, what)
				wantTexts, gotTexts := want.Strings(query), got.Strings(query)
				if e.ranged() {
					for _, texts := range [][]string{wantTexts, gotTexts} {
						for i, s := range texts {
							texts[i] = overSamples.ReplaceAllString(s, "over N samples")
						}
					}
				}
				require.Equal(w.t, wantTexts, gotTexts, what)
				require.NoError(w.t, operatortest.Equal(want.Series, got.Series, ordered && e.interval == 0), what)
			}
		}
	}
}
