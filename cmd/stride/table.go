package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// trendWidth is the width of the sparkline in a table of series.
const trendWidth = 24

// writeTable writes a result as aligned columns: the labels, then the value or what a series looks like.
func writeTable(w io.Writer, r *result, _ view) error {
	switch v := r.value.(type) {
	case promql.Vector:
		return vectorTable(w, v, r.grid)
	case promql.Matrix:
		return matrixTable(w, v, r.grid)
	case promql.Scalar:
		_, err := fmt.Fprintf(w, "%s\n\nscalar at %s\n", formatValue(v.V), formatTime(v.T))
		return err
	case promql.String:
		_, err := fmt.Fprintf(w, "%s\n\nstring at %s\n", printable(v.V), formatTime(v.T))
		return err
	}
	return fmt.Errorf("results of type %s cannot be written as a table", r.value.Type())
}

func vectorTable(w io.Writer, v promql.Vector, g grid) error {
	names := vectorLabelNames(v)
	t := newTable(names, "value")
	for _, s := range v {
		if s.H != nil {
			t.leftFrom = len(names)
			t.row(names, s.Metric, formatHistogram(s.H))
			continue
		}
		t.row(names, s.Metric, formatValue(s.F))
	}
	return t.write(w, fmt.Sprintf("%s at %s", plural(len(v), "series"), formatTime(g.end.UnixMilli())))
}

func matrixTable(w io.Writer, m promql.Matrix, g grid) error {
	names := matrixLabelNames(m)
	t := newTable(names, "samples", "first", "last", "min", "max", "avg", "trend")
	t.leftFrom = len(names) + 6
	span := spanOf(m, g)
	histograms := false
	for _, s := range m {
		tr := traceOf(s)
		histograms = histograms || len(s.Histograms) > 0
		sum := summarize(tr)
		t.row(names, s.Metric, fmt.Sprint(len(tr)),
			formatShort(sum.first, 6), formatShort(sum.last, 6), formatShort(sum.min, 6), formatShort(sum.max, 6), formatShort(sum.avg, 6),
			sparkline(span.sample(tr, trendWidth)))
	}
	caption := plural(len(m), "series")
	if g.instant {
		caption += " at " + formatTime(g.end.UnixMilli())
	} else {
		caption += fmt.Sprintf(" from %s to %s, step %s", formatTime(g.start.UnixMilli()), formatTime(g.end.UnixMilli()), model.Duration(g.step))
	}
	if histograms {
		caption += "; of native histograms, the count of observations"
	}
	return t.write(w, caption)
}

func plural(n int, unit string) string {
	if n == 0 {
		return "no " + unit
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// table is text in columns: labels to the left, numbers to the right.
type table struct {
	rows      [][]string
	widths    []int
	rightFrom int // columns from here are aligned to the right,
	leftFrom  int // those from here to the left again; no less than rightFrom
}

func newTable(names []string, columns ...string) *table {
	t := &table{rightFrom: len(names), leftFrom: len(names) + len(columns)}
	var header []string
	for _, n := range names {
		header = append(header, printable(n))
	}
	t.add(append(header, columns...))
	return t
}

func (t *table) row(names []string, l labels.Labels, values ...string) {
	row := make([]string, 0, len(names)+len(values))
	for _, n := range names {
		row = append(row, printable(l.Get(n)))
	}
	t.add(append(row, values...))
}

func (t *table) add(row []string) {
	if t.widths == nil {
		t.widths = make([]int, len(row))
	}
	for i, cell := range row {
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
	}
	t.rows = append(t.rows, row)
}

// write writes the rows, unless there is only the header, and the caption below them.
func (t *table) write(w io.Writer, caption string) error {
	var b strings.Builder
	if len(t.rows) > 1 {
		for _, row := range t.rows {
			b.WriteString(strings.TrimRight(t.line(row), " ") + "\n")
		}
		b.WriteString("\n")
	}
	b.WriteString(caption + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *table) line(row []string) string {
	var b strings.Builder
	for i, cell := range row {
		if i > 0 {
			b.WriteString("  ")
		}
		pad := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell))
		if i >= t.rightFrom && i < t.leftFrom {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
	}
	return b.String()
}
