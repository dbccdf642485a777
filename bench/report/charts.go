package report

import (
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/efficientgo/core/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	_ "gonum.org/v1/plot/vg/vgsvg" // SVG

	"github.com/stride-promql/stride/bench/run"
	"github.com/stride-promql/stride/bench/stat"
)

// chart is a picture of the report.
type chart struct{ file, title string }

var colors = map[string]color.Color{
	run.Stride: color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff},
	run.Thanos: color.RGBA{R: 0xff, G: 0x7f, B: 0x0e, A: 0xff},
	run.Floor:  color.RGBA{R: 0xb0, G: 0xb0, B: 0xb0, A: 0xff},
}

const fontSize = 9.5

// shares are the ticks of the logarithmic scale.
var shares = func() (ticks plot.ConstantTicks) {
	for _, v := range []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2} {
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', -1, 64)})
	}
	return ticks
}()

// charts draws all charts into a folder.
func (m *model) charts(folder string) ([]chart, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, errors.Wrap(err, "folder of charts")
	}
	var out []chart
	for _, c := range []struct {
		file, title string
		measure     measure
		engines     []string
	}{
		{"bench-wall.svg", "Time by group of queries, as a share of Prometheus' (medium data)", wall, []string{run.Thanos, run.Stride, run.Floor}},
		{"bench-cpu.svg", "CPU time by group of queries, as a share of Prometheus' (medium data)", cpu, []string{run.Thanos, run.Stride, run.Floor}},
		{"bench-memory.svg", "Peak memory by group of queries, as a share of Prometheus' (medium data)", memory, []string{run.Thanos, run.Stride}},
	} {
		ok, err := m.byGroup(filepath.Join(folder, c.file), c.title, c.measure, c.engines)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, chart{c.file, c.title})
		}
	}
	return out, nil
}

// byGroup draws bars for each group, on a scale on which a tenth is as far from 1 as ten times.
func (m *model) byGroup(file, title string, x measure, engines []string) (bool, error) {
	names, by := m.groups(onDataset(mainDataset))
	if len(names) == 0 {
		return false, nil
	}
	p := plot.New()
	p.Title.Text = title
	p.Title.Padding = vg.Points(8)
	p.BackgroundColor = color.White
	p.X.Label.Text = "1 = Prometheus; less is better"
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.Padding = -vg.Points(24), vg.Points(2)
	// Browsers have a font of the same widths as this one; some room is left for those that have not.
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font = font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, fontSize)
	}
	p.Y.Padding = vg.Points(14)
	const width = 9
	least := 1.0
	all := make([]plotter.Values, len(engines))
	for i, e := range engines {
		for k := len(names) - 1; k >= 0; k-- { // bars begin at the bottom
			v, n := mean(by[names[k]], func(q *query) (stat.Estimate, bool) { return q.ratioTo(e, run.Prometheus, x) })
			if n == 0 {
				v = math.NaN()
			} else {
				least = min(least, v)
			}
			all[i] = append(all[i], v)
		}
	}
	floor := math.Pow(10, math.Floor(math.Log10(least)))
	for i, e := range engines {
		for k, v := range all[i] {
			if math.IsNaN(v) {
				all[i][k] = floor // no bar
			}
		}
		bars := &logBars{values: all[i], base: floor, offset: vg.Points(width * (float64(len(engines)-1)/2 - float64(i))), width: vg.Points(width - 1), color: colors[e]}
		p.Add(bars)
		p.Legend.Add(e, bars)
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Width = 0
	p.Add(grid, &line{at: 1})
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = shares
	p.X.Min, p.X.Max = floor, 2
	p.Y.Min, p.Y.Max = -0.7, float64(len(names))-0.3
	labels := make([]plot.Tick, len(names))
	for k := range names {
		labels[k] = plot.Tick{Value: float64(len(names) - 1 - k), Label: names[k]}
	}
	p.Y.Tick.Marker = plot.ConstantTicks(labels)
	height := vg.Points(float64(70 + len(names)*(width*len(engines)+10)))
	return true, errors.Wrap(p.Save(8*vg.Inch, height, file), "draw chart")
}
