package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stride-promql/stride/bench/compare"
	"github.com/stride-promql/stride/bench/report"
	"github.com/stride-promql/stride/bench/run"
)

func addReport(cmd *kingpin.CmdClause) func(context.Context) error {
	results := cmd.Flag("results", "Results file.").Required().ExistingFile()
	out := cmd.Flag("out", "File to write.").Default(filepath.Join("..", "BENCHMARKS.md")).String()
	images := cmd.Flag("images", "Folder for charts.").Default(filepath.Join("..", "docs", "img")).String()
	return func(context.Context) error {
		if err := report.Write(*results, *out, *images); err != nil {
			return err
		}
		fmt.Println(*out)
		return nil
	}
}

func addCompare(cmd *kingpin.CmdClause) func(context.Context) error {
	before := cmd.Arg("old", "Results from before.").Required().ExistingFile()
	after := cmd.Arg("new", "Results from after.").Required().ExistingFile()
	engines := cmd.Flag("engines", "Engines to look at, separated by commas. All if empty.").Default(run.Stride).String()
	threshold := cmd.Flag("threshold", "Least change that counts, as a share.").Default("0.1").Float64()
	return func(context.Context) error {
		a, err := run.ReadResults(*before)
		if err != nil {
			return err
		}
		b, err := run.ReadResults(*after)
		if err != nil {
			return err
		}
		r := compare.Compare(a.Cells, b.Cells, compare.Options{Engines: split(*engines), Threshold: *threshold})
		if err := r.Print(os.Stdout); err != nil {
			return err
		}
		if r.Bad() {
			os.Exit(1)
		}
		return nil
	}
}
