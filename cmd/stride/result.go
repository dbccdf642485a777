package main

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// result is what a query came to.
type result struct {
	grid            grid
	value           parser.Value
	warnings, infos []string
}

// dropAnnotations leaves out what PromQL says of the query. What servers warn of themselves stays, such as of data that is missing.
func (r *result) dropAnnotations() {
	if r == nil {
		return
	}
	promQL := func(note string) bool { return strings.HasPrefix(note, "PromQL ") }
	r.warnings, r.infos = slices.DeleteFunc(r.warnings, promQL), slices.DeleteFunc(r.infos, promQL)
}

// view is how much room there is to show a result.
type view struct {
	width  int
	height int // of a chart's plot
	lines  int // most series in a line chart, up to len(markers)
	color  bool
}

// writers are the formats of results by name.
var writers = map[string]func(io.Writer, *result, view) error{
	"table": writeTable,
	"chart": writeChart,
	"json":  writeJSON,
	"csv":   writeCSV,
}

func (r *result) empty() bool {
	switch v := r.value.(type) {
	case promql.Vector:
		return len(v) == 0
	case promql.Matrix:
		return len(v) == 0
	}
	return false
}

// eachPoint visits the samples of a series in order of time.
func eachPoint(s promql.Series, visit func(t int64, f float64, h *histogram.FloatHistogram)) {
	floats, histograms := s.Floats, s.Histograms
	for len(floats)+len(histograms) > 0 {
		if len(histograms) == 0 || len(floats) > 0 && floats[0].T <= histograms[0].T {
			visit(floats[0].T, floats[0].F, nil)
			floats = floats[1:]
			continue
		}
		visit(histograms[0].T, 0, histograms[0].H)
		histograms = histograms[1:]
	}
}

func vectorLabelNames(v promql.Vector) []string {
	names := map[string]struct{}{}
	for _, s := range v {
		addNames(names, s.Metric)
	}
	return sortedNames(names)
}

func matrixLabelNames(m promql.Matrix) []string {
	names := map[string]struct{}{}
	for _, s := range m {
		addNames(names, s.Metric)
	}
	return sortedNames(names)
}

func addNames(names map[string]struct{}, l labels.Labels) {
	l.Range(func(l labels.Label) { names[l.Name] = struct{}{} })
}

// sortedNames puts the metric name first, which is what one looks for first.
func sortedNames(names map[string]struct{}) []string {
	_, named := names[model.MetricNameLabel]
	delete(names, model.MetricNameLabel)
	sorted := slices.Sorted(maps.Keys(names))
	if named {
		sorted = slices.Insert(sorted, 0, model.MetricNameLabel)
	}
	return sorted
}
