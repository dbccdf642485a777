package replica

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what members of groups do.
type Metrics struct {
	picks, won, lost, failovers, ejections *prometheus.CounterVec

	mu      sync.Mutex
	members map[string]int // by name, how many have it
}

// NewMetrics registers the metrics. It panics if they are registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "stride", Subsystem: "replica", Name: name, Help: help}, []string{"member"})
		reg.MustRegister(c)
		return c
	}
	return &Metrics{
		members:   map[string]int{},
		picks:     counter("picks_total", "Requests sent to a member of a replica group."),
		won:       counter("hedges_won_total", "Requests to two members of which this one, asked second, answered first."),
		lost:      counter("hedges_lost_total", "Requests to two members of which this one, asked second, did not answer first."),
		failovers: counter("failovers_total", "Requests that this member failed and another one was asked."),
		ejections: counter("ejections_total", "Times that a member was left out for failing again and again."),
	}
}

// counters are those of one member. When its metrics are taken away, requests that it still answers count in them, where nobody looks.
type counters struct {
	picks, won, lost, failovers, ejections prometheus.Counter
}

// add makes the metrics of an engine that becomes a member, so that the first of anything shows in a rate. Engines with one name share them.
func (m *Metrics) add(name string) *counters {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members[name]++
	of := func(c *prometheus.CounterVec) prometheus.Counter { return c.WithLabelValues(name) }
	return &counters{of(m.picks), of(m.won), of(m.lost), of(m.failovers), of(m.ejections)}
}

// remove takes the metrics of a member away, if no other one has its name.
func (m *Metrics) remove(name string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.members[name]--; m.members[name] > 0 {
		return
	}
	delete(m.members, name)
	for _, c := range []*prometheus.CounterVec{m.picks, m.won, m.lost, m.failovers, m.ejections} {
		c.DeleteLabelValues(name)
	}
}

func (c *counters) pick() {
	if c != nil {
		c.picks.Inc()
	}
}

func (c *counters) eject() {
	if c != nil {
		c.ejections.Inc()
	}
}

func (c *counters) failover() {
	if c != nil {
		c.failovers.Inc()
	}
}

// hedged counts whether a member that was asked second won.
func (c *counters) hedged(won bool) {
	switch {
	case c == nil:
	case won:
		c.won.Inc()
	default:
		c.lost.Inc()
	}
}
