package engine_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/stats"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/logicalplan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// baseOpts switches on everything that a query can use.
func baseOpts() engine.Opts {
	return engine.Opts{
		EngineOpts: promql.EngineOpts{
			EnableAtModifier:     true,
			EnableNegativeOffset: true,
			EnablePerStepStats:   true,
			Parser:               parser.NewParser(promqltest.TestParserOpts),
		},
		Workers:       2,
		PoisonBatches: true,
	}
}

// prometheusEngine is Prometheus' engine with the same options; what is no limit here is a large one there.
func prometheusEngine(t testing.TB, o engine.Opts) *promql.Engine {
	e := o.EngineOpts
	e.Reg, e.ActiveQueryTracker, e.FeatureRegistry = nil, nil, nil
	if e.MaxSamples <= 0 {
		e.MaxSamples = math.MaxInt32
	}
	if e.Timeout <= 0 {
		e.Timeout = time.Hour
	}
	if e.NoStepSubqueryIntervalFn == nil {
		e.NoStepSubqueryIntervalFn = func(int64) int64 { return time.Minute.Milliseconds() }
	}
	return promqltest.NewTestEngineWithOpts(t, e)
}

// shape is a way to run queries that must not show in their answers.
type shape struct {
	name string
	set  func(*engine.Opts)
}

var shapes = []shape{
	{"workers=1", func(o *engine.Opts) { o.Workers = 1 }},
	{"workers=2", func(o *engine.Opts) { o.Workers = 2 }},
	{"workers=4", func(o *engine.Opts) { o.Workers = 4 }},
	{"batch=1x1", func(o *engine.Opts) { o.BatchSeries, o.BatchSteps = 1, 1 }},
	{"batch=3x7", func(o *engine.Opts) { o.Workers, o.BatchSeries, o.BatchSteps = 4, 3, 7 }},
	{"batch=2xall", func(o *engine.Opts) { o.Workers, o.BatchSeries = 4, 2 }},
	{"optimizers=off", func(o *engine.Opts) { o.Optimizers = []logicalplan.Optimizer{} }},
	{"samples", func(o *engine.Opts) { o.DisableChunkAccess = true }},
}

// applied is o with the shape's settings.
func (s shape) applied(o engine.Opts) engine.Opts {
	s.set(&o)
	return o
}

// inShapes runs f as a subtest for every shape of o.
func inShapes(t *testing.T, o engine.Opts, f func(t *testing.T, o engine.Opts)) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) { f(t, s.applied(o)) })
	}
}

// times are those of a query in seconds; a step of 0 is an instant query at start.
type times struct{ start, end, step int64 }

func at(start int64) times { return times{start: start, end: start} }

func newQuery(ctx context.Context, e promql.QueryEngine, q storage.Queryable, opts promql.QueryOpts, expr string, tm times) (promql.Query, error) {
	if tm.step == 0 {
		return e.NewInstantQuery(ctx, q, opts, expr, time.Unix(tm.start, 0))
	}
	return e.NewRangeQuery(ctx, q, opts, expr, time.Unix(tm.start, 0), time.Unix(tm.end, 0), time.Duration(tm.step)*time.Second)
}

// execute runs a query that can be made.
func execute(t testing.TB, e promql.QueryEngine, q storage.Queryable, opts promql.QueryOpts, expr string, tm times) (*promql.Result, *stats.QuerySamples) {
	t.Helper()
	qry, err := newQuery(context.Background(), e, q, opts, expr, tm)
	require.NoError(t, err, expr)
	defer qry.Close()
	res := qry.Exec(context.Background())
	return res, qry.Stats().Samples
}

// answer is the value of a query that must not fail.
func answer(t testing.TB, e promql.QueryEngine, q storage.Queryable, expr string, tm times) parser.Value {
	t.Helper()
	res, _ := execute(t, e, q, nil, expr, tm)
	require.NoError(t, res.Err, expr)
	return res.Value
}

// texts are the annotations of a result as the HTTP API shows them, sorted: annotations have no order of their own.
func texts(res *promql.Result, expr string) (warnings, infos []string) {
	warnings, infos = res.Warnings.AsStrings(expr, 0, 0)
	slices.Sort(warnings)
	slices.Sort(infos)
	return warnings, infos
}
