package engine_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
	"github.com/stride-promql/stride/internal/difftest/smith"
)

var (
	differentialQueries = flag.Int("queries", 3000, "how many generated queries TestDifferential compares with Prometheus")
	differentialSeed    = flag.Uint64("seed", 1, "the seed of TestDifferential's queries and data")
	differentialFirst   = flag.Int("first", 0, "the number of TestDifferential's first query, to run a reported one again")
	differentialMax     = flag.Int("mismatches", 10, "after how many differences TestDifferential ends")
)

// candidate makes the engine under test. Odd batch shapes and several workers are where mistakes would hide.
func candidate(set func(*engine.Opts)) difftest.EngineFactory {
	return func(o promql.EngineOpts) promql.QueryEngine {
		opts := engine.Opts{EngineOpts: o, PoisonBatches: true}
		set(&opts)
		return engine.New(opts)
	}
}

// TestDifferential compares generated queries with Prometheus: values, labels, order, annotations, error texts and
// sample statistics.
func TestDifferential(t *testing.T) {
	report := difftest.Run(t, difftest.Config{
		Seed:          *differentialSeed,
		First:         *differentialFirst,
		Queries:       *differentialQueries,
		Candidate:     candidate(func(o *engine.Opts) { o.Workers = 2 }),
		Generators:    []difftest.Generator{difftest.Grammar(3), difftest.Grammar(4), smith.Generator(3)},
		Stats:         true,
		SelfChecks:    16,
		MaxMismatches: *differentialMax,
	})
	fmt.Println(report)
}

// FuzzQuery lets the fuzzer's bytes choose data, options, times and query.
func FuzzQuery(f *testing.F) {
	difftest.FuzzQuery(f, candidate(func(o *engine.Opts) { o.Workers = 2 }))
}
