package api

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// requestMetrics counts requests under the names that Thanos has for them, for its dashboards and alerts. nil: not counted.
type requestMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

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
	}
	r.MustRegister(m.requests, m.duration)
	return m
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
