package replica

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stride-promql/stride/remote"
)

// Metrics count what members of groups do.
type Metrics struct {
	picks, won, lost, failovers, ejections *prometheus.CounterVec
}

// NewMetrics registers the metrics. It panics if they are registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "stride", Subsystem: "replica", Name: name, Help: help}, []string{"member"})
		reg.MustRegister(c)
		return c
	}
	return &Metrics{
		picks:     counter("picks_total", "Requests sent to a member of a replica group."),
		won:       counter("hedges_won_total", "Requests to two members of which this one, asked second, answered first."),
		lost:      counter("hedges_lost_total", "Requests to two members of which this one, asked second, did not answer first."),
		failovers: counter("failovers_total", "Requests that this member failed and another one was asked."),
		ejections: counter("ejections_total", "Times that a member was left out for failing again and again."),
	}
}

// add makes the metrics of an engine that becomes a member, so that the first of anything shows in a rate.
func (m *Metrics) add(e remote.RemoteEngine) {
	if m != nil {
		for _, c := range []*prometheus.CounterVec{m.picks, m.won, m.lost, m.failovers, m.ejections} {
			c.WithLabelValues(e.Name())
		}
	}
}

func (m *Metrics) pick(of *member) {
	if m != nil {
		m.picks.WithLabelValues(of.engine.Name()).Inc()
	}
}

func (m *Metrics) eject(of *member) {
	if m != nil {
		m.ejections.WithLabelValues(of.engine.Name()).Inc()
	}
}

func (m *Metrics) failover(of *member) {
	if m != nil {
		m.failovers.WithLabelValues(of.engine.Name()).Inc()
	}
}

// hedged counts whether a member that was asked second won.
func (m *Metrics) hedged(of *member, won bool) {
	switch {
	case m == nil:
	case won:
		m.won.WithLabelValues(of.engine.Name()).Inc()
	default:
		m.lost.WithLabelValues(of.engine.Name()).Inc()
	}
}
