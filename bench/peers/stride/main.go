// Command stride is Stride as a peer of the benchmark harness.
package main

import (
	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/bench/peer"
	"github.com/stride-promql/stride/bench/peers/promqlpeer"
	"github.com/stride-promql/stride/engine"
)

func main() {
	peer.Serve(&promqlpeer.Engine{New: func(workers int) promql.QueryEngine {
		return engine.New(engine.Opts{EngineOpts: promqlpeer.Options(), Workers: workers})
	}})
}
