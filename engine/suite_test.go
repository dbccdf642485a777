package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/logicalplan"
)

// suiteOpts are the settings that the built-in test suite requires.
func suiteOpts() engine.Opts {
	return engine.Opts{
		EngineOpts: promql.EngineOpts{
			MaxSamples:               promqltest.DefaultMaxSamplesPerQuery,
			Timeout:                  100 * time.Second,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
			EnableAtModifier:         true,
			EnableNegativeOffset:     true,
			EnableDelayedNameRemoval: true,
			UseStartTimestamps:       true,
			Parser:                   parser.NewParser(promqltest.TestParserOpts),
		},
		PoisonBatches: true,
	}
}

// suiteModes are the ways to run a query that must not make a difference.
var suiteModes = []struct {
	name string
	set  func(*engine.Opts)
}{
	{"workers=1", func(o *engine.Opts) { o.Workers = 1 }},
	{"workers=2", func(o *engine.Opts) { o.Workers = 2 }},
	{"workers=4", func(o *engine.Opts) { o.Workers = 4 }},
	{"batch=1x1", func(o *engine.Opts) { o.Workers, o.BatchSeries, o.BatchSteps = 2, 1, 1 }},
	{"batch=3x7", func(o *engine.Opts) { o.Workers, o.BatchSeries, o.BatchSteps = 2, 3, 7 }},
	{"batch=2xall", func(o *engine.Opts) { o.Workers, o.BatchSeries = 4, 2 }},
	{"optimizers=off", func(o *engine.Opts) { o.Workers, o.Optimizers = 2, []logicalplan.Optimizer{} }},
	{"chunk-access=off", func(o *engine.Opts) { o.Workers, o.DisableChunkAccess = 2, true }},
}

func TestBuiltinSuite(t *testing.T) {
	for _, m := range suiteModes {
		t.Run(m.name, func(t *testing.T) {
			o := suiteOpts()
			m.set(&o)
			runSuite(t, o, omission{}, nil)
		})
	}
}

// suiteStorages are storages of other kinds than the suite's own, whose samples all lie in the
// open head chunks of one TSDB. They are read by chunks: the sample iterators of merged storages, with which
// Prometheus itself would read them, lose the reset hints of histograms that the suite asks for.
var suiteStorages = []struct {
	name string
	open func(testing.TB) storage.Storage
	omit omission
}{
	{"encoding=xor", func(t testing.TB) storage.Storage { return teststorage.New(t) }, omission{
		file:    "testdata/start_timestamps.test",
		queries: 237,
		reason:  "XOR chunks have no room for start timestamps: Prometheus fails it on them, too",
	}},
	{"flushed=block", func(t testing.TB) storage.Storage { return newFlushed(t, false) }, omission{}},
	{"flushed=block+head", func(t testing.TB) storage.Storage { return newFlushed(t, true) }, omission{}},
	{"compacted=head", newCompacted, omission{}},
	{"fanout", newFanout, omission{}},
}

func TestBuiltinSuiteStorages(t *testing.T) {
	for _, s := range suiteStorages {
		t.Run(s.name, func(t *testing.T) {
			o := suiteOpts()
			o.Workers = 2
			runSuite(t, o, s.omit, s.open)
		})
	}
}

// suiteQueries is the number of queries that the suite makes of an engine, as of Prometheus v0.316.0.
const suiteQueries = 23_312

// omission is a file of the suite that a storage cannot answer.
type omission struct {
	file    string // empty: none
	queries int    // that the file makes
	reason  string
}

// runSuite runs the suite and sees to it that no query of it is silently left out. A nil open is
// the suite's own storage.
func runSuite(t *testing.T, o engine.Opts, omit omission, open func(testing.TB) storage.Storage) {
	runSuiteOn(t, engine.New(o), omit, open)
}

func runSuiteOn(t *testing.T, e promql.QueryEngine, omit omission, open func(testing.TB) storage.Storage) {
	files := &suiteWithout{T: t, omit: omit}
	eng := &countingEngine{QueryEngine: e}
	if open == nil {
		promqltest.RunBuiltinTests(files, eng)
	} else {
		promqltest.RunBuiltinTestsWithStorage(files, eng, open)
	}
	require.Equal(t, omit.file != "", files.omitted, "the suite has no file %q", omit.file)
	if files.filtered {
		t.Log("only some files were asked for with -run: queries are not counted")
		return
	}
	require.EqualValues(t, suiteQueries-omit.queries, eng.queries.Load(), "queries made of the engine")
}

// suiteWithout runs all files of the suite but one.
type suiteWithout struct {
	*testing.T
	omit     omission
	omitted  bool // the file was met
	filtered bool // go test's -run or -skip left a file out
}

func (s *suiteWithout) Run(name string, f func(*testing.T)) bool {
	if name == s.omit.file {
		s.omitted = true
		s.Logf("%s is left out: %s", name, s.omit.reason)
		return true
	}
	ran := false
	ok := s.T.Run(name, func(t *testing.T) {
		ran = true
		f(t)
	})
	s.filtered = s.filtered || !ran
	return ok
}

// countingEngine counts the queries that are asked of an engine, instant and range.
type countingEngine struct {
	promql.QueryEngine
	queries atomic.Int64
}

func (e *countingEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	e.queries.Add(1)
	return e.QueryEngine.NewInstantQuery(ctx, q, opts, qs, ts)
}

func (e *countingEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	e.queries.Add(1)
	return e.QueryEngine.NewRangeQuery(ctx, q, opts, qs, start, end, interval)
}
