package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// What charts are made of. Markers tell series apart without color; there are as many as a chart shows series.
var (
	markers = []rune("●◆▲■○◇△□✚✖")
	colors  = []int{34, 32, 33, 35, 36, 31, 94, 92, 93, 95} // SGR foregrounds
)

const (
	minPlotWidth  = 16
	defaultHeight = 13 // odd, so that the label in the middle is half of the sum of the others
)

// writeChart writes a result as chart draws it, or as a table if there is nothing to draw.
func writeChart(w io.Writer, r *result, v view) error {
	text := chart(r, v)
	if text == "" {
		return writeTable(w, r, v)
	}
	_, err := io.WriteString(w, text)
	return err
}

// chart draws series as lines and a vector as bars. It returns "" if there is nothing that can be drawn.
func chart(r *result, v view) string {
	switch value := r.value.(type) {
	case promql.Matrix:
		return lineChart(value, r.grid, v)
	case promql.Vector:
		return barChart(value, v)
	}
	return ""
}

func lineChart(m promql.Matrix, g grid, v view) string {
	shown := m[:min(len(m), v.lines)]
	sp := spanOf(m, g)
	traces := make([][]point, len(shown))
	values := make([][]float64, len(shown))
	for i, s := range shown {
		traces[i] = traceOf(s)
		values[i] = make([]float64, len(traces[i]))
		for j, p := range traces[i] {
			values[i][j] = p.v
		}
	}
	lo, hi, ok := finiteBounds(values...)
	if !ok {
		return ""
	}
	axis := newAxis(lo, hi, v.height)
	p := newPlot(max(v.width-axis.width-2, minPlotWidth), v.height)
	for i := range shown {
		p.draw(axis, sp.sample(traces[i], p.width), i)
	}

	var b strings.Builder
	for row := range p.height {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%*s %s%s", axis.width, axis.label(row), axis.tick(row), p.line(row, v.color)), " ") + "\n")
	}
	b.WriteString(timeAxis(sp, axis.width, p.width))
	for i, s := range shown {
		b.WriteString(paint(string(markers[i]), i, v.color) + " " + seriesName(s.Metric) + "\n")
	}
	if n := len(m) - len(shown); n > 0 {
		fmt.Fprintf(&b, "and %d more that are not drawn\n", n)
	}
	return b.String()
}

// timeAxis is the line below a plot with the times of its ends.
func timeAxis(sp span, indent, width int) string {
	line := strings.Repeat(" ", indent+1) + "└" + strings.Repeat("─", width) + "\n"
	start, end := formatTime(sp.start), formatTime(sp.end)
	if between := width - len(start) - len(end); between > 0 {
		start += strings.Repeat(" ", between) + end
	} else {
		start += " to " + end
	}
	return line + strings.Repeat(" ", indent+2) + start + "\n"
}

// axis maps values to the rows of a plot, the greatest to row 0.
type axis struct {
	lo, hi float64
	height int
	width  int // of its labels
}

func newAxis(lo, hi float64, height int) *axis {
	if lo == hi {
		// A flat line runs through the middle.
		margin := math.Abs(lo) / 2
		if margin == 0 {
			margin = 1
		}
		lo, hi = lo-margin, hi+margin
	}
	a := &axis{lo: lo, hi: hi, height: height}
	for row := range height {
		a.width = max(a.width, len(a.label(row)))
	}
	return a
}

// row returns the row of a finite value.
func (a *axis) row(v float64) int {
	share := (v/2 - a.lo/2) / (a.hi/2 - a.lo/2)
	return int(math.Round((1 - share) * float64(a.height-1)))
}

// label returns the value that a row stands for, for the top, middle and bottom ones.
func (a *axis) label(row int) string {
	if row != 0 && row != a.height-1 && row != a.height/2 {
		return ""
	}
	share := 1 - float64(row)/float64(max(a.height-1, 1))
	v := a.lo*(1-share) + a.hi*share
	if math.Abs(v) < 1e-9*max(math.Abs(a.lo), math.Abs(a.hi)) {
		v = 0 // what rounding leaves of it
	}
	return formatShort(v, 4)
}

func (a *axis) tick(row int) string {
	if a.label(row) == "" {
		return "│"
	}
	return "┤"
}

// plot is the cells of a line chart.
type plot struct {
	width, height int
	cells         []int8 // number of the series drawn there, -1 without one
}

func newPlot(width, height int) *plot {
	p := &plot{width: width, height: height, cells: make([]int8, width*height)}
	for i := range p.cells {
		p.cells[i] = -1
	}
	return p
}

// draw draws one value a column as series n, each joined to the one before it.
func (p *plot) draw(a *axis, values []float64, n int) {
	before := -1
	for x, v := range values {
		if math.IsNaN(v) {
			before = -1
			continue
		}
		row := a.row(v)
		from, to := row, row
		switch {
		case before >= 0 && before < row-1:
			from = before + 1
		case before > row+1:
			to = before - 1
		}
		for y := from; y <= to; y++ {
			p.cells[y*p.width+x] = int8(n)
		}
		before = row
	}
}

func (p *plot) line(row int, color bool) string {
	var b strings.Builder
	for _, n := range p.cells[row*p.width : (row+1)*p.width] {
		if n < 0 {
			b.WriteByte(' ')
		} else {
			b.WriteString(paint(string(markers[n]), int(n), color))
		}
	}
	return b.String()
}

// paint gives s the color of series n.
func paint(s string, n int, color bool) string {
	if !color {
		return s
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", colors[n], s)
}

func seriesName(l labels.Labels) string { return printable(l.String()) }

// barChart draws a bar for each float of v and puts the values of the rest among them. Negative values have lighter
// bars.
func barChart(v promql.Vector, vw view) string {
	var names, values []string
	var nameWidth, valueWidth int
	var greatest float64
	floats := 0
	for _, s := range v {
		name, value := seriesName(s.Metric), formatShort(s.F, 6)
		if s.H != nil {
			value = formatHistogram(s.H)
		} else {
			floats++
		}
		names, values = append(names, name), append(values, value)
		nameWidth = max(nameWidth, utf8.RuneCountInString(name))
		valueWidth = max(valueWidth, utf8.RuneCountInString(value))
		if abs := math.Abs(s.F); s.H == nil && !math.IsInf(abs, 0) && abs > greatest {
			greatest = abs
		}
	}
	if floats == 0 {
		return ""
	}
	room := max(vw.width-nameWidth-valueWidth-2, minPlotWidth)
	var b strings.Builder
	for i, s := range v {
		length := 0
		if abs := math.Abs(s.F); s.H == nil && greatest > 0 && abs <= greatest {
			length = int(math.Round(abs / greatest * float64(room)))
		}
		cell := "█"
		if s.F < 0 {
			cell = "░"
		}
		bar := strings.Repeat(cell, length)
		if bar != "" {
			bar = paint(bar, 0, vw.color) + " "
		}
		b.WriteString(names[i] + strings.Repeat(" ", nameWidth-utf8.RuneCountInString(names[i])) + " " + bar + values[i] + "\n")
	}
	return b.String()
}
