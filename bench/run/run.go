// Package run is the harness' driver: it makes data sets, builds peer programs, runs every query on every engine in turn, and
// writes down what that took.
package run

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/suite"
)

// Config says what to run, and how.
type Config struct {
	Source  string // directory of the harness
	Cache   string // for programs, data and answers
	Results string // file that results are added to
	Command string // as the user gave it, for the report

	Engines  []Engine
	Datasets []string       // names; empty: all
	Queries  *regexp.Regexp // on dataset/query; nil: all
	Tier     suite.Tier

	CPUs     []int         // cores to pin programs to; empty: none
	CellTime time.Duration // to spend on the rounds of one query, if the least number takes less
	Timeout  time.Duration // of one execution

	Progress io.Writer
}

// Runner runs queries. It is made by New, and must be closed.
type Runner struct {
	config   Config
	machine  record.Machine
	workers  int
	programs programs
	sums     map[string]string // of the programs
	lock     *cacheLock
}

// New takes the cache for itself and builds the programs.
func New(ctx context.Context, c Config) (_ *Runner, err error) {
	r := &Runner{config: c, workers: runtime.GOMAXPROCS(0), sums: map[string]string{}}
	if len(c.CPUs) > 0 {
		if err := checkCores(c.CPUs); err != nil {
			return nil, err
		}
		r.workers = len(c.CPUs)
	}
	if r.lock, err = lockCache(c.Cache); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = r.Close()
		}
	}()
	r.machine = thisMachine(r.workers)
	if r.machine.LoadAverage > 1 {
		fmt.Fprintf(c.Progress, "warning: the machine is busy (load average %.2f): numbers will not be worth much\n", r.machine.LoadAverage)
	}
	fmt.Fprintln(c.Progress, "building programs")
	if r.programs, err = build(ctx, c.Source, filepath.Join(c.Cache, "bin"), c.Engines); err != nil {
		return nil, err
	}
	for name, why := range r.programs.missing {
		r.sums[name] = "missing"
		fmt.Fprintf(c.Progress, "warning: engine %s takes no part: %s\n", name, why)
	}
	for name, file := range r.programs.files {
		if r.sums[name], err = sum(file); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Close gives the cache free for others.
func (r *Runner) Close() error { return r.lock.close() }

// work is a query that is to be run.
type work struct {
	dataset suite.Dataset
	query   suite.Query
}

// plan is what the configuration asks for, data set by data set.
func (r *Runner) plan() []work {
	var out []work
	for _, d := range suite.Datasets() {
		if len(r.config.Datasets) > 0 && !slices.Contains(r.config.Datasets, d.Name) {
			continue
		}
		for _, q := range suite.Queries() {
			switch {
			case q.Dataset != d.Name,
				q.Tier > r.config.Tier,
				q.Tier == suite.Smoke && r.config.Tier != suite.Smoke,
				r.config.Queries != nil && !r.config.Queries.MatchString(q.Dataset+"/"+q.Name):
				continue
			}
			out = append(out, work{d, q})
		}
	}
	return out
}

// Run runs what has not been run yet and gives all cells that the configuration asks for. What is finished when the context
// ends is kept.
func (r *Runner) Run(ctx context.Context) ([]record.Cell, error) {
	done := map[string]record.Cell{}
	if _, err := os.Stat(r.config.Results); err == nil {
		old, err := ReadResults(r.config.Results)
		if err != nil {
			return nil, err
		}
		for _, c := range old.Cells {
			done[c.Key] = c
		}
	}
	plan := r.plan()
	if len(plan) == 0 {
		return nil, errors.New("no query matches: look at the names of data sets and queries")
	}
	dirs := map[string]string{}
	info := record.Run{Started: time.Now().UTC(), Command: r.config.Command, Machine: r.machine, Versions: r.versions()}
	for _, w := range plan {
		if dirs[w.dataset.Name] != "" {
			continue
		}
		dir, err := Data(ctx, r.config.Cache, w.dataset, r.config.Progress)
		if err != nil {
			return nil, err
		}
		described, err := describe(w.dataset, dir)
		if err != nil {
			return nil, err
		}
		dirs[w.dataset.Name] = dir
		info.Datasets = append(info.Datasets, described)
	}
	if err := os.MkdirAll(filepath.Dir(r.config.Results), 0o777); err != nil {
		return nil, errors.Wrap(err, "write results")
	}
	out, err := openWriter(r.config.Results, info)
	if err != nil {
		return nil, err
	}
	defer out.close() //nolint:errcheck // Each line was flushed.
	return r.all(ctx, plan, dirs, done, out)
}

func (r *Runner) all(ctx context.Context, plan []work, dirs map[string]string, done map[string]record.Cell, out *writer) ([]record.Cell, error) {
	var (
		cells []record.Cell
		todo  []work
	)
	for _, w := range plan {
		if old, ok := r.finished(w, done); ok {
			cells = append(cells, old...)
		} else {
			todo = append(todo, w)
		}
	}
	if len(cells) > 0 {
		fmt.Fprintf(r.config.Progress, "%d of %d queries were run before\n", len(plan)-len(todo), len(plan))
	}
	begun, warm := time.Now(), ""
	for i, w := range todo {
		if err := ctx.Err(); err != nil {
			return cells, err
		}
		if w.dataset.Name != warm {
			warm = w.dataset.Name
			if err := readAll(dirs[warm]); err != nil {
				return cells, err
			}
		}
		fmt.Fprintf(r.config.Progress, "%d of %d%s: %s/%s\n", i+1, len(todo), left(time.Since(begun), i, len(todo)), w.dataset.Name, w.query.Name)
		measured, err := r.measure(ctx, w.dataset, w.query, dirs[w.dataset.Name])
		if err != nil {
			return cells, err
		}
		for _, c := range measured {
			if c.Status != record.OK && c.Status != record.Unsupported {
				fmt.Fprintf(r.config.Progress, "  %s: %s: %s\n", c.Engine, c.Status, c.Reason)
			}
			if err := out.write(c); err != nil {
				return cells, err
			}
		}
		cells = append(cells, measured...)
	}
	return cells, nil
}

// left estimates the time that is left after the first done of all.
func left(spent time.Duration, done, all int) string {
	if done == 0 {
		return ""
	}
	return fmt.Sprintf(", about %s left", (spent / time.Duration(done) * time.Duration(all-done)).Round(time.Second))
}

// finished gives the cells of a query if all engines have one with the key that it would get now: engines are compared
// within one run of a query only.
func (r *Runner) finished(w work, done map[string]record.Cell) ([]record.Cell, bool) {
	var out []record.Cell
	for _, c := range r.cells(w.dataset, w.query) {
		old, ok := done[c.record.Key]
		if !ok {
			return nil, false
		}
		out = append(out, old)
	}
	return out, true
}

// versions are those of the modules that the engines are built from, and of the tree.
func (r *Runner) versions() map[string]string {
	out := map[string]string{"go": runtime.Version()}
	git := exec.Command("git", "describe", "--always", "--dirty")
	git.Dir = r.config.Source
	// Without git there is a run all the same.
	if commit, err := git.Output(); err == nil {
		out["commit"] = strings.TrimSpace(string(commit))
	}
	for name, file := range r.programs.files {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			continue
		}
		for _, m := range info.Deps {
			switch m.Path {
			case "github.com/prometheus/prometheus":
				out[name+": prometheus"] = m.Version
			case "github.com/thanos-io/promql-engine":
				out[name+": promql-engine"] = m.Version
			}
		}
	}
	return out
}
