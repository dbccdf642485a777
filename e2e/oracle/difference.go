package oracle

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// Size is how many samples a value has.
func Size(v parser.Value) (n int) {
	for _, s := range asMatrix(v) {
		n += len(s.Floats) + len(s.Histograms)
	}
	return n
}

// asMatrix is any value as series.
func asMatrix(v parser.Value) promql.Matrix {
	switch v := v.(type) {
	case promql.Matrix:
		return v
	case promql.Vector:
		m := make(promql.Matrix, len(v))
		for i, s := range v {
			m[i].Metric = s.Metric
			if s.H != nil {
				m[i].Histograms = []promql.HPoint{{T: s.T, H: s.H}}
			} else {
				m[i].Floats = []promql.FPoint{{T: s.T, F: s.F}}
			}
		}
		return m
	case promql.Scalar:
		return promql.Matrix{{Floats: []promql.FPoint{{T: v.T, F: v.V}}}}
	}
	return nil
}

// tolerance is how far values may be apart: sums are made in another order.
const tolerance = 1e-9

// Difference says in what two values differ first, "" if in nothing.
func Difference(want, got parser.Value) string {
	w, g := asMatrix(want), asMatrix(got)
	byLabels := map[string]promql.Series{}
	for _, s := range g {
		byLabels[s.Metric.String()] = s
	}
	if len(w) != len(g) || len(byLabels) != len(g) {
		return fmt.Sprintf("%d series instead of %d", len(g), len(w))
	}
	for _, s := range w {
		o, ok := byLabels[s.Metric.String()]
		if !ok {
			return fmt.Sprintf("%s is missing", s.Metric)
		}
		if len(s.Floats) != len(o.Floats) || len(s.Histograms) != len(o.Histograms) {
			return fmt.Sprintf("%s has %d floats and %d histograms instead of %d and %d", s.Metric, len(o.Floats), len(o.Histograms), len(s.Floats), len(s.Histograms))
		}
		for i, p := range s.Floats {
			if q := o.Floats[i]; p.T != q.T || !near(p.F, q.F) {
				return fmt.Sprintf("%s is %g at %d instead of %g at %d", s.Metric, q.F, q.T, p.F, p.T)
			}
		}
		for i, p := range s.Histograms {
			if q := o.Histograms[i]; p.T != q.T || !nearHistogram(p.H, q.H) {
				return fmt.Sprintf("%s is %s at %d instead of %s at %d", s.Metric, q.H, q.T, p.H, p.T)
			}
		}
	}
	return ""
}

func near(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b))
}

func nearHistogram(a, b *histogram.FloatHistogram) bool {
	if !near(a.Count, b.Count) || !near(a.Sum, b.Sum) {
		return false
	}
	x, y := buckets(a), buckets(b)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i].Lower != y[i].Lower || x[i].Upper != y[i].Upper || !near(x[i].Count, y[i].Count) {
			return false
		}
	}
	return true
}

// buckets are those that are not empty.
func buckets(h *histogram.FloatHistogram) (all []histogram.Bucket[float64]) {
	for it := h.AllBucketIterator(); it.Next(); {
		if b := it.At(); b.Count != 0 {
			all = append(all, b)
		}
	}
	return all
}
