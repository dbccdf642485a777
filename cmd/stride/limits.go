package main

import (
	"errors"

	"github.com/alecthomas/kingpin/v2"
)

// limitFlags bound what other nodes get. Those of Thanos have its names.
type limitFlags struct {
	queued          int
	series, samples int64
}

func (f *limitFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("grpc.max-queued", "Most queries of other nodes that wait while --query.max-concurrency of them run; further ones are refused; 0: no limit.").
		Default("0").IntVar(&f.queued)
	cmd.Flag("store.limits.request-series", "Most series that another node gets for one request, which fails if there are more; 0: no limit.").
		Default("0").Int64Var(&f.series)
	cmd.Flag("store.limits.request-samples", "Most samples that another node gets for one request, which fails if there are more; 0: no limit.").
		Default("0").Int64Var(&f.samples)
}

func (f *limitFlags) check() error {
	if f.queued < 0 || min(f.series, f.samples) < 0 {
		return withCode(exitUsage, errors.New("--grpc.max-queued and --store.limits... must not be negative"))
	}
	return nil
}
