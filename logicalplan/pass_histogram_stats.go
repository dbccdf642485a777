package logicalplan

import "github.com/prometheus/prometheus/util/annotations"

// HistogramStats leaves the buckets of native histograms undecoded where the query looks at nothing
// but count and sum.
//
//	before: histogram_count()          after: histogram_count()
//	          foo                               foo skip-buckets
//
// Where that is so is Prometheus' decision (VectorSelector.StatsOnly). Without this pass the results are the same,
// but a histogram counts in the sample statistics with all its buckets, which in Prometheus
// it does not.
type HistogramStats struct{}

// Name is "histogram-stats".
func (HistogramStats) Name() string { return "histogram-stats" }

// DAG marks the pass: PromQL text does not show its work.
func (HistogramStats) DAG() {}

// Optimize marks selectors.
func (HistogramStats) Optimize(p *Plan) (*Plan, annotations.Annotations) {
	Walk(p.Root, func(n Node) bool {
		if v, ok := n.(*VectorSelector); ok {
			v.SkipHistogramBuckets = v.StatsOnly
		}
		return true
	})
	return p, nil
}
