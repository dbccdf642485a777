package logicalplan

import (
	"bufio"
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
)

// queries are expressions of all sorts: Prometheus' test language, its parser's tests, and our own.
func queries(t testing.TB) []string {
	t.Helper()
	all, err := promqltest.GetBuiltInExprs()
	require.NoError(t, err)
	all = slices.DeleteFunc(all, func(q string) bool {
		_, err := testParser.ParseExpr(q) // some are tests of parse errors
		return err != nil
	})
	require.NotEmpty(t, all)
	for _, q := range lines(t, "testdata/parser_queries.txt") {
		s, err := strconv.Unquote(q)
		require.NoError(t, err, q)
		all = append(all, s)
	}
	return append(all, lines(t, "testdata/queries.txt")...)
}

func lines(t testing.TB, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	var all []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if l := s.Text(); l != "" && !strings.HasPrefix(l, "#") {
			all = append(all, l)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// testTimes are start, end and interval of statements to build, ms.
var testTimes = [][3]int64{
	{600_000, 600_000, 0},
	{600_123, 600_123, 0},
	{600_000, 1_200_000, 15_000},
	{599_987, 1_200_001, 17_001},
	{600_000, 600_000, 10_000},
	{60_000, 120_000, 60_000},
	{-600_001, 120_000, 61_000},
}

func noStepInterval(rangeMillis int64) int64 { return 1_000 + rangeMillis/1_000 }

// selectRecorder is a storage with one series that remembers how it was asked.
type selectRecorder struct {
	storage.Querier
	selects []recordedSelect
}

type recordedSelect struct {
	matchers []*labels.Matcher
	hints    storage.SelectHints
}

func (r *selectRecorder) Select(_ context.Context, _ bool, h *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	s := recordedSelect{matchers: ms, hints: *h}
	s.hints.Grouping = slices.Clone(h.Grouping)
	r.selects = append(r.selects, s)
	var samples []chunks.Sample
	for ts := int64(-2_000_000); ts < 3_000_000; ts += 10_000 {
		samples = append(samples, sample(ts))
	}
	lset := labels.FromStrings(model.MetricNameLabel, "m", "instance", "i", "job", "j")
	return &oneSeries{SeriesSet: storage.EmptySeriesSet(), series: storage.NewListSeries(lset, samples)}
}

func (*selectRecorder) Close() error { return nil }

// oneSeries is a set with a single series.
type oneSeries struct {
	storage.SeriesSet
	series storage.Series
	read   bool
}

func (s *oneSeries) Next() bool {
	more := !s.read
	s.read = true
	return more
}

func (s *oneSeries) At() storage.Series { return s.series }

type sample int64

func (s sample) T() int64                    { return int64(s) }
func (sample) ST() int64                     { return 0 }
func (sample) F() float64                    { return 1 }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }

// TestBuildAgreesWithPrometheus lets Prometheus' engine run each query and compares what its
// evaluator worked out: the storage hints of all selectors, the offsets it wrote into the AST,
// and, by way of info(), which asks the storage late, the times inside of subqueries.
func TestBuildAgreesWithPrometheus(t *testing.T) {
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:               1e8,
		Timeout:                  time.Hour,
		LookbackDelta:            5 * time.Minute,
		NoStepSubqueryIntervalFn: noStepInterval,
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   testParser,
	})
	t.Cleanup(func() { require.NoError(t, engine.Close()) })

	refused, lateSelects := 0, 0
	for _, q := range queries(t) {
		for _, at := range testTimes {
			start, end, interval := time.UnixMilli(at[0]), time.UnixMilli(at[1]), time.Duration(at[2])*time.Millisecond
			rec := &selectRecorder{}
			db := storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return rec, nil })
			var query promql.Query
			var err error
			if interval == 0 {
				query, err = engine.NewInstantQuery(t.Context(), db, nil, q, start)
			} else {
				query, err = engine.NewRangeQuery(t.Context(), db, nil, q, start, end, interval)
			}
			if err != nil {
				continue // only range queries of strings and range vectors, and bad durations
			}
			stmt := query.Statement().(*parser.EvalStmt)
			before := stmt.String()
			if tooLong(stmt.Expr, 1) {
				query.Close()
				continue
			}
			plan, buildErr := Build(stmt, BuildOptions{NoStepSubqueryInterval: noStepInterval})
			require.Equal(t, before, stmt.String(), "Build must not change the statement")

			// Evaluation replaces subqueries in the AST, so look for what to compare first.
			var selectors []*parser.VectorSelector
			var inTimestamp []bool
			parser.Inspect(stmt.Expr, func(n parser.Node, path []parser.Node) error {
				if v, ok := n.(*parser.VectorSelector); ok {
					selectors = append(selectors, v)
					call, _ := last(path).(*parser.Call)
					inTimestamp = append(inTimestamp, call != nil && strings.HasSuffix(call.Func.Name, "timestamp"))
				}
				return nil
			})
			result := query.Exec(t.Context())
			if buildErr != nil {
				refused++
				require.Error(t, result.Err, "%s: refused with %s", q, buildErr)
				query.Close()
				continue
			}

			var got []*VectorSelector
			var infos []*Call
			walkInOrder(plan.Root, func(n Node) {
				switch n := n.(type) {
				case *VectorSelector:
					got = append(got, n)
				case *Call:
					if n.Info != nil {
						infos = append(infos, n)
					}
				}
			})
			require.Len(t, got, len(selectors), q)
			for i, v := range got {
				require.Equal(t, selectors[i].PosRange, v.PosRange, q)
				require.True(t, sameHints(rec.selects[i].hints, v.Hints), "%s %v: want %+v, got %+v", q, at, rec.selects[i].hints, v.Hints)
				require.Equal(t, rec.selects[i].matchers, v.Matchers, q)
				if result.Err == nil && !(inTimestamp[i] && interval > 0) {
					require.Equal(t, durationMillis(selectors[i].Offset), v.Offset, "%s %v: %s", q, at, plan)
				}
			}
			if result.Err == nil {
				// Without any series to enrich, info() asks for nothing.
				have := make([]storage.SelectHints, len(infos))
				for i := range infos {
					have[i] = infos[i].Info.Hints
				}
				for _, late := range rec.selects[len(got):] {
					lateSelects++
					require.Contains(t, have, late.hints, "%s %v: %s", q, at, plan)
				}
			}
			query.Close()
		}
	}
	require.Positive(t, lateSelects)
	require.Positive(t, refused, "the list has expressions on which Prometheus panics")
}

// tooLong tells whether subqueries would make Prometheus run for long.
func tooLong(e parser.Expr, steps int64) bool {
	if s, ok := e.(*parser.SubqueryExpr); ok {
		step := s.Step
		if step == 0 {
			step = time.Second
		}
		if steps *= int64((s.Range+20*time.Minute)/step) + 1; steps > 100_000 {
			return true
		}
	}
	children, err := astChildren(e)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(children, func(c parser.Expr) bool { return tooLong(c, steps) })
}

func last[T any](s []T) T {
	var zero T
	if len(s) == 0 {
		return zero
	}
	return s[len(s)-1]
}

// walkInOrder visits all nodes as parser.Inspect visits the AST.
func walkInOrder(n Node, f func(Node)) {
	f(n)
	for _, c := range n.Children() {
		walkInOrder(c, f)
	}
}
