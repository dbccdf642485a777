package engine

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics have Prometheus' names, so that dashboards made for Prometheus work.
type metrics struct {
	queries            prometheus.Gauge
	maxConcurrent      prometheus.Gauge
	queryLogEnabled    prometheus.Gauge
	queryLogFailures   prometheus.Counter
	samples            prometheus.Counter
	samplesRead        prometheus.Counter
	durations          *prometheus.SummaryVec
	durationHistograms *prometheus.HistogramVec

	// Only with query cost.
	rejected             *prometheus.CounterVec
	seriesTouched        prometheus.Histogram
	samplesReadHistogram prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, cost bool) (*metrics, error) {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "prometheus", Subsystem: "engine", Name: name, Help: help}
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts(opts(name, help)))
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
	}
	m := &metrics{
		queries:          gauge("queries", "The current number of queries being executed or waiting."),
		maxConcurrent:    gauge("queries_concurrent_max", "The max number of concurrent queries."),
		queryLogEnabled:  gauge("query_log_enabled", "State of the query log."),
		queryLogFailures: counter("query_log_failures_total", "The number of query log failures."),
		samples:          counter("query_samples_total", "The total number of samples loaded by all queries (full window per step for range-vector)."),
		samplesRead:      counter("query_samples_read_total", "The total number of samples read by all queries (only new points per step for range-vector)."),
		durations: prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Namespace:  "prometheus",
			Subsystem:  "engine",
			Name:       "query_duration_seconds",
			Help:       "Query timings",
			Objectives: map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001},
		}, []string{"slice"}),
		durationHistograms: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace:                       "prometheus",
			Subsystem:                       "engine",
			Name:                            "query_duration_histogram_seconds",
			Help:                            "The duration of various parts of PromQL query execution.",
			Buckets:                         []float64{.01, .1, 1, 10},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"slice"}),
	}
	if cost {
		m.rejected = prometheus.NewCounterVec(
			prometheus.CounterOpts(opts("query_rejected_total", "The total number of queries rejected by cost guardrails, by reason.")), []string{"reason"})
		m.seriesTouched = costHistogram("query_series_touched",
			"The number of series touched by a query (per-selector sum, an upper bound on distinct series).", 1)
		m.samplesReadHistogram = costHistogram("query_samples_read", "The number of samples read by a query.", 100)
	}
	return m, m.register(reg)
}

func costHistogram(name, help string, first float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace:                       "prometheus",
		Subsystem:                       "engine",
		Name:                            name,
		Help:                            help,
		Buckets:                         prometheus.ExponentialBuckets(first, 4, 12),
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	})
}

// register registers the metrics. A second engine on the same registry counts into the metrics of the first.
func (m *metrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	errs := []error{
		adopt(reg, &m.queries),
		adopt(reg, &m.maxConcurrent),
		adopt(reg, &m.queryLogEnabled),
		adopt(reg, &m.queryLogFailures),
		adopt(reg, &m.samples),
		adopt(reg, &m.samplesRead),
		adopt(reg, &m.durations),
		adopt(reg, &m.durationHistograms),
	}
	if m.rejected != nil {
		errs = append(errs, adopt(reg, &m.rejected), adopt(reg, &m.seriesTouched), adopt(reg, &m.samplesReadHistogram))
	}
	return errors.Join(errs...)
}

// adopt registers *c, or makes it the equal collector that is registered already.
func adopt[C prometheus.Collector](reg prometheus.Registerer, c *C) error {
	err := reg.Register(*c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			*c = existing
			return nil
		}
	}
	return err
}

// observers are the summary and the histogram of one part of queries' durations.
func (m *metrics) observers(slice string) []prometheus.Observer {
	return []prometheus.Observer{m.durations.WithLabelValues(slice), m.durationHistograms.WithLabelValues(slice)}
}
