package promqlpeer

import (
	"fmt"
	"sort"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/bench/peer"
)

// Answer implements peer.Result.
func (r *result) Answer() (*peer.Answer, error) {
	a := &peer.Answer{}
	switch v := r.Value.(type) {
	case promql.Matrix:
		for _, s := range v {
			out := peer.Series{Labels: s.Metric.String()}
			for _, p := range s.Floats {
				out.T, out.F = append(out.T, p.T), append(out.F, p.F)
			}
			for _, p := range s.Histograms {
				out.HT, out.H = append(out.HT, p.T), append(out.H, text(p.H))
			}
			a.Series = append(a.Series, out)
		}
	case promql.Vector:
		for _, s := range v {
			out := peer.Series{Labels: s.Metric.String()}
			if s.H != nil {
				out.HT, out.H = []int64{s.T}, []string{text(s.H)}
			} else {
				out.T, out.F = []int64{s.T}, []float64{s.F}
			}
			a.Series = append(a.Series, out)
		}
	case promql.Scalar:
		a.Series = []peer.Series{{Labels: "{}", T: []int64{v.T}, F: []float64{v.V}}}
	default:
		return nil, fmt.Errorf("cannot compare an answer of type %T", v)
	}
	sort.Slice(a.Series, func(i, k int) bool { return a.Series[i].Labels < a.Series[k].Labels })
	return a, nil
}

// text is a histogram in a form that does not depend on how its spans are cut.
func text(h *histogram.FloatHistogram) string {
	s := fmt.Sprintf("count:%.17g sum:%.17g", h.Count, h.Sum)
	for it := h.AllBucketIterator(); it.Next(); {
		if b := it.At(); b.Count != 0 {
			s += fmt.Sprintf(" (%.17g,%.17g]:%.17g", b.Lower, b.Upper, b.Count)
		}
	}
	return s
}
