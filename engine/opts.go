// Package engine is Stride's public face: a PromQL engine that takes the place of promql.Engine.
package engine

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/physicalplan"
)

// Opts configures an Engine. The zero value is usable.
type Opts struct {
	// EngineOpts are Prometheus' options, with these differences: MaxSamples and Timeout of 0 or
	// less are no limit; MaxSamples counts the samples that the query's operators and its result
	// hold, see docs/embedding.md; a nil NoStepSubqueryIntervalFn is one minute.
	promql.EngineOpts

	// Optimizers are the passes over the logical plan, in order. nil: logicalplan.DefaultOptimizers();
	// empty but not nil: none.
	Optimizers []logicalplan.Optimizer
	// SeparateSelectors leaves out optimizers by which one selector serves several functions: for storages that give other samples for
	// one function in the hints than for another.
	SeparateSelectors bool
	// Builders make the operators of logicalplan.Extension nodes.
	Builders []physicalplan.Builder
	// Workers is the most goroutines that evaluate one query, and one more than the most extra
	// goroutines that all queries of the engine use together. 0: GOMAXPROCS; 1 or less: a query
	// runs on its caller's goroutine alone.
	Workers int
	// MemoryBudget is the most bytes a query may hold; 0: no limit. One whose steps do not fit into it all at once runs
	// them in ranges, see docs/embedding.md; only one of which a single step does not fit fails.
	MemoryBudget int64
	// Limiter bounds what all queries together hold, of this engine and of others that have the same one; nil: no limit.
	Limiter *Limiter

	// PartialResponse makes engines that fail warnings, unless a query's options say otherwise. It is of use with NewDistributed.
	PartialResponse bool

	// BatchSeries and BatchSteps fix the shape of batches: the series in one, and the steps that are
	// evaluated at once. 0 leaves the choice to the engine, which does not cut the grid. Results do not depend on BatchSeries.
	// BatchSteps lowers the peak of samples held, which MaxSamples limits; each range decodes its samples anew, and a range
	// cannot know what comes after it: see docs/embedding.md for where that shows.
	BatchSeries, BatchSteps int
	// DisableChunkAccess reads all storages through sample iterators, also those that offer chunks.
	DisableChunkAccess bool
	// MaxExpressionDepth and MaxExpressionNodes limit what a query may be made of; 0:
	// logicalplan's defaults.
	MaxExpressionDepth, MaxExpressionNodes int
	// PoisonBatches overwrites batches as soon as they are free for reuse, so that a use after that shows as a wrong
	// result. It is for tests.
	PoisonBatches bool
}

const defaultLookback = 5 * time.Minute

// withDefaults fills in what was left out and says what cannot be mended.
func (o Opts) withDefaults() (Opts, error) {
	var errs []error
	if o.Logger == nil {
		o.Logger = promslog.NewNopLogger()
	}
	if o.Parser == nil {
		o.Parser = parser.NewParser(parser.Options{})
	}
	switch {
	case o.LookbackDelta == 0:
		o.LookbackDelta = defaultLookback
		o.Logger.Debug("Lookback delta is zero, setting to default value", "value", defaultLookback)
	case o.LookbackDelta < 0:
		errs = append(errs, errors.New("engine: LookbackDelta is negative; leave it 0 for the default of 5m or set a positive duration"))
	}
	if o.NoStepSubqueryIntervalFn == nil {
		o.NoStepSubqueryIntervalFn = func(int64) int64 { return time.Minute.Milliseconds() }
	}
	if o.Optimizers == nil {
		o.Optimizers = logicalplan.DefaultOptimizers()
	}
	if o.SeparateSelectors {
		o.Optimizers = slices.DeleteFunc(slices.Clone(o.Optimizers), func(p logicalplan.Optimizer) bool {
			switch p.(type) {
			case logicalplan.MergeSelectors, logicalplan.ShareSubexpressions:
				return true
			}
			return false
		})
	}
	for _, p := range o.Optimizers {
		if p == nil {
			errs = append(errs, errors.New("engine: Optimizers holds a nil optimizer; remove it"))
		}
	}
	for _, b := range o.Builders {
		if b == nil {
			errs = append(errs, errors.New("engine: Builders holds a nil builder; remove it"))
		}
	}
	switch {
	case o.Workers == 0:
		o.Workers = runtime.GOMAXPROCS(0)
	case o.Workers < 0:
		o.Workers = 1
	}
	return o, errors.Join(errs...)
}
