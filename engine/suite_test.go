package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"

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

var _ = context.Background
var _ = fmt.Sprint
