package function

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/util/kahansum"

	"github.com/stride-promql/stride/operators"
)

var histogramFunctions = map[string]func(*histogram.FloatHistogram) float64{
	"histogram_count":  func(h *histogram.FloatHistogram) float64 { return h.Count },
	"histogram_sum":    func(h *histogram.FloatHistogram) float64 { return h.Sum },
	"histogram_avg":    func(h *histogram.FloatHistogram) float64 { return h.Sum / h.Count },
	"histogram_stdvar": histogramVariance,
	"histogram_stddev": func(h *histogram.FloatHistogram) float64 { return math.Sqrt(histogramVariance(h)) },
}

// Histogram is a number computed from each native histogram sample; float samples are dropped. The names are
// those of histogramFunctions.
//
// Inputs: 0 the vector (Stream).
type Histogram struct {
	node
	name string
	f    func(*histogram.FloatHistogram) float64
}

// NewHistogram is the function of the given PromQL name over in. It fails for a name it does not know.
func NewHistogram(q *operators.Query, name string, in *operators.Schema) (*Histogram, error) {
	f := histogramFunctions[name]
	if f == nil {
		return nil, fmt.Errorf("%s is not an elementwise function of native histograms", name)
	}
	return &Histogram{node: node{operators.NamelessSchema(q, in)}, name: name, f: f}, nil
}

// Describe names the function.
func (h *Histogram) Describe() string { return h.name }

// Takes streams the vector.
func (*Histogram) Takes(int) operators.Edge { return operators.Stream }

// Process computes the function over a batch.
func (h *Histogram) Process(w *operators.Worker, b *operators.Batch) (*operators.Batch, error) {
	out := b
	if b.Shared {
		out = w.Like(b)
	}
	if b.H == nil {
		clear(out.Valid)
		return out, nil
	}
	n := len(b.F)
	var last *histogram.FloatHistogram
	var v float64
	for p := b.HValid.Next(0, n); p < n; p = b.HValid.Next(p+1, n) {
		// One sample often stands at several steps in a row.
		if b.H[p] != last {
			last = b.H[p]
			v = h.f(last)
		}
		out.F[p] = v
	}
	copy(out.Valid, b.HValid)
	out.RemoveHistograms()
	return out, nil
}

// histogramVariance takes all observations of a bucket to lie in one point: the middle of a custom bucket, zero in
// a bucket around it, else the geometric mean of the bounds.
func histogramVariance(h *histogram.FloatHistogram) float64 {
	mean := h.Sum / h.Count
	var sum, c float64
	for it := h.AllBucketIterator(); it.Next(); {
		bucket := it.At()
		if bucket.Count == 0 {
			continue
		}
		var at float64
		switch {
		case h.UsesCustomBuckets():
			at = (bucket.Upper + bucket.Lower) / 2
		case bucket.Lower <= 0 && bucket.Upper >= 0:
		default:
			at = math.Copysign(math.Sqrt(bucket.Upper*bucket.Lower), bucket.Upper)
		}
		delta := at - mean
		sum, c = kahansum.Inc(float64(bucket.Count*delta*delta), sum, c)
	}
	return (sum + c) / h.Count
}
