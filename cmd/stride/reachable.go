package main

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stride-promql/stride/remote/discovery"
)

// reachable tells of each other node whether it answered when it was last asked what it has, and of which replica group it is.
type reachable struct {
	set *discovery.Set
	up  *prometheus.Desc
}

func newReachable(set *discovery.Set) *reachable {
	return &reachable{set, prometheus.NewDesc("stride_endpoint_up",
		"1 if the node answered when it was last asked what data it has, else 0. group is the replica group that it was put into, or the id that it announces.",
		[]string{"endpoint", "group"}, nil)}
}

// Describe implements prometheus.Collector.
func (r *reachable) Describe(to chan<- *prometheus.Desc) { to <- r.up }

// Collect implements prometheus.Collector.
func (r *reachable) Collect(to chan<- prometheus.Metric) {
	for _, s := range r.set.Statuses() {
		group, up := s.Group, 0.0
		if group == "" {
			group = strings.ToValidUTF8(s.Engine.Capabilities().GroupID, "\ufffd") // another node may say anything
		}
		if s.Err == nil && !s.LastCheck.IsZero() {
			up = 1
		}
		to <- prometheus.MustNewConstMetric(r.up, prometheus.GaugeValue, up, s.Address, group)
	}
}
