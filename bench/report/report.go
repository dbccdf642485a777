package report

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/run"
)

// Write makes a report of a results file: the text in the file out, charts beside it in the folder images.
func Write(results, out, images string) error {
	r, err := run.ReadResults(results)
	if err != nil {
		return err
	}
	m := newModel(r)
	rel, err := filepath.Rel(filepath.Dir(out), images)
	if err != nil {
		return errors.Wrap(err, "folder of charts")
	}
	charts, err := m.charts(images)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	m.write(&b, filepath.ToSlash(rel), charts)
	b.Write(distributed(out))
	return errors.Wrap(os.WriteFile(out, b.Bytes(), 0o666), "write report")
}

// distributed is the section of a report that measuring distributed execution writes, which stays as it is.
func distributed(file string) []byte {
	before, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	begin, end := []byte("<!-- distributed: begin -->"), []byte("<!-- distributed: end -->")
	from, to := bytes.Index(before, begin), bytes.Index(before, end)
	if from < 0 || to < from {
		return nil
	}
	return slices.Concat([]byte("\n"), before[from:to+len(end)], []byte("\n"))
}

func (m *model) write(w io.Writer, images string, charts []chart) {
	fmt.Fprintf(w, "# Benchmarks\n\n")
	fmt.Fprintf(w, "Made by the harness in [bench](bench/README.md); every number is computed from its results. Ratios are Stride's share of what the other took: "+
		"less than 1 is better, 0.2x is a fifth. The best peer of a query is the better one of Prometheus' engine and the Thanos engine whose answer is right.\n\n")
	m.how(w)
	fmt.Fprintf(w, "## Headline\n\nGeometric means of the groups' geometric means on medium data.\n\n")
	table(w, append([]string{"", "against the best peer"}, "against Prometheus", "against Thanos"), m.headline())
	for _, c := range charts {
		fmt.Fprintf(w, "![%s](%s/%s)\n\n", c.title, images, c.file)
	}
	m.writeTargets(w)
	for _, d := range m.run.Datasets {
		m.dataset(w, d)
	}
	m.windowTable(w)
	m.marked(w)
	fmt.Fprintf(w, "## What is left out\n\nMimir's engine is under the AGPL, and so no part of this; [bench/README.md](bench/README.md) says how anybody can add it, or "+
		"another engine, on a machine of their own.\n")
}

