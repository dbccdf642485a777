package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/tsdbdir"
)

// evaluationFlags say what to evaluate on what: the flags that query and explain have in common.
type evaluationFlags struct {
	expr   string
	dir    string
	dirSet bool
	times  timeFlags
	engine engineFlags
}

func (f *evaluationFlags) register(cmd *kingpin.CmdClause) {
	cmd.Arg("expr", "The PromQL expression, or - to read it from standard input.").Required().StringVar(&f.expr)
	cmd.Flag("tsdb.path", "Data directory of a Prometheus server. It is only read, also while the server runs.").
		Default(defaultPath).IsSetByUser(&f.dirSet).StringVar(&f.dir)
	f.times.register(cmd, "last")
	f.engine.register(cmd)
}

// evaluation is a query that can be run, with what it needs. It must be closed.
type evaluation struct {
	*session
	expr  string
	grid  grid
	query promql.Query
}

// open finds mistakes of the command line first, and opens the data directory, which may take a while, last.
func (f *evaluationFlags) open(ctx context.Context, c *console) (_ *evaluation, err error) {
	times, err := f.times.parse()
	if err != nil {
		return nil, err
	}
	expr, err := readExpression(f.expr, c.stdin)
	if err != nil {
		return nil, err
	}
	opts, parserOpts, err := f.engine.options()
	if err != nil {
		return nil, err
	}
	if _, err := parser.NewParser(parserOpts).ParseExpr(expr); err != nil {
		return nil, expressionError(expr, err)
	}
	s, err := openSession(ctx, f.dir, opts, &f.engine)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	g, err := s.grid(times)
	if err != nil {
		return nil, err
	}
	q, err := s.newQuery(ctx, expr, g)
	if err != nil {
		return nil, err
	}
	return &evaluation{session: s, expr: expr, grid: g, query: q}, nil
}

// Close frees everything. The result must have been written.
func (e *evaluation) Close() error {
	e.query.Close()
	return e.session.Close()
}

// run evaluates the query.
func (e *evaluation) run(ctx context.Context) (*result, error) {
	r, err := e.exec(ctx, e.query, e.expr, e.grid)
	if err != nil {
		return nil, err
	}
	if r.empty() {
		return r, e.checkData()
	}
	return r, nil
}

// checkData returns an error if the query asks for times at which there is no data at all.
func (e *evaluation) checkData() error {
	stmt, ok := e.query.Statement().(*parser.EvalStmt)
	if !ok || !selects(stmt.Expr) {
		return nil
	}
	mint, maxt := promql.FindMinMaxTime(stmt)
	var found string
	switch {
	case e.db.MinTime() > e.db.MaxTime():
		found = "there are no samples"
	case mint > e.db.MaxTime():
		found = "newest sample is " + formatTime(e.db.MaxTime())
	case maxt < e.db.MinTime():
		found = "oldest sample is " + formatTime(e.db.MinTime())
	default:
		return nil
	}
	return withCode(exitNoData, fmt.Errorf("no data between %s and %s: %s in %s", formatTime(mint), formatTime(maxt), found, e.dir))
}

// selects reports whether expr reads series.
func selects(expr parser.Expr) bool {
	return len(parser.ExtractSelectors(expr)) > 0
}

// session is a data directory and the engine that evaluates queries on it.
type session struct {
	dir    string
	db     *tsdbdir.DB
	engine *engine.Engine
	flags  *engineFlags
}

// defaultPath is where Prometheus keeps its data by default.
const defaultPath = "data/"

func openSession(ctx context.Context, dir string, opts engine.Opts, flags *engineFlags) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db, err := tsdbdir.Open(dir)
	switch {
	case err != nil && dir == defaultPath:
		return nil, withCode(exitStorage, fmt.Errorf("%w: that is the default of --tsdb.path, which names the data directory", err))
	case err != nil:
		return nil, withCode(exitStorage, err)
	}
	return &session{dir: dir, db: db, engine: engine.New(opts), flags: flags}, nil
}

// Close closes the engine and the data directory, whose memory results point into.
func (s *session) Close() error {
	return withCode(exitStorage, errors.Join(s.engine.Close(), s.db.Close()))
}

// grid returns the times that a schedule means on this data.
func (s *session) grid(times schedule) (grid, error) {
	if times.needsLast() && s.db.MinTime() > s.db.MaxTime() {
		return grid{}, withCode(exitNoData, fmt.Errorf("no data: there are no samples in %s", s.dir))
	}
	return times.resolve(time.Now(), time.UnixMilli(s.db.MaxTime()))
}

func (s *session) newQuery(ctx context.Context, expr string, g grid) (promql.Query, error) {
	q, err := s.makeQuery(ctx, expr, g)
	if err != nil {
		return nil, expressionError(expr, err)
	}
	return q, nil
}

func (s *session) makeQuery(ctx context.Context, expr string, g grid) (promql.Query, error) {
	if g.instant {
		return s.engine.NewInstantQuery(ctx, s.db, nil, expr, g.end)
	}
	return s.engine.NewRangeQuery(ctx, s.db, nil, expr, g.start, g.end, g.step)
}

func (s *session) exec(ctx context.Context, q promql.Query, expr string, g grid) (*result, error) {
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, evaluationError(res.Err, s.flags)
	}
	return newResult(res, expr, g), nil
}

// newResult is what a query came to that did not fail.
func newResult(res *promql.Result, expr string, g grid) *result {
	r := &result{grid: g, value: res.Value}
	r.warnings, r.infos = res.Warnings.AsStrings(expr, 0, 0)
	slices.Sort(r.warnings)
	slices.Sort(r.infos)
	return r
}

// writeNotes writes the annotations of a result, one a line.
func writeNotes(w io.Writer, r *result) {
	for _, n := range r.warnings {
		fmt.Fprintf(w, "warning: %s\n", n)
	}
	for _, n := range r.infos {
		fmt.Fprintf(w, "info: %s\n", n)
	}
}
