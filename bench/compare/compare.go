// Package compare says what got slower or heavier between two results of the harness.
package compare

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/stat"
)

// Options say what counts.
type Options struct {
	// Engines are the engines looked at; empty: all.
	Engines []string
	// Threshold is the least change that counts, as a share of the old value. Smaller ones, and those that the U-test does not tell from
	// noise, are none.
	Threshold float64
}

// Change is one measure of one query on one engine that changed.
type Change struct {
	Engine, Dataset, Query, Measure string
	Old, New                        float64 // medians
	P                               float64 // of the U-test
}

// Worse tells whether it became slower or heavier.
func (c Change) Worse() bool { return c.New > c.Old }

// Result is what a comparison found.
type Result struct {
	Compared int      // measures of cells that both have
	Changes  []Change // the worst first
	Broken   []string // cells that were fine and are not any more
}

// Bad tells whether anything got worse.
func (r *Result) Bad() bool {
	return len(r.Broken) > 0 || slices.ContainsFunc(r.Changes, Change.Worse)
}

// measures of a cell that are compared.
var measures = []struct {
	name   string
	values func(*record.Cell) []float64
}{
	{"wall", of(warm, func(s record.Sample) float64 { return s.Wall.Seconds() })},
	{"CPU", of(warm, func(s record.Sample) float64 { return s.CPU().Seconds() })},
	{"allocations", of(warm, func(s record.Sample) float64 { return float64(s.Allocs) })},
	{"peak memory", of(memory, func(s record.Sample) float64 { return float64(s.PeakGrowth) })},
}

func warm(c *record.Cell) []record.Sample   { return c.Warm }
func memory(c *record.Cell) []record.Sample { return c.Memory }

func of(samples func(*record.Cell) []record.Sample, value func(record.Sample) float64) func(*record.Cell) []float64 {
	return func(c *record.Cell) (out []float64) {
		for _, s := range samples(c) {
			out = append(out, value(s))
		}
		return out
	}
}

// Compare compares the cells that both have.
func Compare(before, after []record.Cell, o Options) *Result {
	type id struct{ engine, dataset, query string }
	old := map[id]*record.Cell{}
	for i := range before {
		c := &before[i]
		old[id{c.Engine, c.Dataset, c.Query}] = c
	}
	r := &Result{}
	for i := range after {
		n := &after[i]
		b := old[id{n.Engine, n.Dataset, n.Query}]
		if b == nil || b.Status != record.OK || len(o.Engines) > 0 && !slices.Contains(o.Engines, n.Engine) {
			continue
		}
		if n.Status != record.OK {
			r.Broken = append(r.Broken, fmt.Sprintf("%s/%s on %s: %s: %s", n.Dataset, n.Query, n.Engine, n.Status, n.Reason))
			continue
		}
		for _, m := range measures {
			r.compare(b, n, m.name, m.values(b), m.values(n), o.Threshold)
		}
	}
	slices.SortStableFunc(r.Changes, func(a, b Change) int {
		switch x, y := a.New/a.Old, b.New/b.Old; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return r
}

func (r *Result) compare(b, n *record.Cell, measure string, before, after []float64, threshold float64) {
	if len(before) == 0 || len(after) == 0 {
		return
	}
	r.Compared++
	p, differ := stat.Differ(before, after)
	x, y := stat.Of(before).Median, stat.Of(after).Median
	if !differ || x == 0 || y < x*(1+threshold) && x < y*(1+threshold) {
		return
	}
	r.Changes = append(r.Changes, Change{n.Engine, n.Dataset, n.Query, measure, x, y, p})
}

// Print writes what was found as a table.
func (r *Result) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, b := range r.Broken {
		fmt.Fprintf(t, "broken\t%s\n", b)
	}
	for _, c := range r.Changes {
		verdict := "better"
		if c.Worse() {
			verdict = "WORSE"
		}
		fmt.Fprintf(t, "%s\t%s\t%s/%s\t%s\t%+.1f%%\t%.4g -> %.4g\tp=%.3f\n", verdict, c.Engine, c.Dataset, c.Query, c.Measure, 100*(c.New/c.Old-1), c.Old, c.New, c.P)
	}
	fmt.Fprintf(t, "%d measures compared, %d changed, %d cells broken\n", r.Compared, len(r.Changes), len(r.Broken))
	return t.Flush()
}