func (m *model) how(w io.Writer) {
	r := m.run
	fmt.Fprintf(w, "## How\n\n")
	fmt.Fprintf(w, "- Command: `%s`, %s\n", r.Command, r.Started.Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(w, "- Machine: %s, %d cores used, %.0f GiB, %s, load average %.2f at the start\n",
		r.Machine.CPU, r.Machine.Cores, float64(r.Machine.MemoryBytes)/(1<<30), r.Machine.Kernel, r.Machine.LoadAverage)
	var versions []string
	for k, v := range r.Versions {
		versions = append(versions, k+" "+v)
	}
	sort.Strings(versions)
	fmt.Fprintf(w, "- Versions: %s\n", strings.Join(versions, ", "))
	fmt.Fprintf(w, "- Each engine runs in a process of its own over the same TSDB; for each query all engines take turns, and the order changes from round to round. "+
		"Answers are compared with Prometheus' before anything is timed. Numbers are medians of %s executions after a first one that does not count; "+
		"intervals hold the median with a confidence of 95 %% (sign test). Peak memory is the growth of resident memory (VmHWM) over the process at rest, mapped pages of the data included, "+
		"of executions of its own.\n", m.executions())
	fmt.Fprintf(w, "- The floor fetches and decodes the chunks that a query needs once, on the same cores, and does nothing else. stride-1 and floor-1 are the same on one core.\n\n")
	var rows [][]string
	for _, d := range r.Datasets {
		rows = append(rows, []string{d.Name, d.Description, number(float64(d.Series)), number(float64(d.Samples)), fmt.Sprintf("%.0f MiB", float64(d.Bytes)/(1<<20))})
	}
	table(w, []string{"data set", "", "series", "samples", "on disk"}, rows)
}

// executions is how many there were of a query.
func (m *model) executions() string {
	least, most := math.MaxInt, 0
	for _, q := range m.queries {
		for _, c := range q.engines {
			if c.Status == record.OK {
				least, most = min(least, len(c.Warm)), max(most, len(c.Warm))
			}
		}
	}
	if most == 0 {
		return "no"
	}
	return fmt.Sprintf("%d to %d", least, most)
}

func (m *model) writeTargets(w io.Writer) {
	fmt.Fprintf(w, "## Targets\n\nAgainst the best peer where nothing else is said; over all data sets but the tiny one where none is named. The floor's is what an engine would reach that did nothing but fetch and decode. [docs/performance.md](docs/performance.md) says why targets are missed, and what would be needed.\n\n")
	var rows [][]string
	for _, t := range m.targets() {
		sign := "<="
		if t.least {
			sign = ">="
		}
		value := "not measured"
		if !math.IsNaN(t.value) {
			value = fmt.Sprintf("%.3g", t.value)
		}
		floor := ""
		if t.floor > 0 {
			floor = fmt.Sprintf("%.3g", t.floor)
		}
		rows = append(rows, []string{t.what, fmt.Sprintf("%s %.3g", sign, t.limit), value, floor, t.met(), t.note})
	}
	table(w, []string{"what", "target", "measured", "the floor's", "met", ""}, rows)
}

// dataset is the table of all queries on a data set.
func (m *model) dataset(w io.Writer, d record.Dataset) {
	names, by := m.groups(onDataset(d.Name))
	if len(names) == 0 {
		return
	}
	fmt.Fprintf(w, "## Data set %s\n\n", d.Name)
	for _, g := range names {
		fmt.Fprintf(w, "### %s on %s\n\n", g, d.Name)
		var rows [][]string
		for _, q := range by[g] {
			rows = append(rows, q.row())
		}
		table(w, []string{"query", "points", "Prometheus", "Thanos", "Stride", "wall, best peer", "CPU", "memory", "floor", "Stride/floor", "Prometheus/floor", "Thanos/floor"}, rows)
	}
}

func (q *query) row() []string {
	points := 0
	if c := q.engines[run.Prometheus]; c != nil {
		points = c.Points
	}
	row := []string{fmt.Sprintf("%s<br>`%s`", q.Query, strings.ReplaceAll(q.Expr, "|", "\\|")), number(float64(points))}
	for _, e := range []string{run.Prometheus, run.Thanos, run.Stride} {
		row = append(row, q.time(e))
	}
	if r, ok := q.ratio(wall); ok {
		text := fmt.Sprintf("**%.3fx**", r.Median)
		if !math.IsInf(r.Hi, 0) {
			text += fmt.Sprintf(" (%.3f–%.3f)", r.Lo, r.Hi)
		}
		row = append(row, text)
	} else {
		row = append(row, "")
	}
	for _, x := range []measure{cpu, memory} {
		if r, ok := q.ratio(x); ok {
			row = append(row, fmt.Sprintf("%.2fx", r.Median))
		} else {
			row = append(row, "")
		}
	}
	row = append(row, q.time(run.Floor))
	for _, e := range []string{run.Stride, run.Prometheus, run.Thanos} {
		if r, ok := q.ratioTo(e, run.Floor, wall); ok {
			row = append(row, fmt.Sprintf("%.2f", r.Median))
		} else {
			row = append(row, "")
		}
	}
	return row
}

// time is what an engine took, or how it failed.
func (q *query) time(engine string) string {
	c := q.engines[engine]
	if c == nil {
		return ""
	}
	if e, ok := q.of(engine, wall); ok {
		return seconds(e.Median)
	}
	return "_" + string(c.Status) + "_"
}

// windowTable shows what the length of a window costs.
func (m *model) windowTable(w io.Writer) {
	names, by := m.families()
	if len(names) == 0 {
		return
	}
	fmt.Fprintf(w, "## Length of windows\n\nStride's time for each sample that has to be decoded, in ns.\n\n")
	var rows [][]string
	width := 0
	for _, f := range names {
		row := []string{f}
		for _, q := range by[f] {
			text := ""
			if v, ok := q.perSample(); ok {
				text = fmt.Sprintf("%.1f (%s)", v*1e9, q.Query[strings.LastIndex(q.Query, "_")+1:])
			}
			row = append(row, text)
		}
		width = max(width, len(row))
		rows = append(rows, row)
	}
	header := append([]string{"function"}, make([]string, width-1)...)
	for i := range rows {
		for len(rows[i]) < width {
			rows[i] = append(rows[i], "")
		}
	}
	table(w, header, rows)
}

// marked lists the cells without numbers and why.
func (m *model) marked(w io.Writer) {
	why := map[string][]string{}
	for _, q := range m.queries {
		for _, e := range run.Engines() {
			if c := q.engines[e.Name]; c != nil && c.Status != record.OK {
				key := fmt.Sprintf("%s: %s: %s", c.Engine, c.Status, reason(c))
				if c.Status == record.Unsupported {
					key = fmt.Sprintf("%s on %s: %s: %s", c.Engine, c.Dataset, c.Status, reason(c))
				}
				why[key] = append(why[key], q.full())
			}
		}
	}
	if len(why) == 0 {
		return
	}
	fmt.Fprintf(w, "## Marked cells\n\nThese engines have no numbers for these queries, and are no best peer there.\n\n")
	var keys []string
	for k := range why {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if len(why[k]) > 6 {
			fmt.Fprintf(w, "- %s (%d queries)\n", k, len(why[k]))
			continue
		}
		fmt.Fprintf(w, "- %s (%s)\n", k, strings.Join(why[k], ", "))
	}
	fmt.Fprintln(w)
}

func table(w io.Writer, header []string, rows [][]string) {
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, r := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
	}
	fmt.Fprintln(w)
}

// number with a unit of thousands.
func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.1fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0fk", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}
