package function

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

const (
	lookback = 90_000
	samples  = 24
	every    = 60_000
)

var testParser = parser.NewParser(parser.Options{EnableExperimentalFunctions: true})

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
			Parser:                   testParser,
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

// result is what a query gives.
type result struct {
	columns  []*column // without empty ones
	warnings []string
	err      error
}

// oracle evaluates a query as Prometheus does.
func (w *world) oracle(query string, e evaluation, delayed int) result {
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
	out := result{warnings: texts(res.Warnings, query), err: res.Err}
	grid := e.grid()
	switch v := res.Value.(type) {
	case promql.Scalar:
		c := newColumn(labels.EmptyLabels(), 1)
		c.f[0], c.hasF[0] = v.V, true
		out.columns = append(out.columns, c)
	case promql.Vector:
		for _, s := range v {
			c := newColumn(s.Metric, 1)
			if c.h[0] = s.H; s.H == nil {
				c.f[0], c.hasF[0] = s.F, true
			}
			out.columns = append(out.columns, c)
		}
	case promql.Matrix:
		for _, s := range v {
			c := newColumn(s.Metric, grid.Steps)
			for _, p := range s.Floats {
				i := (p.T - grid.Start) / grid.Interval
				c.f[i], c.hasF[i] = p.F, true
			}
			for _, p := range s.Histograms {
				c.h[(p.T-grid.Start)/grid.Interval] = p.H.Copy()
			}
			if !c.empty() {
				out.columns = append(out.columns, c)
			}
		}
	}
	return out
}

// Prometheus counts the samples of this annotation wrongly in range queries: it merges its annotations of the
// steps so far into themselves at each step.
var overSamples = regexp.MustCompile(`over -?\d+ samples`)

func texts(a annotations.Annotations, query string) []string {
	warnings, infos := a.AsStrings(query, 0, 0)
	out := append(warnings, infos...)
	slices.Sort(out)
	return out
}

// ours evaluates a call with this package's operator; its arguments are evaluated by Prometheus.
func (w *world) ours(query string, e evaluation, delayed int) result {
	w.t.Helper()
	expr, err := testParser.ParseExpr(query)
	require.NoError(w.t, err)
	grid := e.grid()
	q := &operators.Query{Workers: 2, Lookback: lookback, DelayedNameRemoval: delayed == 1}

	c := call{t: w.t, q: q, grid: grid, ranged: e.ranged(), storage: w.storage, e: e}
	var args parser.Expressions
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
				c.scalars = append(c.scalars, operators.ConstantScalar(n.Val))
				continue
			}
			c.scalars = append(c.scalars, operators.FoldedScalar())
			c.inputs = append(c.inputs, newOperand(w.oracle(a.String(), e, delayed).columns))
		default:
			arg := a.String()
			if c.name == "absent_over_time" {
				arg = fmt.Sprintf("present_over_time(%s)", arg)
			}
			columns := w.oracle(arg, e, delayed).columns
			// Series without samples are not there.
			for k := 0; k <= len(columns); k++ {
				if w.rnd.IntN(3) == 0 {
					l := labels.FromStrings("__name__", "nothing", "le", "x", "job", "a", "instance", fmt.Sprint(k))
					columns = slices.Insert(columns, k, newColumn(l, grid.Steps))
				}
			}
			c.selector, _ = a.(*parser.VectorSelector)
			if m, ok := a.(*parser.MatrixSelector); ok {
				c.selector = m.VectorSelector.(*parser.VectorSelector)
			}
			c.vector = newOperand(columns)
			c.inputs = append(c.inputs, c.vector)
		}
	}
	var out result
	op := c.operator()
	out.columns, out.err = drive(w.t, w.rnd, q, grid, op, c.inputs)
	out.warnings = texts(q.Annotations(), query)
	if out.err != nil {
		return out
	}
	out.columns = slices.DeleteFunc(out.columns, (*column).empty)
	for _, c := range out.columns {
		if delayed == 1 && c.dropName {
			c.labels = dropMetadata(c.labels)
		}
	}
	return merge(out, e)
}

// merge does what is not the operators' business: it joins columns with equal labels, or fails, and sorts the
// result of a range query.
func merge(r result, e evaluation) result {
	var merged []*column
	for _, c := range r.columns {
		i := slices.IndexFunc(merged, func(m *column) bool { return labels.Equal(m.labels, c.labels) })
		if i < 0 {
			merged = append(merged, c)
			continue
		}
		for k := range c.f {
			if !c.has(k) {
				continue
			}
			if merged[i].has(k) {
				r.columns, r.err = nil, errors.New("vector cannot contain metrics with the same labelset")
				return r
			}
			merged[i].f[k], merged[i].hasF[k], merged[i].h[k] = c.f[k], c.hasF[k], c.h[k]
		}
	}
	r.columns = merged
	if e.interval > 0 {
		sortColumns(r.columns)
	}
	return r
}

func sortColumns(columns []*column) {
	slices.SortFunc(columns, func(a, b *column) int { return labels.Compare(a.labels, b.labels) })
}

