// Report writes what measuring distributed execution gave as a section of BENCHMARKS.md, between two marks, and charts beside it.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stride-promql/stride/e2e/measure"
)

const (
	begin = "<!-- distributed: begin -->"
	end   = "<!-- distributed: end -->"
)

func main() {
	results := flag.String("results", "", "Results file.")
	out := flag.String("out", "../BENCHMARKS.md", "File whose section is written.")
	images := flag.String("images", "../docs/img", "Folder for charts.")
	flag.Parse()
	r, err := measure.Read(*results)
	if err != nil {
		log.Fatal(err)
	}
	rel, err := filepath.Rel(filepath.Dir(*out), *images)
	if err != nil {
		log.Fatal(err)
	}
	all := group(r.Results)
	var section bytes.Buffer
	fmt.Fprintln(&section, begin)
	write(&section, r, all)
	for _, c := range charts {
		if err := c.draw(all, filepath.Join(*images, c.file)); err != nil {
			log.Fatal(err)
		}
		fmt.Fprintf(&section, "![%s](%s/%s)\n\n", c.title, filepath.ToSlash(rel), c.file)
	}
	tables(&section, all)
	fmt.Fprintln(&section, end)
	before, err := os.ReadFile(*out)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, replace(before, section.Bytes()), 0o666); err != nil {
		log.Fatal(err)
	}
	fmt.Println(*out)
}

// replace puts a section in the place of the one that is there, or at the end.
func replace(in, section []byte) []byte {
	from, to := bytes.Index(in, []byte(begin)), bytes.Index(in, []byte(end))
	if from < 0 || to < from {
		return append(append(bytes.TrimRight(in, "\n"), "\n\n"...), section...)
	}
	return bytes.Join([][]byte{in[:from], section, bytes.TrimLeft(in[to+len(end):], "\n")}, nil)
}

// comparison is one query on one deployment in all modes.
type comparison struct {
	model, network, query string
	series                int
	modes                 map[string]measure.Result
}

func (c *comparison) deployment() string {
	return fmt.Sprintf("%s, %s series, %s", c.model, thousands(c.series), c.network)
}

func group(results []measure.Result) (all []*comparison) {
	index := map[string]*comparison{}
	for _, r := range results {
		key := fmt.Sprint(r.Model, r.Network, r.Query, r.Series)
		c := index[key]
		if c == nil {
			c = &comparison{r.Model, r.Network, r.Query, r.Series, map[string]measure.Result{}}
			index[key] = c
			all = append(all, c)
		}
		c.modes[r.Mode] = r
	}
	return all
}

// ratio is what one mode has of what another one has, if both have an answer that is right.
func (c *comparison) ratio(mode, of string, what func(measure.Result) float64) (float64, bool) {
	a, b := c.modes[mode], c.modes[of]
	if a.Runs == 0 || b.Runs == 0 || a.Differs+b.Differs != "" || what(b) <= 0 {
		return 0, false
	}
	return what(a) / what(b), true
}

func latency(r measure.Result) float64  { return float64(r.P50) }
func rootPeak(r measure.Result) float64 { return float64(max(r.RootPeak, 0)) }
func wire(r measure.Result) float64     { return float64(r.Received) }
func cpu(r measure.Result) float64      { return float64(r.RootCPU + r.LeafCPU) }

