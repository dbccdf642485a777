package promqlpeer

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/bench/peer"
)

// Options are what the engines that are compared have in common.
func Options() promql.EngineOpts {
	return promql.EngineOpts{
		MaxSamples:               1 << 40, // none is in the way
		Timeout:                  time.Hour,
		LookbackDelta:            5 * time.Minute,
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		Parser:                   Parser(),
	}
}

// Parser knows all of the language.
func Parser() parser.Parser {
	return parser.NewParser(parser.Options{
		EnableExperimentalFunctions: true,
		EnableBinopFillModifiers:    true,
	})
}

// Engine is a promql.QueryEngine as a peer.
type Engine struct {
	// New makes it, to use so many workers.
	New func(workers int) promql.QueryEngine

	engine  promql.QueryEngine
	storage *Storage
}

// Open implements peer.Engine.
func (e *Engine) Open(dir string, workers int) (err error) {
	e.engine = e.New(workers)
	e.storage, err = OpenStorage(dir)
	return err
}

// Close implements peer.Engine.
func (e *Engine) Close() error { return e.storage.Close() }

// Execute implements peer.Engine.
func (e *Engine) Execute(ctx context.Context, q peer.Query) (peer.Result, error) {
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

// result is the answer of an execution.
type result struct {
	query promql.Query
	*promql.Result
}

// Close implements peer.Result.
func (r *result) Close() { r.query.Close() }
