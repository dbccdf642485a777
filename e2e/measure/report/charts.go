package main

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	_ "gonum.org/v1/plot/vg/vgsvg" // SVG

	"github.com/stride-promql/stride/e2e/measure"
)

// mean is the geometric mean of what one mode has of what another one has.
func mean(all []*comparison, mode, of string, what func(measure.Result) float64) string {
	sum, n := 0.0, 0
	for _, c := range all {
		if v, ok := c.ratio(mode, of, what); ok && c.query != "series" && v > 0 {
			sum += math.Log(v)
			n++
		}
	}
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fx (%d)", math.Exp(sum/float64(n)), n)
}

// chart is bars of what modes have of what Stride's local execution has.
type chart struct {
	file, title string
	what        func(measure.Result) float64
}

var charts = []chart{
	{"distributed-latency.svg", "Latency as a share of Stride's local execution (less is better)", latency},
	{"distributed-memory.svg", "Memory of the root as a share of Stride's local execution (less is better)", rootPeak},
	{"distributed-bytes.svg", "Bytes to the root as a share of Stride's local execution (less is better)", wire},
}

var modes = []struct {
	mode  string
	color color.Color
}{
	{measure.ThanosLocal, color.RGBA{R: 0xff, G: 0xbb, B: 0x78, A: 0xff}},
	{measure.ThanosDistributed, color.RGBA{R: 0xff, G: 0x7f, B: 0x0e, A: 0xff}},
	{measure.Distributed, color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}},
}

// most is where bars end: those that go on are as long.
const most = 3

func (c chart) draw(all []*comparison, file string) error {
	p := plot.New()
	p.Title.Text = c.title
	p.Title.TextStyle.Font.Size, p.X.Label.TextStyle.Font.Size = font.Points(11), font.Points(9.5)
	var names []string
	width := vg.Points(4)
	values := make([]plotter.Values, len(modes))
	for i := len(all) - 1; i >= 0; i-- {
		names = append(names, fmt.Sprintf("%s: %s (%dk%s)", all[i].model, all[i].query, all[i].series/1000, map[bool]string{true: ", slow network"}[all[i].network != "direct"]))
		for m := range modes {
			v, _ := all[i].ratio(modes[m].mode, measure.Local, c.what)
			values[m] = append(values[m], min(v, most))
		}
	}
	for m := range modes {
		bars, err := plotter.NewBarChart(values[m], width)
		if err != nil {
			return err
		}
		bars.Horizontal, bars.Color, bars.LineStyle.Width = true, modes[m].color, 0
		bars.Offset = width * vg.Length(m-1)
		p.Add(bars)
		p.Legend.Add(modes[m].mode, bars)
	}
	one, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.5}, {X: 1, Y: float64(len(names)) - 0.5}})
	if err != nil {
		return err
	}
	p.Add(one)
	p.Legend.Top = true
	p.Legend.TextStyle.Font.Size = font.Points(9)
	p.NominalY(names...)
	p.Y.Tick.Label.Font.Size, p.X.Tick.Label.Font.Size = font.Points(8), font.Points(8)
	p.X.Min, p.X.Max = 0, most
	p.Y.Min, p.Y.Max = -0.6, float64(len(names))+3
	return p.Save(vg.Points(720), vg.Points(60+16*float64(len(names))), file)
}
