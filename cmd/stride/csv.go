package main

import (
	"encoding/csv"
	"fmt"
	"io"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// writeCSV writes a line for each sample: its time in unix seconds, the labels, its value. Native histograms are
// written as Prometheus writes them in text.
func writeCSV(w io.Writer, r *result, _ view) error {
	out := csv.NewWriter(w)
	var names []string
	row := func(t int64, l labels.Labels, value string) {
		line := append(make([]string, 0, len(names)+2), formatSeconds(t))
		for _, n := range names {
			line = append(line, l.Get(n))
		}
		// The writer keeps its first error for the end.
		_ = out.Write(append(line, value))
	}
	header := func(of []string) {
		names = of
		_ = out.Write(append(append([]string{"timestamp"}, names...), "value"))
	}
	switch v := r.value.(type) {
	case promql.Vector:
		header(vectorLabelNames(v))
		for _, s := range v {
			row(s.T, s.Metric, csvValue(s.F, s.H))
		}
	case promql.Matrix:
		header(matrixLabelNames(v))
		for _, s := range v {
			eachPoint(s, func(t int64, f float64, h *histogram.FloatHistogram) {
				row(t, s.Metric, csvValue(f, h))
			})
		}
	case promql.Scalar:
		header(nil)
		row(v.T, labels.EmptyLabels(), formatValue(v.V))
	case promql.String:
		header(nil)
		row(v.T, labels.EmptyLabels(), v.V)
	default:
		return fmt.Errorf("results of type %s cannot be written as CSV", r.value.Type())
	}
	out.Flush()
	return out.Error()
}

func csvValue(f float64, h *histogram.FloatHistogram) string {
	if h != nil {
		return h.String()
	}
	return formatValue(f)
}
