package livedata

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The results of reading a directory.
const (
	loadSucceeded = "success"
	loadFailed    = "error"
)

// metrics tell how old the data is.
type metrics struct {
	loads    *prometheus.CounterVec
	last     prometheus.Gauge
	newest   prometheus.Gauge
	duration prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stride_tsdb_loads_total",
			Help: "How often the data directory was read, by whether that succeeded.",
		}, []string{"result"}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stride_tsdb_last_load_timestamp_seconds",
			Help: "When the data directory was last read.",
		}),
		newest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stride_tsdb_newest_sample_timestamp_seconds",
			Help: "Time of the newest sample in the data directory when it was last read.",
		}),
		duration: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stride_tsdb_last_load_duration_seconds",
			Help: "How long it took to read the data directory the last time.",
		}),
	}
	for _, result := range []string{loadSucceeded, loadFailed} {
		m.loads.WithLabelValues(result) // both are there from the beginning, so that the first one shows in a rate
	}
	if r != nil {
		r.MustRegister(m.loads, m.last, m.newest, m.duration)
	}
	return m
}

func (m *metrics) failed() { m.loads.WithLabelValues(loadFailed).Inc() }

func (m *metrics) loaded(newest int64, took time.Duration) {
	m.loads.WithLabelValues(loadSucceeded).Inc()
	m.last.SetToCurrentTime()
	m.duration.Set(took.Seconds())
	if newest != math.MinInt64 { // which stands for no sample
		m.newest.Set(float64(newest) / 1000)
	}
}
