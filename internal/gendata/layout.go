package gendata

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/labels"
)

// kind is what a series holds.
type kind uint8

const (
	kindUp kind = iota
	kindTargetInfo
	kindBuildInfo
	kindCounter
	kindGauge
	kindClassic
	kindNative
)

// member is one place in the exposition of every target.
type member struct {
	kind   kind
	metric int // number of the metric among those of its kind
	part   int // of a classic histogram: bucket, then sum, then count
}

// classicBounds are the upper bounds of classic and custom-bucket histograms.
var classicBounds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, math.Inf(1)}

// Parts of a classic histogram that follow its buckets.
var (
	partSum      = len(classicBounds)
	partCount    = len(classicBounds) + 1
	classicParts = len(classicBounds) + 2
)

// layout lists what a target exposes. A kind with any weight gets one metric at
// least.
func (p Profile) layout() []member {
	ms := []member{{kind: kindUp}, {kind: kindTargetInfo}, {kind: kindBuildInfo}}
	room := float64(max(p.SeriesPerTarget-len(ms), 0))
	for _, k := range []struct {
		kind   kind
		weight float64
		parts  int
	}{
		{kindCounter, p.Mix.Counters, 1},
		{kindGauge, p.Mix.Gauges, 1},
		{kindNative, p.Mix.NativeHistograms, 1},
		{kindClassic, p.Mix.ClassicHistograms, classicParts},
	} {
		if k.weight == 0 {
			continue
		}
		metrics := max(1, int(math.Round(room*k.weight/p.Mix.total()/float64(k.parts))))
		for i := range metrics {
			for part := range k.parts {
				ms = append(ms, member{kind: k.kind, metric: i, part: part})
			}
		}
	}
	return ms
}

var (
	clusters   = []string{"eu-west-1", "us-east-1"}
	namespaces = []string{"shop", "payments", "search", "identity", "logistics", "monitoring"}
	services   = []string{"api", "checkout", "catalog", "ledger", "gateway", "sessions", "recommender", "mailer", "indexer", "scheduler"}

	handlers = []string{"/", "/login", "/cart", "/items", "/search", "/orders", "/users", "/healthz"}
	// responses are the pairs of method and status code that a handler counts.
	responses = [][2]string{{"GET", "200"}, {"GET", "404"}, {"POST", "201"}, {"GET", "500"}, {"POST", "400"}, {"DELETE", "204"}}
)

// replicas is the number of pods of one service in one namespace and cluster.
const replicas = 4

// pod names one pod, the n-th of a target.
type pod struct {
	seed           uint64
	target         uint64
	n              uint64
	job, namespace string
	cluster        string
	instance, name string
	memoryGauges   int
}

func (p Profile) pod(target int, n int64) pod {
	d := target / replicas
	po := pod{
		seed: p.Seed, target: uint64(target), n: uint64(n),
		job:          pick(services, d/len(clusters)),
		namespace:    pick(namespaces, d/len(clusters)%p.namespaces()),
		cluster:      clusters[d%len(clusters)],
		memoryGauges: p.MemoryGauges,
	}
	// Addresses are unique among targets; a new pod of one gets another port.
	po.instance = fmt.Sprintf("10.%d.%d.%d:%d", target>>16&0xff, target>>8&0xff, target&0xff, 8080+n)
	po.name = fmt.Sprintf("%s-%08x-%05x", po.job, uint32(hash(p.Seed, uint64(d))), hash(p.Seed, uint64(target), forPod, uint64(n), 0)&0xfffff)
	return po
}

// pick returns the i-th name, numbered once the list has been used up.
func pick(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s-%d", names[i%len(names)], i/len(names))
}

// labels returns the label set of a member as this pod exposes it.
func (po pod) labels(m member) labels.Labels {
	b := labels.NewScratchBuilder(12)
	b.Add("job", po.job)
	b.Add("instance", po.instance)
	b.Add("cluster", po.cluster)
	name := ""
	if m.kind == kindTargetInfo {
		// Comes from a push of resource attributes: no labels of a scrape.
		name = "target_info"
		b.Add("k8s_node_name", fmt.Sprintf("node-%d", po.target%16))
		b.Add("host_arch", []string{"amd64", "arm64"}[po.target%2])
		b.Add("service_version", po.version())
	} else {
		b.Add("namespace", po.namespace)
		b.Add("pod", po.name)
	}
	switch m.kind {
	case kindUp:
		name = "up"
	case kindBuildInfo:
		name = "build_info"
		b.Add("version", po.version())
		b.Add("goversion", "go1.26")
	case kindCounter:
		name = counterNames(&b, m.metric)
	case kindGauge:
		which, n := po.gauge(m)
		g := gauges[which]
		name = g.name
		b.Add(g.label, fmt.Sprintf("%s-%d", g.label, n))
	case kindNative:
		name = nativeNames[po.native(m)]
		b.Add("method", fmt.Sprintf("/rpc.Service/Method%d", m.metric/len(nativeNames)))
	case kindClassic:
		name = "request_duration_seconds"
		b.Add("handler", pick(handlers, m.metric))
		switch m.part {
		case partSum:
			name += "_sum"
		case partCount:
			name += "_count"
		default:
			name += "_bucket"
			b.Add("le", labels.FormatOpenMetricsFloat(classicBounds[m.part]))
		}
	}
	b.Add("__name__", name)
	b.Sort()
	return b.Labels()
}

// version of the software: every second pod of a target brings a new one.
func (po pod) version() string { return fmt.Sprintf("1.%d.0", po.n/2) }

// native returns which of the native histograms a member is. It differs between
// targets, so that all of them occur where each target has only one.
func (po pod) native(m member) int {
	return (m.metric + int(po.target)) % len(nativeNames)
}

// gauge returns which of the gauge metrics a member is, and the how manieth of
// its pod.
func (po pod) gauge(m member) (which, n int) {
	if m.metric < po.memoryGauges {
		return 0, m.metric
	}
	turn := m.metric - po.memoryGauges
	if po.memoryGauges == 0 {
		return turn % len(gauges), turn / len(gauges)
	}
	others := len(gauges) - 1
	return 1 + turn%others, turn / others
}

// counterNames names the i-th counter: two of the process, then requests.
func counterNames(b *labels.ScratchBuilder, i int) string {
	switch i {
	case 0:
		b.Add("handler", "/")
		b.Add("method", "GET")
		b.Add("status", "200")
		return "http_requests_total"
	case 1:
		return "process_cpu_seconds_total"
	case 2:
		b.Add("device", "eth0")
		return "network_receive_bytes_total"
	}
	i -= 2
	r := responses[i%len(responses)]
	b.Add("handler", pick(handlers, i/len(responses)))
	b.Add("method", r[0])
	b.Add("status", r[1])
	return "http_requests_total"
}
