package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/run"
	"github.com/stride-promql/stride/bench/suite"
)

var tiers = map[string]suite.Tier{"smoke": suite.Smoke, "quick": suite.Quick, "full": suite.Full}

// selection are the flags that say what to run.
type selection struct {
	cache, source, tier, engines, datasets, queries, cpus *string
	timeout                                               *time.Duration
}

func addSelection(cmd *kingpin.CmdClause) *selection {
	return &selection{
		cache:    cacheFlag(cmd),
		source:   cmd.Flag("source", "Directory of the harness' source, with its peers.").Default(".").String(),
		tier:     cmd.Flag("tier", "Queries to run: smoke (tiny data), quick, or full, which has all but smoke's.").Default("quick").Enum("smoke", "quick", "full"),
		engines:  cmd.Flag("engines", "Engines, separated by commas. All if empty.").String(),
		datasets: cmd.Flag("datasets", "Data sets, separated by commas. All if empty.").String(),
		queries:  cmd.Flag("queries", "Regular expression that DATASET/QUERY has to match.").String(),
		cpus:     cmd.Flag("cpus", "Cores to pin engines to, separated by commas: 0,1. All cores if empty.").String(),
		timeout:  cmd.Flag("timeout", "Most time for one execution of a query.").Default("60s").Duration(),
	}
}

// config is the configuration that the flags ask for.
func (s *selection) config() (run.Config, error) {
	cache, err := filepath.Abs(*s.cache)
	if err != nil {
		return run.Config{}, err
	}
	c := run.Config{
		Source: *s.source, Cache: cache, Command: commandLine(), Tier: tiers[*s.tier], Timeout: *s.timeout,
		Progress: os.Stderr, Datasets: split(*s.datasets),
	}
	known := map[string]run.Engine{}
	for _, e := range run.Engines() {
		known[e.Name] = e
		if *s.engines == "" {
			c.Engines = append(c.Engines, e)
		}
	}
	for _, name := range split(*s.engines) {
		e, ok := known[name]
		if !ok {
			return c, errors.Newf("there is no engine %q", name)
		}
		c.Engines = append(c.Engines, e)
	}
	if *s.queries != "" {
		if c.Queries, err = regexp.Compile(*s.queries); err != nil {
			return c, errors.Wrap(err, "--queries")
		}
	}
	for _, n := range split(*s.cpus) {
		cpu, err := strconv.Atoi(n)
		if err != nil {
			return c, errors.Newf("--cpus: %q is not the number of a core", n)
		}
		c.CPUs = append(c.CPUs, cpu)
	}
	return c, os.MkdirAll(cache, 0o777)
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func addRun(cmd *kingpin.CmdClause) func(context.Context) error {
	s := addSelection(cmd)
	results := cmd.Flag("results", "File to add results to. By default one for each tier, in the cache.").String()
	cellTime := cmd.Flag("time", "Time for each query, if the least number of executions takes less.").Default("3s").Duration()
	strict := cmd.Flag("strict", "Fail if a cell is not ok; of Thanos, only if its program does not start or a query takes too long.").Bool()
	return func(ctx context.Context) error {
		c, err := s.config()
		if err != nil {
			return err
		}
		c.CellTime, c.Results = *cellTime, *results
		if c.Results == "" {
			c.Results = filepath.Join(c.Cache, "results-"+*s.tier+".jsonl")
		}
		r, err := run.New(ctx, c)
		if err != nil {
			return err
		}
		defer r.Close() //nolint:errcheck // The lock goes with the process, at the latest.
		cells, err := r.Run(ctx)
		fmt.Fprintf(os.Stderr, "%d cells in %s\n", len(cells), c.Results)
		switch {
		case ctx.Err() != nil:
			return errors.New("interrupted: the same command goes on from here")
		case err != nil || !*strict:
			return err
		}
		return check(cells)
	}
}

// check fails on cells that a test must not have: any of ours that is not ok, and of others those that a query is not to blame for.
func check(cells []record.Cell) error {
	bad, lacking := 0, 0
	for _, c := range cells {
		switch {
		case c.Status == record.OK:
			continue
		case c.Engine == run.Thanos && !c.NotStarted && c.Status != record.TimedOut:
			lacking++
			continue
		}
		fmt.Fprintf(os.Stderr, "%s/%s on %s: %s: %s\n", c.Dataset, c.Query, c.Engine, c.Status, c.Reason)
		bad++
	}
	if bad > 0 {
		return errors.Newf("%d of %d cells are not ok", bad, len(cells))
	}
	fmt.Printf("%d passed, 0 failed, %d that Thanos answers differently or not at all\n", len(cells)-lacking, lacking)
	return nil
}
