package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/engine"
)

// engineFlags are the flags of the engine, named as those of Prometheus where it has them.
type engineFlags struct {
	maxSamples   int
	timeout      model.Duration
	timeoutSet   bool
	lookback     model.Duration
	lookbackSet  bool
	memoryBudget units.Base2Bytes
	workers      int
	features     []string
}

func (f *engineFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("query.max-samples", "Most samples that a query may hold in memory; 0: no limit.").
		Default("50000000").IntVar(&f.maxSamples)
	cmd.Flag("query.timeout", "Longest time that a query may take; 0s: no limit.").
		Default("2m").IsSetByUser(&f.timeoutSet).SetValue(&f.timeout)
	cmd.Flag("query.lookback-delta", "How old a sample may be to count for an instant.").
		Default("5m").IsSetByUser(&f.lookbackSet).SetValue(&f.lookback)
	cmd.Flag("query.memory-budget", "Most memory for a query's columns, such as 512MB; 0: no limit.").
		Default("0").BytesVar(&f.memoryBudget)
	cmd.Flag("workers", "Most goroutines that evaluate a query; 0: as many as there are CPUs.").
		Default("0").IntVar(&f.workers)
	cmd.Flag("enable-feature", "Comma separated names of features to enable: "+strings.Join(featureNames(), ", ")+".").
		PlaceHolder("FEATURE").StringsVar(&f.features)
}

// features are the feature flags of Prometheus that concern queries. Those without a function are always on.
var features = map[string]func(*engine.Opts, *parser.Options){
	"promql-experimental-functions":   func(_ *engine.Opts, p *parser.Options) { p.EnableExperimentalFunctions = true },
	"promql-binop-fill-modifiers":     func(_ *engine.Opts, p *parser.Options) { p.EnableBinopFillModifiers = true },
	"promql-unquoted-utf8-names":      func(_ *engine.Opts, p *parser.Options) { p.EnableUnquotedUTF8Names = true },
	"promql-per-step-stats":           func(o *engine.Opts, _ *parser.Options) { o.EnablePerStepStats = true },
	"promql-delayed-name-removal":     func(o *engine.Opts, _ *parser.Options) { o.EnableDelayedNameRemoval = true },
	"type-and-unit-labels":            func(o *engine.Opts, _ *parser.Options) { o.EnableTypeAndUnitLabels = true },
	"use-start-timestamps":            func(o *engine.Opts, _ *parser.Options) { o.UseStartTimestamps = true },
	"promql-at-modifier":              nil,
	"promql-negative-offset":          nil,
	"promql-duration-expr":            nil,
	"promql-extended-range-selectors": nil,
}

// featureNames are the features that make a difference.
func featureNames() []string {
	var names []string
	for name, enable := range features {
		if enable != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// options returns the options of the engine and of the parser that it uses.
func (f *engineFlags) options() (engine.Opts, parser.Options, error) {
	o := engine.Opts{
		EngineOpts: promql.EngineOpts{
			MaxSamples:           f.maxSamples,
			Timeout:              time.Duration(f.timeout),
			LookbackDelta:        time.Duration(f.lookback),
			EnableAtModifier:     true,
			EnableNegativeOffset: true,
		},
		Workers:      f.workers,
		MemoryBudget: int64(f.memoryBudget),
	}
	var p parser.Options
	for _, name := range f.features {
		for name := range strings.SplitSeq(name, ",") {
			enable, ok := features[name]
			if !ok {
				return o, p, withCode(exitUsage, fmt.Errorf("--enable-feature %q: must be one of %s", name, strings.Join(featureNames(), ", ")))
			}
			if enable != nil {
				enable(&o, &p)
			}
		}
	}
	if min(f.maxSamples, f.workers) < 0 || f.memoryBudget < 0 {
		return o, p, withCode(exitUsage, errors.New("--query.max-samples, --query.memory-budget and --workers must not be negative"))
	}
	o.Parser = parser.NewParser(p)
	return o, p, nil
}
