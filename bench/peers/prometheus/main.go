// Command prometheus is Prometheus' own engine as a peer of the benchmark harness.
package main

import (
	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/bench/peer"
	"github.com/stride-promql/stride/bench/peers/promqlpeer"
)

func main() {
	peer.Serve(&promqlpeer.Engine{New: func(int) promql.QueryEngine { return promql.NewEngine(promqlpeer.Options()) }})
}
