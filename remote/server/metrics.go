package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// metrics say what the server does.
type metrics struct {
	running, queued prometheus.Gauge
	refused         prometheus.Counter
	waited          prometheus.Histogram
	requests        *prometheus.HistogramVec
	series, samples prometheus.Counter
}

func newMetrics(opts Options) *metrics {
	name := func(n, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "stride", Subsystem: "remote_server", Name: n, Help: help}
	}
	histogram := func(n, help string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: "stride", Subsystem: "remote_server", Name: n, Help: help, NativeHistogramBucketFactor: 1.1, Buckets: []float64{.001, .01, .1, .5, 1, 5, 10, 30, 60, 120, 300}}
	}
	m := &metrics{
		running:  prometheus.NewGauge(prometheus.GaugeOpts(name("queries_running", "Queries that are being evaluated for other nodes."))),
		queued:   prometheus.NewGauge(prometheus.GaugeOpts(name("queries_queued", "Queries of other nodes that wait for their turn."))),
		refused:  prometheus.NewCounter(prometheus.CounterOpts(name("queries_refused_total", "Queries of other nodes that were refused because too many waited."))),
		waited:   prometheus.NewHistogram(histogram("queue_duration_seconds", "How long queries of other nodes waited for their turn.")),
		requests: prometheus.NewHistogramVec(histogram("request_duration_seconds", "How long requests of other nodes took."), []string{"method", "code"}),
		series:   prometheus.NewCounter(prometheus.CounterOpts(name("series_sent_total", "Series sent to other nodes."))),
		samples:  prometheus.NewCounter(prometheus.CounterOpts(name("samples_sent_total", "Samples sent to other nodes."))),
	}
	limit := prometheus.NewGauge(prometheus.GaugeOpts(name("queries_limit", "The most queries that are evaluated for other nodes at once; 0 is no limit.")))
	limit.Set(float64(opts.MaxQueries))
	if opts.Registerer != nil {
		opts.Registerer.MustRegister(m.running, m.queued, m.refused, m.waited, m.requests, m.series, m.samples, limit)
	}
	return m
}

func (m *metrics) request(method string, code codes.Code, began time.Time) {
	m.requests.WithLabelValues(method, code.String()).Observe(time.Since(began).Seconds())
}
