package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/stride-promql/stride/operators"
	"github.com/stride-promql/stride/physicalplan"
)

// Engine evaluates PromQL queries. It is a promql.QueryEngine; all methods may be called
// concurrently.
type Engine struct {
	opts    Opts
	err     error // what is wrong with opts; the error of every query
	metrics *metrics
	slots   physicalplan.Slots

	distribution *distribution // nil: everything is evaluated here

	logMu  sync.RWMutex
	logger promql.QueryLogger

	limitsMu sync.RWMutex
	limits   limits
}

var (
	_ promql.QueryEngine       = (*Engine)(nil)
	_ promql.QuerySlotAcquirer = (*Engine)(nil)
)

// New makes an engine. It never fails: what is wrong with the options comes as an error from every
// query made.
func New(opts Opts) *Engine {
	o, err := opts.withDefaults()
	m, regErr := newMetrics(o.Reg, o.EnableQueryCost)
	if regErr != nil {
		regErr = fmt.Errorf("engine: registering metrics: %w", regErr)
	}
	e := &Engine{opts: o, err: errors.Join(err, regErr), metrics: m, slots: physicalplan.NewSlots(o.Workers - 1)}
	if t := o.ActiveQueryTracker; t != nil {
		m.maxConcurrent.Set(float64(t.GetMaxConcurrent()))
	} else {
		m.maxConcurrent.Set(-1)
	}
	if r := o.FeatureRegistry; r != nil {
		r.Set(features.PromQL, "at_modifier", o.EnableAtModifier)
		r.Set(features.PromQL, "negative_offset", o.EnableNegativeOffset)
		r.Set(features.PromQL, "per_step_stats", o.EnablePerStepStats)
		r.Set(features.PromQL, "delayed_name_removal", o.EnableDelayedNameRemoval)
		r.Set(features.PromQL, "type_and_unit_labels", o.EnableTypeAndUnitLabels)
		r.Enable(features.PromQL, "per_query_lookback_delta")
		r.Enable(features.PromQL, "subqueries")
		o.Parser.RegisterFeatures(r)
	}
	return e
}

// Close closes the active query tracker. No query may be running.
func (e *Engine) Close() error {
	if e == nil || e.opts.ActiveQueryTracker == nil {
		return nil
	}
	return e.opts.ActiveQueryTracker.Close()
}

// SetQueryLogger makes l, which may be nil, the log of all queries from now on, and closes the one before it.
func (e *Engine) SetQueryLogger(l promql.QueryLogger) {
	e.logMu.Lock()
	defer e.logMu.Unlock()
	if e.logger != nil {
		if err := e.logger.Close(); err != nil {
			e.opts.Logger.Warn("Error while closing the previous query log file", "err", err)
		}
	}
	e.logger = l
	if l != nil {
		e.metrics.queryLogEnabled.Set(1)
	} else {
		e.metrics.queryLogEnabled.Set(0)
	}
}

// NewInstantQuery makes a query for the value of the expression qs at ts. Errors of the expression and
// of opts, which may be nil, come from here.
func (e *Engine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	return e.newQuery(ctx, q, opts, qs, ts, ts, 0, true)
}

// NewRangeQuery makes a query for the values of the expression qs at start and every interval after it, up
// to end.
func (e *Engine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	return e.newQuery(ctx, q, opts, qs, start, end, interval, false)
}

func (e *Engine) newQuery(ctx context.Context, queryable storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration, instant bool) (_ promql.Query, err error) {
	if e.err != nil {
		return nil, e.err
	}
	if opts == nil {
		opts = promql.NewPrometheusQueryOpts(false, 0, nil)
	}
	q := &query{
		engine:    e,
		queryable: queryable,
		text:      qs,
		instant:   instant,
		stmt:      &parser.EvalStmt{Start: start, End: end, Interval: interval, LookbackDelta: opts.LookbackDelta()},
		timers:    stats.NewQueryTimers(),
		samples:   stats.NewQuerySamples(e.opts.EnablePerStepStats && opts.EnablePerStepStats()),
		useST:     e.opts.UseStartTimestamps,
		partial:   e.opts.PartialResponse,
	}
	if p, ok := opts.(partialResponder); ok {
		q.partial = p.PartialResponse()
	}
	if q.stmt.LookbackDelta <= 0 {
		q.stmt.LookbackDelta = e.opts.LookbackDelta
	}
	if st := opts.UseStartTimestamps(); st != nil {
		q.useST = *st
	}
	if e.opts.EnableQueryCost {
		if err := q.resolveLimits(opts); err != nil {
			return nil, err
		}
		var cancel context.CancelFunc
		ctx, cancel = q.context(ctx)
		defer cancel()
		defer func() { e.observeRejection(ctx, err) }()
	}
	release, err := e.enqueue(ctx, q)
	if err != nil {
		return nil, e.constructionError(ctx, err)
	}
	defer release()
	if err := q.prepare(); err != nil {
		return nil, e.constructionError(ctx, err)
	}
	if err := e.constructionError(ctx, nil); err != nil {
		return nil, err
	}
	return q, nil
}

// constructionError is err, or with query cost what became of ctx meanwhile.
func (e *Engine) constructionError(ctx context.Context, err error) error {
	if !e.opts.EnableQueryCost {
		return err
	}
	if ctxErr := operators.ContextError(ctx, operators.EnvExecution); ctxErr != nil {
		return ctxErr
	}
	return err
}

// enqueue waits for the active query tracker. The function it returns gives the place back.
func (e *Engine) enqueue(ctx context.Context, q *query) (func(), error) {
	t := e.opts.ActiveQueryTracker
	if t == nil {
		return func() {}, nil
	}
	timer, _ := q.timers.GetSpanTimer(ctx, stats.ExecQueueTime, e.metrics.observers("queue_time")...)
	i, err := t.Insert(ctx, q.text)
	timer.Finish()
	if err != nil {
		return nil, err
	}
	return func() { t.Delete(i) }, nil
}

// AcquireQuerySlot implements promql.QuerySlotAcquirer: it waits for a place among the concurrent
// queries, for work on qs that does not go through Exec.
func (e *Engine) AcquireQuerySlot(ctx context.Context, qs string) (func(), error) {
	t := e.opts.ActiveQueryTracker
	if t == nil {
		return func() {}, nil
	}
	i, err := t.Insert(ctx, qs)
	if err != nil {
		return func() {}, err
	}
	return func() { t.Delete(i) }, nil
}

// checkModifiers refuses modifiers that the engine's options switch off.
func (e *Engine) checkModifiers(expr parser.Expr) error {
	if e.opts.EnableAtModifier && e.opts.EnableNegativeOffset {
		return nil
	}
	var err error
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		var (
			at     *int64
			edge   parser.ItemType
			offset time.Duration
		)
		switch n := n.(type) {
		case *parser.VectorSelector:
			at, edge, offset = n.Timestamp, n.StartOrEnd, n.OriginalOffset
		case *parser.SubqueryExpr:
			at, edge, offset = n.Timestamp, n.StartOrEnd, n.OriginalOffset
		}
		switch {
		case !e.opts.EnableAtModifier && (at != nil || edge == parser.START || edge == parser.END):
			err = promql.ErrValidationAtModifierDisabled
		case !e.opts.EnableNegativeOffset && offset < 0:
			err = promql.ErrValidationNegativeOffsetDisabled
		}
		return err
	})
	return err
}
