package engine

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/promql"
	"golang.org/x/exp/constraints"
)

// limits are the query-cost limits; 0 is none.
type limits struct {
	maxSeries, maxSamplesRead uint64
	maxDuration               time.Duration
}

// SetQueryLimits sets the query-cost limits of queries made from now on, which are in force only with
// EnableQueryCost. 0 is no limit, but for maxQueryDuration, where it leaves the engine's timeout; a
// longer one replaces it.
func (e *Engine) SetQueryLimits(maxSeries, maxSamplesRead uint64, maxQueryDuration time.Duration) {
	e.limitsMu.Lock()
	defer e.limitsMu.Unlock()
	e.limits = limits{maxSeries, maxSamplesRead, maxQueryDuration}
}

// resolveLimits works out the query's limits: its own, which may only be tighter than the engine's.
func (q *query) resolveLimits(opts promql.QueryOpts) error {
	q.engine.limitsMu.RLock()
	ceiling := q.engine.limits
	q.engine.limitsMu.RUnlock()
	var asked limits
	if c, ok := opts.(promql.QueryCostOpts); ok {
		asked = limits{c.MaxSeries(), c.MaxSamplesRead(), c.MaxQueryDuration()}
	}
	var err error
	if q.limits.maxSeries, err = tighten("max_series", asked.maxSeries, ceiling.maxSeries, formatUint); err != nil {
		return err
	}
	if q.limits.maxSamplesRead, err = tighten("max_samples_read", asked.maxSamplesRead, ceiling.maxSamplesRead, formatUint); err != nil {
		return err
	}
	timeout := q.engine.opts.Timeout
	if ceiling.maxDuration > 0 || asked.maxDuration > 0 {
		if ceiling.maxDuration <= 0 {
			ceiling.maxDuration = max(0, timeout)
		}
		q.limits.maxDuration, err = tighten("max_query_duration", max(0, asked.maxDuration), ceiling.maxDuration, time.Duration.String)
		if err != nil {
			return err
		}
		timeout = q.limits.maxDuration
	}
	if timeout > 0 {
		q.deadline = time.Now().Add(timeout)
	}
	return nil
}

// tighten is the limit asked for, or the ceiling where none was asked for. More than the ceiling is an error.
func tighten[T constraints.Integer](name string, asked, ceiling T, format func(T) string) (T, error) {
	switch {
	case asked == 0:
		return ceiling, nil
	case ceiling == 0 || asked <= ceiling:
		return asked, nil
	}
	return 0, promql.ErrLimitAboveCeiling{Limit: name, Requested: format(asked), Ceiling: format(ceiling)}
}

func formatUint(v uint64) string { return strconv.FormatUint(v, 10) }

// saturate is a limit as the operators count.
func saturate(v uint64) int64 { return int64(min(v, math.MaxInt64)) }

// errQueryCostDuration is the cause of a context that ended by the limit on a query's duration.
var errQueryCostDuration = errors.New("query cost duration exceeded")

// context is ctx with the query's timeout.
func (q *query) context(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case !q.deadline.IsZero():
		cause := context.DeadlineExceeded
		if q.limits.maxDuration > 0 {
			cause = errQueryCostDuration
		}
		return context.WithDeadlineCause(ctx, q.deadline, cause)
	case q.engine.opts.Timeout > 0 && !q.engine.opts.EnableQueryCost:
		return context.WithTimeout(ctx, q.engine.opts.Timeout)
	}
	return context.WithCancel(ctx)
}

// observeRejection counts a query that a cost limit ended.
func (e *Engine) observeRejection(ctx context.Context, err error) {
	if !e.opts.EnableQueryCost || err == nil {
		return
	}
	var (
		series  promql.ErrTooManySeries
		samples promql.ErrTooManySamplesRead
		timeout promql.ErrQueryTimeout
	)
	switch {
	case errors.As(err, &series):
		e.metrics.rejected.WithLabelValues("max_series").Inc()
	case errors.As(err, &samples):
		e.metrics.rejected.WithLabelValues("max_samples_read").Inc()
	case errors.As(err, &timeout) && errors.Is(context.Cause(ctx), errQueryCostDuration):
		e.metrics.rejected.WithLabelValues("max_duration").Inc()
	}
}
