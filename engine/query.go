package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/stride-promql/stride/logicalplan"
	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/operators/scan"
	"github.com/stride-promql/stride/physicalplan"
	"github.com/stride-promql/stride/remote"
)

// query implements promql.Query.
type query struct {
	engine    *Engine
	queryable storage.Queryable
	text      string
	instant   bool
	stmt      *parser.EvalStmt
	timers    *stats.QueryTimers
	samples   *stats.QuerySamples
	useST     bool

	engines []remote.RemoteEngine // of a distributed engine, once planned
	unsplit bool                  // sums and averages are not to be split
	partial bool                  // engines that fail become warnings

	// Of a part of another engine's query: its steps, how it came, and what takes the result.
	fragment *logicalplan.Fragment
	inner    bool // see RemoteOpts
	encoded  []byte
	emit     func(*remote.Columns) error

	limits   limits
	deadline time.Time // of construction and execution together, with query cost

	built *logicalplan.Plan // as written
	plan  *logicalplan.Plan // after the passes
	notes annotations.Annotations

	mu       sync.Mutex
	executed bool
	cancel   context.CancelFunc
	ran      *physicalplan.Plan // after Exec, for Analyze
	memory   *share             // of the engine's Limiter, once executed
}

// Statement implements promql.Query. The statement stays as it is during and after Exec.
func (q *query) Statement() parser.Statement { return q.stmt }

// String implements promql.Query.
func (q *query) String() string { return q.text }

// Stats implements promql.Query. It is final once Exec has returned.
func (q *query) Stats() *stats.Statistics {
	return &stats.Statistics{Timers: q.timers, Samples: q.samples}
}

// Cancel implements promql.Query. It has no effect unless Exec is running.
func (q *query) Cancel() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cancel != nil {
		q.cancel()
	}
}

// Close implements promql.Query. Results share no memory with the engine, and stay valid; they count no longer for the
// engine's Limiter.
func (q *query) Close() {
	q.mu.Lock()
	memory := q.memory
	q.mu.Unlock()
	if memory != nil {
		memory.close()
	}
}

// prepare parses the query and plans it.
func (q *query) prepare() (err error) {
	e := q.engine
	defer func() { q.logPanic(err) }()
	defer operators.Recover(&err) // of optimizers
	if err := checkNesting(q.text, e.opts.MaxExpressionDepth); err != nil {
		return err
	}
	expr, err := e.opts.Parser.ParseExpr(q.text)
	if err != nil {
		return err
	}
	if err := e.checkModifiers(expr); err != nil {
		return err
	}
	if t := expr.Type(); !q.instant && t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
		return fmt.Errorf("invalid expression type %q for range query, must be Scalar or instant Vector", parser.DocumentedType(t))
	}
	if !q.instant && q.stmt.Interval.Milliseconds() <= 0 && !q.stmt.Start.Equal(q.stmt.End) {
		return fmt.Errorf("step of a range query must be at least 1ms, got %s", q.stmt.Interval)
	}
	if q.stmt.Expr, err = promql.PreprocessExpr(expr, q.stmt.Start, q.stmt.End, q.stmt.Interval); err != nil {
		return err
	}
	if q.built, err = q.build(); err != nil {
		return err
	}
	return q.optimize()
}

// optimize makes the plan that is executed.
func (q *query) optimize() (err error) {
	if q.plan, err = q.build(); err != nil {
		return err
	}
	q.notes = nil
	for _, pass := range q.passes() {
		var notes annotations.Annotations
		if q.plan, notes = pass.Optimize(q.plan); q.plan == nil {
			return fmt.Errorf("optimizer %s gave no plan", pass.Name())
		}
		q.notes.Merge(notes)
	}
	if q.fragment != nil {
		q.narrow()
	}
	return nil
}

// build makes the plan as it is written or, of a part of another engine's query, as it came.
func (q *query) build() (*logicalplan.Plan, error) {
	if q.fragment != nil {
		if q.plan == nil {
			return q.fragment.Plan, nil
		}
		f, err := logicalplan.DecodeFragment(q.encoded) // passes have changed the first one
		if err != nil {
			return nil, err
		}
		return f.Plan, nil
	}
	return logicalplan.Build(q.stmt, logicalplan.BuildOptions{
		NoStepSubqueryInterval: q.engine.opts.NoStepSubqueryIntervalFn,
		MaxDepth:               q.engine.opts.MaxExpressionDepth,
		MaxNodes:               q.engine.opts.MaxExpressionNodes,
	})
}

// operatorQuery is what the operators of one run share.
func (q *query) operatorQuery() *operators.Query {
	o := &q.engine.opts
	oq := &operators.Query{
		Workers:            max(1, o.Workers),
		MorselRows:         o.BatchSeries,
		MaxSamples:         int64(o.MaxSamples),
		MemoryBudget:       o.MemoryBudget,
		Lookback:           q.stmt.LookbackDelta.Milliseconds(),
		DelayedNameRemoval: o.EnableDelayedNameRemoval,
		TypeAndUnitLabels:  o.EnableTypeAndUnitLabels,
		UseStartTimestamps: q.useST,
	}
	if f := q.fragment; f != nil {
		oq.Lookback = f.Plan.Lookback
		oq.DelayedNameRemoval = f.Options.DelayedNameRemoval
		oq.TypeAndUnitLabels = f.Options.TypeAndUnitLabels
	}
	if o.EnableQueryCost {
		oq.MaxSeries, oq.MaxSamplesRead = saturate(q.limits.maxSeries), saturate(q.limits.maxSamplesRead)
	}
	return oq
}

