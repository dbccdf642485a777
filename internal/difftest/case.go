package difftest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"
)

// EngineFactory makes an engine with the given options.
type EngineFactory func(opts promql.EngineOpts) promql.QueryEngine

// Prometheus makes Prometheus' own engine, the reference.
func Prometheus(opts promql.EngineOpts) promql.QueryEngine { return promql.NewEngine(opts) }

// Variant is a set of engine options under which queries are compared.
type Variant struct {
	Name string
	Opts promql.EngineOpts
}

// Variants returns the engine options that change results: delayed name
// removal, type and unit labels, start timestamps and lookback.
func Variants() []Variant {
	base := promql.EngineOpts{
		MaxSamples:               50_000_000,
		Timeout:                  time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return minute },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnablePerStepStats:       true,
		Parser:                   Parser(),
	}
	with := func(name string, change func(*promql.EngineOpts)) Variant {
		opts := base
		change(&opts)
		return Variant{Name: name, Opts: opts}
	}
	return []Variant{
		with("plain", func(*promql.EngineOpts) {}),
		with("delayed names", func(o *promql.EngineOpts) { o.EnableDelayedNameRemoval = true }),
		with("start timestamps", func(o *promql.EngineOpts) { o.UseStartTimestamps = true }),
		with("acceptance", func(o *promql.EngineOpts) { o.EnableDelayedNameRemoval, o.UseStartTimestamps = true, true }),
		with("types and units", func(o *promql.EngineOpts) { o.EnableTypeAndUnitLabels = true }),
		with("short lookback", func(o *promql.EngineOpts) { o.LookbackDelta = 70 * time.Second }),
	}
}

// Parser returns a parser that accepts every feature of the language.
func Parser() parser.Parser { return parser.NewParser(promqltest.TestParserOpts) }

// Case is one query as it is run: on which data, with which options, when.
type Case struct {
	Seed    uint64
	Index   int
	Dataset *Dataset
	Variant Variant
	Query   string
	Times   Times
	// Lookback overrides the engine's lookback unless 0.
	Lookback time.Duration
	// PerStep asks for sample statistics per step.
	PerStep bool
}

// String returns what is needed to reproduce the case.
func (c Case) String() string {
	s := fmt.Sprintf("%s\n  data set %s (seed %d, case %d), options %q, %s", c.Query, c.Dataset.Name, c.Seed, c.Index, c.Variant.Name, c.Times)
	if c.Lookback > 0 {
		s += fmt.Sprintf(", lookback %s", c.Lookback)
	}
	return s
}

// Outcome is what an engine answered. Close it when it is compared: values
// may share memory with the query.
type Outcome struct {
	Value parser.Value
	// Err is the query's error; Rejected tells that it came from New*Query.
	Err      error
	Rejected bool
	// Panic is set if the engine panicked outside its own recovery.
	Panic string
	// Warnings and Infos are the annotations with positions, sorted.
	Warnings, Infos []string
	Samples         *stats.QuerySamples

	query promql.Query
}

// Close releases the query.
func (o *Outcome) Close() {
	if o.query != nil {
		o.query.Close()
	}
}

// Run evaluates the case on an engine. Close the outcome when it has been looked at.
func (c Case) Run(ctx context.Context, engine promql.QueryEngine, st storage.Queryable) (o *Outcome) {
	o = &Outcome{}
	defer func() {
		if p := recover(); p != nil {
			o.Panic = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	opts := promql.NewPrometheusQueryOpts(c.PerStep, c.Lookback, nil)
	start, end := timestamp.Time(c.Times.Start), timestamp.Time(c.Times.End)
	var err error
	if c.Times.Instant {
		o.query, err = engine.NewInstantQuery(ctx, st, opts, c.Query, start)
	} else {
		o.query, err = engine.NewRangeQuery(ctx, st, opts, c.Query, start, end, c.Times.interval())
	}
	if err != nil {
		o.query, o.Err, o.Rejected = nil, err, true
		return o
	}
	res := o.query.Exec(ctx)
	o.Value, o.Err = res.Value, res.Err
	o.annotate(c.Query, res.Warnings)
	if s := o.query.Stats(); s != nil {
		o.Samples = s.Samples
	}
	return o
}

func (o *Outcome) annotate(query string, a annotations.Annotations) {
	o.Warnings, o.Infos = a.AsStrings(query, 0, 0)
	slices.Sort(o.Warnings)
	slices.Sort(o.Infos)
}

// Empty says whether the outcome has no sample.
func (o *Outcome) Empty() bool {
	switch v := o.Value.(type) {
	case promql.Vector:
		return len(v) == 0
	case promql.Matrix:
		return len(v) == 0
	case nil:
		return true
	}
	return false
}

// errorClass names the type of error that the HTTP API maps to a status.
func errorClass(err error) string {
	var (
		canceled promql.ErrQueryCanceled
		timeout  promql.ErrQueryTimeout
		samples  promql.ErrTooManySamples
		stored   promql.ErrStorage
		parse    parser.ParseErrors
	)
	switch {
	case errors.As(err, &canceled):
		return "canceled"
	case errors.As(err, &timeout):
		return "timeout"
	case errors.As(err, &samples):
		return "too many samples"
	case errors.As(err, &stored):
		return "storage"
	case errors.As(err, &parse):
		return "parse"
	}
	return "other"
}