// call is a function call with its arguments evaluated.
type call struct {
	t         *testing.T
	q         *operators.Query
	name      string
	grid      operators.Grid
	e         evaluation
	ranged    bool
	pos       posrange.PositionRange
	positions []posrange.PositionRange
	storage   storage.Queryable
	strings   []string
	scalars   []*operators.Scalar
	vector    *operand
	selector  *parser.VectorSelector
	matchers  []*labels.Matcher
	inputs    []*operand
}

func (c call) operator() operators.Operator {
	switch c.name {
	case "-":
		return NewNegate(c.q, c.vector.schema)
	case "time":
		return NewTime(c.q, c.grid)
	case "pi":
		return NewPi(c.q)
	case "max_of":
		return NewMaxOf(c.q, c.scalars[0], c.scalars[1])
	case "min_of":
		return NewMinOf(c.q, c.scalars[0], c.scalars[1])
	case "vector":
		return NewVector(c.q, c.scalars[0])
	case "scalar":
		return NewScalar(c.q)
	case "absent", "absent_over_time":
		var l labels.Labels
		if c.selector != nil {
			l = AbsentLabels(c.selector.LabelMatchers)
		}
		return NewAbsent(c.name, l, c.name == "absent_over_time")
	case "timestamp":
		return NewTimestamp(c.q, c.vector.schema, c.grid)
	case "start_timestamp":
		return NewStartTimestamp(c.q, c.vector.schema)
	case "label_replace":
		return NewLabelReplace(c.q, c.vector.schema, c.strings[0], c.strings[1], c.strings[2], c.strings[3])
	case "label_join":
		return NewLabelJoin(c.q, c.vector.schema, c.strings[0], c.strings[1], c.strings[2:])
	case "sort", "sort_desc":
		return NewSort(c.q, c.vector.schema, SortConfig{Desc: c.name == "sort_desc", Pos: c.pos}, c.ranged)
	case "sort_by_label", "sort_by_label_desc":
		return NewSort(c.q, c.vector.schema, SortConfig{Labels: true, By: c.strings, Desc: c.name == "sort_by_label_desc", Pos: c.pos}, c.ranged)
	case "histogram_quantile":
		return NewHistogramQuantile(c.q, c.vector.schema, c.scalars[0], c.grid, c.positions[1], c.positions[0])
	case "histogram_quantiles":
		return NewHistogramQuantiles(c.q, c.vector.schema, c.strings[0], c.scalars, c.grid, c.positions[0], c.positions[2:])
	case "histogram_fraction":
		return NewHistogramFraction(c.q, c.vector.schema, c.scalars[0], c.scalars[1], c.grid, c.positions[2])
	case "info":
		config := InfoConfig{Matchers: c.matchers, Start: c.e.start, End: c.e.end, Interval: max(1, c.e.interval)}
		if c.selector != nil {
			config.At, config.Offset = c.selector.Timestamp, c.selector.OriginalOffset.Milliseconds()
		}
		return NewInfo(c.q, c.vector.schema, c.grid, config, storedInfo{c.t, c.storage})
	}
	if _, ok := dateParts[c.name]; ok {
		if c.vector == nil {
			op, err := NewDateOfStep(c.q, c.name, c.grid)
			require.NoError(c.t, err)
			return op
		}
		op, err := NewDate(c.q, c.name, c.vector.schema)
		require.NoError(c.t, err)
		return op
	}
	if _, ok := histogramFunctions[c.name]; ok {
		op, err := NewHistogram(c.q, c.name, c.vector.schema)
		require.NoError(c.t, err)
		return op
	}
	op, err := NewMath(c.q, c.name, c.vector.schema, c.scalars)
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
				if want.err != nil {
					require.EqualError(w.t, got.err, want.err.Error(), what)
					continue
				}
				require.NoError(w.t, got.err, what)
				if e.ranged() {
					for _, r := range []result{want, got} {
						for i, s := range r.warnings {
							r.warnings[i] = overSamples.ReplaceAllString(s, "over N samples")
						}
					}
				}
				require.Equal(w.t, want.warnings, got.warnings, what)
				if !ordered {
					sortColumns(want.columns)
					sortColumns(got.columns)
				}
				w.equal(want.columns, got.columns, what)
			}
		}
	}
}

func (w *world) equal(want, got []*column, what string) {
	w.t.Helper()
	names := func(columns []*column) (out []string) {
		for _, c := range columns {
			out = append(out, c.labels.String())
		}
		return out
	}
	require.Equal(w.t, names(want), names(got), what)
	for k := range want {
		a, b := want[k], got[k]
		for i := range a.f {
			at := fmt.Sprintf("%s %s step %d", what, a.labels, i)
			require.Equal(w.t, a.hasF[i], b.hasF[i], at)
			require.Equal(w.t, a.h[i] != nil, b.h[i] != nil, at)
			if a.hasF[i] && !(math.IsNaN(a.f[i]) && math.IsNaN(b.f[i])) {
				require.Equal(w.t, math.Float64bits(a.f[i]), math.Float64bits(b.f[i]), "%s: %v %v", at, a.f[i], b.f[i])
			}
			if a.h[i] != nil {
				require.True(w.t, a.h[i].Equals(b.h[i]) || a.h[i].String() == b.h[i].String(), "%s: %s %s", at, a.h[i], b.h[i])
			}
		}
	}
}
