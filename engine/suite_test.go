package engine_test

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"

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
			promqltest.RunBuiltinTests(t, engine.New(o))
		})
	}
}

// suiteStorages are storages of other kinds than the suite's own, whose samples all lie in the
// open head chunks of one TSDB. They are read by chunks: the sample iterators of merged storages, with which
// Prometheus itself would read them, lose the reset hints of histograms that the suite asks for.
var suiteStorages = []struct {
	name  string
	open  func(testing.TB) storage.Storage
	leave string // file of the suite that the storage cannot answer
}{
	// XOR chunks have no room for start timestamps: Prometheus fails start_timestamps.test on them, too.
	{"encoding=xor", func(t testing.TB) storage.Storage { return teststorage.New(t) }, "testdata/start_timestamps.test"},
	{"flushed=block", func(t testing.TB) storage.Storage { return newFlushed(t, false) }, ""},
	{"flushed=block+head", func(t testing.TB) storage.Storage { return newFlushed(t, true) }, ""},
	{"compacted=head", newCompacted, ""},
	{"fanout", newFanout, ""},
}

func TestBuiltinSuiteStorages(t *testing.T) {
	for _, s := range suiteStorages {
		t.Run(s.name, func(t *testing.T) {
			o := suiteOpts()
			o.Workers = 2
			promqltest.RunBuiltinTestsWithStorage(suiteWithout{t, s.leave}, engine.New(o), s.open)
		})
	}
}

// suiteWithout runs all files of the suite but one.
type suiteWithout struct {
	*testing.T
	leave string
}

func (s suiteWithout) Run(name string, f func(*testing.T)) bool {
	if name == s.leave {
		return true
	}
	return s.T.Run(name, f)
}
