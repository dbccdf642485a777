// Command thanos is the Thanos engine as a peer of the benchmark harness.
package main

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/thanos-io/promql-engine/engine"

	"github.com/stride-promql/stride/bench/peer"
)

func init() {
	// All of the language that the engine knows. Of anchored and smoothed selectors it would make plain ones.
	parser.EnableExperimentalFunctions = true
	parser.ExperimentalDurationExpr = true
}

func main() { peer.Serve(&thanos{}) }

// thanos implements peer.Engine.
type thanos struct {
	engine  promql.QueryEngine
	storage *view
}

// Open implements peer.Engine. Options are the engine's defaults, optimizers among them, with which Thanos runs it, and the limits
// of the other peers; it goes by GOMAXPROCS. What it does not support is an error: nothing falls back to Prometheus' engine.
func (e *thanos) Open(dir string, _ int) (err error) {
	e.engine = engine.New(engine.Opts{
		EngineOpts: promql.EngineOpts{
			MaxSamples:               1 << 40,
			Timeout:                  time.Hour,
			LookbackDelta:            5 * time.Minute,
			EnableAtModifier:         true,
			EnableNegativeOffset:     true,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		},
	})
	e.storage, err = openView(dir)
	return err
}

// Close implements peer.Engine.
func (e *thanos) Close() error { return e.storage.Close() }

// Execute implements peer.Engine.
func (e *thanos) Execute(ctx context.Context, q peer.Query) (peer.Result, error) {
	var (
		query promql.Query
		err   error
	)
	start := time.UnixMilli(q.Start)
	if q.Step == 0 {
		query, err = e.engine.NewInstantQuery(ctx, e.storage, nil, q.Expr, start)
	} else {
		query, err = e.engine.NewRangeQuery(ctx, e.storage, nil, q.Expr, start, time.UnixMilli(q.End), time.Duration(q.Step)*time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	res := query.Exec(ctx)
	if res.Err != nil {
		query.Close()
		return nil, res.Err
	}
	return &result{query, res}, nil
}

type result struct {
	query promql.Query
	*promql.Result
}

// Close implements peer.Result.
func (r *result) Close() { r.query.Close() }
