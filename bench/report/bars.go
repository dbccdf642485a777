package report

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// logBars are horizontal bars on a logarithmic scale, which plotter's cannot be, as theirs begin at 0. Bar i is at height i.
type logBars struct {
	values []float64
	base   float64 // where bars begin
	offset vg.Length
	width  vg.Length
	color  color.Color
}

// Plot implements plot.Plotter.
func (b *logBars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, v := range b.values {
		if v <= b.base {
			continue
		}
		mid := y(float64(i)) + b.offset
		c.FillPolygon(b.color, []vg.Point{
			{X: x(b.base), Y: mid - b.width/2}, {X: x(v), Y: mid - b.width/2},
			{X: x(v), Y: mid + b.width/2}, {X: x(b.base), Y: mid + b.width/2},
		})
	}
}

// Thumbnail implements plot.Thumbnailer.
func (b *logBars) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(b.color, []vg.Point{
		{X: c.Min.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Min.X, Y: c.Max.Y},
	})
}

// line is a vertical line.
type line struct{ at float64 }

// Plot implements plot.Plotter.
func (l *line) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	c.StrokeLine2(draw.LineStyle{Color: color.Black, Width: vg.Points(1)}, x(l.at), c.Min.Y, x(l.at), c.Max.Y)
}
