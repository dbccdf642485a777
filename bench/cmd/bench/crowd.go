package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"
	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/crowd"
	"github.com/stride-promql/stride/bench/run"
	"github.com/stride-promql/stride/bench/suite"
)

func addCrowd(cmd *kingpin.CmdClause) func(context.Context) error {
	cache := cacheFlag(cmd)
	queries := cmd.Flag("queries", "Number of queries at once.").Default("50").Int()
	limit := cmd.Flag("limit", "Bytes that they may hold together.").Default("1GiB").Bytes()
	memory := cmd.Flag("gomemlimit", "What the Go runtime tries to stay below.").Default("1843MiB").Bytes()
	most := cmd.Flag("most", "Resident memory that the process must stay below.").Default("2GiB").Bytes()
	return func(ctx context.Context) error {
		abs, err := filepath.Abs(*cache)
		if err != nil {
			return err
		}
		for _, d := range suite.Datasets() {
			if d.Name != "medium" {
				continue
			}
			dir, err := run.Data(ctx, abs, d, os.Stderr)
			if err != nil {
				return err
			}
			r, err := crowd.Run(ctx, crowd.Config{Dir: dir, End: d.End, Queries: *queries, Limit: int64(*limit), GoMemory: int64(*memory)}, os.Stderr)
			if err != nil {
				return err
			}
			const mib = 1 << 20
			fmt.Printf("%d queries at once, which would hold %d MiB together: %d right, %d refused, %d wrong\n", *queries, r.Naive/mib, r.Right, r.Refused, len(r.Wrong))
			fmt.Printf("accounted at most %d MiB of %d, resident at most %d MiB: %.2f of what was accounted\n",
				r.PeakAccounted/mib, int64(*limit)/mib, r.PeakResident/mib, float64(r.PeakResident)/float64(r.PeakAccounted))
			for _, w := range r.Wrong {
				fmt.Println(w)
			}
			if len(r.Wrong) > 0 || r.PeakResident > int64(*most) {
				return errors.New("the limit did not hold")
			}
			return nil
		}
		return errors.New("there is no data set medium")
	}
}