func (q *query) physical(oq *operators.Query, s *scan.Storage) (*physicalplan.Plan, error) {
	opts := physicalplan.Options{
		Query:         oq,
		Storage:       s,
		Instant:       q.instant,
		PerStepStats:  q.samples.EnablePerStepStats,
		Builders:      q.engine.opts.Builders,
		StepsPerRange: q.engine.opts.BatchSteps,
		Poison:        q.engine.opts.PoisonBatches,
		Remote:        q.remotes(),
		Emit:          q.emit,
	}
	if f := q.fragment; f != nil {
		opts.Steps = &operators.StepRange{From: f.Steps.From, To: f.Steps.To}
	}
	return physicalplan.Build(q.plan, opts)
}

// errExecuted is the error of a second Exec.
var errExecuted = errors.New("query was executed already; make a new one to run it again")

// Exec implements promql.Query. It can be called once.
func (q *query) Exec(ctx context.Context) *promql.Result {
	q.mu.Lock()
	if q.executed {
		q.mu.Unlock()
		return &promql.Result{Err: errExecuted}
	}
	q.executed = true
	q.mu.Unlock()
	if span := trace.SpanFromContext(ctx); span != nil {
		span.SetAttributes(attribute.String("query", q.stmt.String()))
	}
	value, warnings, err := q.exec(ctx)
	if err != nil {
		// As in Prometheus, an error comes without annotations, but for what the failing storage warned of.
		value, warnings = nil, nil
		var warned *operators.WarnedError
		if errors.As(err, &warned) {
			err, warnings = warned.Err, warned.Warnings
		}
	}
	return &promql.Result{Err: err, Value: value, Warnings: warnings}
}

// exec runs the query with everything around it: metrics, timeout, log, queue.
func (q *query) exec(ctx context.Context) (value parser.Value, warnings annotations.Annotations, err error) {
	e := q.engine
	e.metrics.queries.Inc()
	ctx = q.withRequest(ctx)
	ctx, cancel := q.context(ctx)
	defer cancel()
	defer func() {
		e.metrics.queries.Dec()
		e.metrics.samples.Add(float64(q.samples.TotalSamples))
		e.metrics.samplesRead.Add(float64(q.samples.SamplesRead))
		if e.opts.EnableQueryCost {
			e.metrics.samplesReadHistogram.Observe(float64(q.samples.SamplesRead))
			e.metrics.seriesTouched.Observe(float64(q.samples.TotalSeries))
			e.observeRejection(ctx, err)
		}
	}()
	q.mu.Lock()
	q.cancel = cancel
	q.mu.Unlock()
	defer func() { q.log(ctx, err) }()

	execTimer, ctx := q.timers.GetSpanTimer(ctx, stats.ExecTotalTime)
	defer execTimer.Finish()
	release, err := e.enqueue(ctx, q)
	if err != nil {
		return nil, nil, e.constructionError(ctx, err)
	}
	defer release()
	evalTimer, ctx := q.timers.GetSpanTimer(ctx, stats.EvalTotalTime)
	defer evalTimer.Finish()
	if err := operators.ContextError(ctx, operators.EnvExecution); err != nil {
		return nil, nil, err
	}
	value, warnings, err = q.runSplit(ctx)
	if err == nil && (e.opts.EnableQueryCost || !q.instant) {
		err = operators.ContextError(ctx, operators.EnvEvaluation)
	}
	return value, warnings, err
}

// runSplit runs the query, and once more if aggregations had been split that cannot be. What goes to another engine waits until that
// is known.
func (q *query) runSplit(ctx context.Context) (parser.Value, annotations.Annotations, error) {
	emit := q.emit
	var held []*remote.Columns
	if emit != nil && q.splits() {
		q.emit = func(c *remote.Columns) error {
			held = append(held, c)
			return nil
		}
	}
	value, warnings, err := q.run(ctx)
	q.emit = emit
	if errors.Is(err, logicalplan.ErrMixed) || err == nil && q.mixed(warnings) {
		if err := q.replan(); err != nil {
			return nil, nil, err
		}
		return q.run(ctx)
	}
	for _, c := range held {
		if err != nil {
			break
		}
		err = emit(c)
	}
	return value, warnings, err
}

// envMemory is where a query is that its Limiter makes wait, in errors.
const envMemory = "waiting for memory"