func write(w *bytes.Buffer, r *measure.Results, all []*comparison) {
	fmt.Fprintf(w, "## Distributed against other execution\n\n")
	fmt.Fprintf(w, "Made by `%s` on %s (%s). Containers with real Prometheus v0.315.0 (3.15) and Thanos v0.42.4 below; a root and its leaves share two cores, in all modes in equal parts that none may exceed (of a root with two leaves %.2g, with four %.2g); what is below the leaves is not limited. Modes take turns, run by run; each root answers nothing but the query measured. Answers are compared before anything is timed.\n\n", r.Command, r.Started.Format("2006-01-02"), r.Machine, measure.Quota(2), measure.Quota(4))
	fmt.Fprintf(w, "- *%s*: a Stride root gives parts of queries to Stride leaves. *%s*: the same root fetches all samples from the same leaves.\n", measure.Distributed, measure.Local)
	fmt.Fprintf(w, "- *%s*, *%s*: a Thanos root over Thanos leaves on the same stores.\n", measure.ThanosDistributed, measure.ThanosLocal)
	fmt.Fprintf(w, "- Times are medians, and p95 where there were 100 runs, else the most. Root memory is the peak of resident memory above that at rest. Bytes are those that the root received per run.\n")
	fmt.Fprintf(w, "- Answers that differ from the first mode's are marked, with what differs first, and are in no ratio. In *pairs* replicas are equal to the byte, which spares Thanos decoding the second one")
	if slices.ContainsFunc(all, func(c *comparison) bool { return c.model == "pairs apart" }) {
		fmt.Fprintf(w, "; in *pairs apart* they scrape at different times")
	}
	fmt.Fprintf(w, ".\n\n")
	fmt.Fprintf(w, "Geometric means over all queries below but *series*, which nothing can be evaluated of, with how many there are:\n\n")
	table(w, shares(all))
	large := slices.DeleteFunc(slices.Clone(all), func(c *comparison) bool { return c.series < 100_000 || c.query == "sum, many groups" })
	if len(large) > 0 {
		fmt.Fprintf(w, "The same of 100,000 series and more, without *sum, many groups*, whose answer is nearly as large as what it is made of:\n\n")
		table(w, shares(large))
	}
	four := slices.DeleteFunc(slices.Clone(all), func(c *comparison) bool { return c.model != measure.FourLeaves })
	if len(four) > 0 {
		fmt.Fprintf(w, "The same of four leaves, with 100,000 series:\n\n")
		table(w, shares(four))
	}
	fmt.Fprintf(w, "All have the same part, so that distributed execution takes no less than a leaf takes to read and evaluate its part of the series (*CPU leaves*), and local execution no less than "+
		"the root takes to evaluate all of them (*CPU root*): the more leaves, the better. Some MiB of the root's memory are there whatever the query: *instant sum* receives a few KiB. "+
		"[docs/performance.md](docs/performance.md#distributed-execution) says what profiles show.\n\n")
}

// shares are the rows of a table of geometric means.
func shares(all []*comparison) [][]string {
	rows := [][]string{{"", "latency", "CPU of root and leaves", "root memory", "bytes to the root"}}
	for _, r := range []struct{ name, mode, of string }{
		{"Stride distributed, of Stride local", measure.Distributed, measure.Local},
		{"Stride distributed, of Thanos distributed", measure.Distributed, measure.ThanosDistributed},
		{"Stride distributed, of Thanos local", measure.Distributed, measure.ThanosLocal},
		{"Thanos distributed, of Thanos local", measure.ThanosDistributed, measure.ThanosLocal},
	} {
		row := []string{r.name}
		for _, what := range []func(measure.Result) float64{latency, cpu, rootPeak, wire} {
			row = append(row, mean(all, r.mode, r.of, what))
		}
		rows = append(rows, row)
	}
	return rows
}

func tables(w *bytes.Buffer, all []*comparison) {
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].deployment() == all[i].deployment() {
			j++
		}
		fmt.Fprintf(w, "### %s\n\n", all[i].deployment())
		var differs []string
		rows := [][]string{{"query", "mode", "runs", "p50", "p95 or most", "CPU root", "CPU leaves", "root memory", "root heap", "leaf resident", "to the root"}}
		for _, c := range all[i:j] {
			for _, mode := range measure.Modes {
				r, ok := c.modes[mode]
				switch {
				case !ok:
				case r.Failed != "":
					rows = append(rows, []string{c.query, mode, "failed: " + strings.ReplaceAll(r.Failed, "|", "\\|"), "", "", "", "", "", "", "", ""})
				default:
					if r.Differs != "" {
						mode += " (*)"
						differs = append(differs, fmt.Sprintf("- (*) %s, %s: %s", c.query, r.Mode, r.Differs))
					}
					rows = append(rows, []string{c.query, mode, fmt.Sprint(r.Runs), ms(r.P50), late(r), ms(r.RootCPU), ms(r.LeafCPU), mib(r.RootPeak), mib(r.RootHeap), mib(r.LeafPeak), kib(r.Received)})
				}
			}
		}
		table(w, rows)
		for _, d := range differs {
			fmt.Fprintln(w, d)
		}
		if len(differs) > 0 {
			fmt.Fprintln(w)
		}
		i = j
	}
}

func table(w *bytes.Buffer, rows [][]string) {
	for i, r := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(r)))
		}
	}
	fmt.Fprintln(w)
}

func ms(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
}

// late is how long the latest answers took: a p95 of few runs says nothing.
func late(r measure.Result) string {
	if r.P95 > 0 {
		return "p95 " + ms(r.P95)
	}
	return ms(r.Max)
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(max(n, 0))/(1<<20)) }
func kib(n int64) string { return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10)) }

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
