package api

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/operators"
)

// requestMetrics counts requests under the names that Thanos has for them, for its dashboards and alerts, and what became of queries. nil: not
// counted.
type requestMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	failures *prometheus.CounterVec
	warned   prometheus.Counter
}

// Why queries fail.
const (
	failedForMemory = "memory"
	failedForLimit  = "limit"
	failedForTime   = "timeout"
	failedCanceled  = "canceled"
	failedOtherwise = "other"
)

func newRequestMetrics(r prometheus.Registerer) *requestMetrics {
	if r == nil {
		return nil
	}
	m := &requestMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total",
			Help: "Total number of HTTP requests.",
		}, []string{"handler", "code", "method"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                           "http_request_duration_seconds",
			Help:                           "Latency of HTTP requests.",
			Buckets:                        []float64{0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360},
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100,
		}, []string{"handler", "code", "method"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stride_query_failures_total",
			Help: "Users' queries that failed while they were evaluated: for lack of memory, by a limit on samples or series, by a timeout, canceled, or for another reason.",
		}, []string{"reason"}),
		warned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stride_answers_with_warnings_total",
			Help: "Answers with warnings, such as that a source of data failed and its data is missing.",
		}),
	}
	for _, reason := range []string{failedForMemory, failedForLimit, failedForTime, failedCanceled, failedOtherwise} {
		m.failures.WithLabelValues(reason) // all are there from the beginning, so that the first one shows in a rate
	}
	r.MustRegister(m.requests, m.duration, m.failures, m.warned)
	return m
}

// failed counts a query that failed with err.
func (m *requestMetrics) failed(err error) {
	if m != nil {
		m.failures.WithLabelValues(reasonOf(err)).Inc()
	}
}

// answered counts an answer that has so many warnings.
func (m *requestMetrics) answered(warnings int) {
	if m != nil && warnings > 0 {
		m.warned.Inc()
	}
}

// reasonOf is why a query failed with err.
func reasonOf(err error) string {
	var (
		samples     promql.ErrTooManySamples
		series      promql.ErrTooManySeries
		samplesRead promql.ErrTooManySamplesRead
	)
	switch {
	case errors.Is(err, operators.ErrShortOfMemory):
		return failedForMemory
	case errors.As(err, &samples), errors.As(err, &series), errors.As(err, &samplesRead):
		return failedForLimit
	}
	switch executionError(err).typ {
	case errorTimeout:
		return failedForTime
	case errorCanceled:
		return failedCanceled
	}
	return failedOtherwise
}

// instrument counts what h answers.
func (m *requestMetrics) instrument(name string, h http.Handler) http.Handler {
	if m == nil {
		return h
	}
	by := prometheus.Labels{"handler": name}
	return promhttp.InstrumentHandlerDuration(m.duration.MustCurryWith(by),
		promhttp.InstrumentHandlerCounter(m.requests.MustCurryWith(by), h))
}