// run evaluates the plan: bind, run, collect.
func (q *query) run(ctx context.Context) (value parser.Value, _ annotations.Annotations, err error) {
	e := q.engine
	oq := q.operatorQuery()
	if e.opts.Limiter != nil {
		memory := e.opts.Limiter.open()
		oq.Shared = memory
		q.mu.Lock()
		q.memory = memory
		q.mu.Unlock()
		defer func() { // after operators are closed
			if memory.finish(); err != nil {
				memory.close()
			}
		}()
		if err := memory.begin(ctx); err != nil {
			return nil, nil, operators.ContextError(ctx, envMemory)
		}
	}
	oq.AnnotateAll(q.notes)
	defer func() { q.logPanic(err) }()
	defer operators.Recover(&err)
	if e.opts.EnableQueryCost {
		defer func() { q.samples.TotalSeries, q.samples.SamplesRead = oq.Consumed() }()
	}

	prepareTimer, prepareCtx := q.timers.GetSpanTimer(ctx, stats.QueryPreparationTime, e.metrics.observers("prepare_time")...)
	finishPreparing := sync.OnceFunc(prepareTimer.Finish)
	defer finishPreparing() // also when the storage panics
	st, err := q.open(prepareCtx)
	if err != nil {
		return nil, oq.Annotations(), err
	}
	defer func() {
		if closeErr := st.Close(); closeErr != nil {
			e.opts.Logger.Warn("Closing the querier failed", "err", closeErr)
		}
	}()
	plan, err := q.physical(oq, st)
	if err != nil {
		return nil, oq.Annotations(), err
	}
	defer plan.Close()
	if err := plan.Bind(prepareCtx, e.slots); err != nil {
		return nil, oq.Annotations(), err
	}
	finishPreparing()
	if q.memory != nil {
		need := plan.Need()
		need += need / 8 // it is an estimate
		if budget := e.opts.MemoryBudget; budget > 0 {
			need = min(need, budget)
		}
		granted, err := q.memory.expect(ctx, need)
		if err != nil {
			return nil, nil, operators.ContextError(ctx, envMemory)
		}
		plan.Grant(granted)
	}

	evalTimer, evalCtx := q.timers.GetSpanTimer(ctx, stats.InnerEvalTime, e.metrics.observers("inner_eval")...)
	finishEvaluating := sync.OnceFunc(evalTimer.Finish)
	defer finishEvaluating()
	q.samples.InitStepTracking(q.plan.Start, max(q.plan.Start, q.plan.End), q.plan.Interval)
	err = plan.Run(evalCtx, e.slots)
	finishEvaluating()
	plan.MergeStats(q.samples, e.opts.EnableQueryCost)
	q.mu.Lock()
	q.ran = plan
	q.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	if q.emit != nil {
		return nil, oq.Annotations(), nil
	}
	value = plan.Value()
	if m, ok := value.(promql.Matrix); ok {
		sortTimer, _ := q.timers.GetSpanTimer(ctx, stats.ResultSortTime, e.metrics.observers("result_sort")...)
		sort.Sort(m)
		sortTimer.Finish()
	}
	return value, oq.Annotations(), nil
}

// open opens the storage for all times that the query may look at.
func (q *query) open(ctx context.Context) (*scan.Storage, error) {
	mint, maxt := q.timeRange()
	_, span := otel.Tracer("").Start(ctx, "Querier", trace.WithAttributes(attribute.Int64("mint", mint), attribute.Int64("maxt", maxt)))
	defer span.End()
	st, err := scan.Open(q.storage(), mint, maxt, !q.engine.opts.DisableChunkAccess)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return st, err
}

// timeRange are the times that the query may look at.
func (q *query) timeRange() (mint, maxt int64) {
	if q.fragment != nil {
		return q.plan.TimeRange()
	}
	return promql.FindMinMaxTime(q.stmt)
}

// logPanic writes the stack of a runtime panic to the engine's log.
func (q *query) logPanic(err error) {
	var p *operators.PanicError
	if errors.As(err, &p) {
		q.engine.opts.Logger.Error("runtime panic during query evaluation", "expr", q.text, "err", p.Err, "stacktrace", string(p.Stack))
	}
}

// log writes the query to the query log.
func (q *query) log(ctx context.Context, err error) {
	q.engine.logMu.RLock()
	defer q.engine.logMu.RUnlock()
	l := q.engine.logger
	if l == nil {
		return
	}
	const layout = "2006-01-02T15:04:05.000Z07:00"
	attrs := []slog.Attr{slog.Any("params", map[string]any{
		"query": q.text,
		"start": q.stmt.Start.UTC().Format(layout),
		"end":   q.stmt.End.UTC().Format(layout),
		"step":  int64(q.stmt.Interval / time.Second),
	})}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	attrs = append(attrs, slog.Any("stats", stats.NewQueryStats(q.Stats())))
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		attrs = append(attrs, slog.Any("spanID", sc.SpanID()), slog.Any("traceID", sc.TraceID()))
	}
	if origin, ok := ctx.Value(promql.QueryOrigin{}).(map[string]any); ok {
		for k, v := range origin {
			attrs = append(attrs, slog.Any(k, v))
		}
	}
	slog.New(l).LogAttrs(context.Background(), slog.LevelInfo, "promql query logged", attrs...)
}
