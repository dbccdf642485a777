package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/alecthomas/kingpin/v2"
	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/run"
	"github.com/stride-promql/stride/bench/suite"
)

func addData(cmd *kingpin.CmdClause) func(context.Context) error {
	cache := cacheFlag(cmd)
	names := cmd.Arg("name", "Data sets; all if none is named.").Strings()
	return func(ctx context.Context) error {
		dir, err := filepath.Abs(*cache)
		if err != nil {
			return err
		}
		found := 0
		for _, d := range suite.Datasets() {
			if len(*names) > 0 && !slices.Contains(*names, d.Name) {
				continue
			}
			found++
			at, err := run.Data(ctx, dir, d, os.Stderr)
			if err != nil {
				return err
			}
			fmt.Println(at)
		}
		if found < len(*names) {
			return errors.Newf("not all of %v are data sets: bench list shows them", *names)
		}
		return nil
	}
}

func addList(*kingpin.CmdClause) func(context.Context) error {
	return func(context.Context) error {
		for _, d := range suite.Datasets() {
			fmt.Printf("%s: %s\n", d.Name, d.Description)
			for _, q := range suite.Queries() {
				if q.Dataset == d.Name {
					fmt.Printf("  %-24s %s\n", q.Name, q.Expr)
				}
			}
		}
		return nil
	}
}
