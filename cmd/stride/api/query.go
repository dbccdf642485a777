package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/httputil"
	"github.com/prometheus/prometheus/util/stats"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/stride-promql/stride/engine"
)

// maxPoints is the most steps of a range query over the first: enough for a minute's step over a week.
const maxPoints = 11_000

// request is what the parameters of a query say.
type request struct {
	span    string // name of its span
	expr    string
	limit   int
	timeout time.Duration
	opts    promql.QueryOpts
	options RequestOptions

	instant    bool
	start, end time.Time // an instant query has both at its time
	step       time.Duration
	analyze    bool
}

func (a *API) query(r *http.Request) answer {
	q, err := a.instantRequest(r)
	if err != nil {
		return answer{err: err}
	}
	return a.evaluate(r, q)
}

func (a *API) queryRange(r *http.Request) answer {
	q, err := a.rangeRequest(r)
	if err != nil {
		return answer{err: err}
	}
	return a.evaluate(r, q)
}

// instantRequest reads the parameters of an instant query.
func (a *API) instantRequest(r *http.Request) (*request, *apiError) {
	q := &request{span: "promqlInstantQuery", instant: true}
	var err *apiError
	if q.limit, err = limitParam(r); err != nil {
		return nil, err
	}
	if q.end, err = timeParam(r, "time", a.opts.Now()); err != nil {
		return nil, err
	}
	q.start = q.end
	return q, a.commonParams(r, q)
}

// rangeRequest reads the parameters of a range query.
func (a *API) rangeRequest(r *http.Request) (*request, *apiError) {
	q := &request{span: "promqlRangeQuery"}
	var apiErr *apiError
	if q.limit, apiErr = limitParam(r); apiErr != nil {
		return nil, apiErr
	}
	var err error
	if q.start, err = parseTime(r.FormValue("start")); err != nil {
		return nil, invalidParameter("start", err)
	}
	if q.end, err = parseTime(r.FormValue("end")); err != nil {
		return nil, invalidParameter("end", err)
	}
	if q.end.Before(q.start) {
		return nil, invalidParameter("end", errors.New("end timestamp must not be before start time"))
	}
	if q.step, err = parseDuration(r.FormValue("step")); err != nil {
		return nil, invalidParameter("step", err)
	}
	if q.step <= 0 {
		return nil, invalidParameter("step", errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	}
	if q.end.Sub(q.start)/q.step > maxPoints {
		return nil, badData(errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"))
	}
	return q, a.commonParams(r, q)
}

// commonParams reads the parameters that instant and range queries have in common.
func (a *API) commonParams(r *http.Request, q *request) *apiError {
	q.expr = r.FormValue("query")
	var apiErr *apiError
	if q.timeout, apiErr = timeoutParam(r); apiErr != nil {
		return apiErr
	}
	var err error
	if q.opts, err = queryOpts(r); err != nil {
		return badData(err)
	}
	if q.options, apiErr = a.requestOptions(r, q.step); apiErr != nil {
		return apiErr
	}
	return boolParam(r, "analyze", &q.analyze)
}

// newQuery makes the query that q asks for. It must be closed.
func (a *API) newQuery(ctx context.Context, q *request) (promql.Query, *apiError) {
	e, from, opts, err := a.opts.Backend.Engine(q.options, q.opts)
	if err != nil {
		return nil, badData(err)
	}
	made, err := q.make(ctx, e, from, opts)
	if err != nil {
		return nil, constructionError(err)
	}
	return made, nil
}

func (q *request) make(ctx context.Context, e promql.QueryEngine, from storage.Queryable, opts promql.QueryOpts) (promql.Query, error) {
	if q.instant {
		return e.NewInstantQuery(ctx, from, opts, q.expr, q.end)
	}
	return e.NewRangeQuery(ctx, from, opts, q.expr, q.start, q.end, q.step)
}

// evaluate makes and runs a query.
func (a *API) evaluate(r *http.Request, q *request) (res answer) {
	ctx := r.Context()
	if q.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.timeout)
		defer cancel()
	}
	ctx, span := otel.Tracer("").Start(ctx, q.span)
	defer span.End()
	span.SetAttributes(
		attribute.String("query", q.expr),
		attribute.String("start", q.start.Format(time.RFC3339Nano)),
		attribute.String("end", q.end.Format(time.RFC3339Nano)),
		attribute.Stringer("step", q.step),
	)
	defer func() {
		if res.err != nil {
			span.RecordError(res.err.err)
			span.SetStatus(codes.Error, res.err.err.Error())
		}
	}()
	query, apiErr := a.newQuery(ctx, q)
	if apiErr != nil {
		return answer{err: apiErr}
	}
	defer func() {
		if res.free == nil { // also after a panic
			query.Close()
		}
	}()
	out := query.Exec(httputil.ContextFromRequest(ctx, r))
	if out.Err != nil {
		a.metrics.failed(out.Err)
		return answer{err: executionError(out.Err), free: query.Close}
	}
	value, cut := truncate(out.Value, q.limit)
	warnings := out.Warnings
	if cut {
		warnings = warnings.Add(errTruncated)
	}
	data := &queryData{value: value}
	if v := r.FormValue("stats"); v != "" {
		data.stats = stats.NewQueryStats(query.Stats())
		if warning := statsWarning(v); warning != nil {
			warnings = warnings.Add(warning)
		}
	}
	if q.analyze {
		if x, ok := query.(engine.ExplainableQuery); ok {
			var err error
			if data.analysis, err = analysisOf(x); err != nil {
				return answer{err: &apiError{errorInternal, err}, free: query.Close}
			}
		} else {
			warnings = warnings.Add(errNotAnalyzable)
		}
	}
	return answer{data: data, warnings: warnings, free: query.Close}
}

var (
	errTruncated     = errors.New("results truncated due to limit")
	errNotAnalyzable = errors.New("the engine that evaluated the query cannot analyze it")
)
