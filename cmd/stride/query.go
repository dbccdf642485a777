package main

import (
	"context"
	"errors"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// queryCommand evaluates one expression and writes the result.
type queryCommand struct {
	evaluationFlags
	server serverFlags
	format string
	width  int
}

func registerQuery(app *kingpin.Application) (string, command) {
	var q queryCommand
	cmd := app.Command("query", "Evaluate an expression: an instant query, or with --start, --end or --step a range query.")
	q.evaluationFlags.register(cmd)
	q.server.register(cmd)
	cmd.Flag("format", "table, json (as the HTTP API of Prometheus), csv or chart.").
		Default("table").EnumVar(&q.format, "table", "json", "csv", "chart")
	cmd.Flag("width", "Width of charts in characters; 0: that of the terminal.").Default("0").IntVar(&q.width)
	return cmd.FullCommand(), q.run
}

func (q *queryCommand) run(ctx context.Context, c *console) (err error) {
	if q.width < 0 {
		return withCode(exitUsage, errors.New("--width must not be negative"))
	}
	if q.server.url != "" {
		r, err := q.ask(ctx, c)
		return q.write(c, r, err)
	}
	e, err := q.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	r, err := e.run(ctx)
	return q.write(c, r, err)
}

// write writes a result, unless there was an error, and its annotations.
func (q *queryCommand) write(c *console, r *result, err error) error {
	if r != nil {
		writeNotes(c.stderr, r)
	}
	if err != nil {
		return err
	}
	return writers[q.format](c.stdout, r, viewOf(c.stdout, q.width))
}

// ask evaluates the expression at a server.
func (q *queryCommand) ask(ctx context.Context, c *console) (*result, error) {
	if q.dirSet {
		return nil, withCode(exitUsage, errors.New("--url and --tsdb.path exclude each other: give the one that is to be asked"))
	}
	times, err := q.times.parse()
	if err != nil {
		return nil, err
	}
	g, err := times.withoutLast(moment{anchor: atNow}).resolveAtServer(time.Now())
	if err != nil {
		return nil, err
	}
	expr, err := readExpression(q.expr, c.stdin)
	if err != nil {
		return nil, err
	}
	s, err := q.server.open(&q.engine)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	r, err := s.evaluate(ctx, expr, g)
	if err != nil {
		return nil, serverError(err)
	}
	return r, nil
}
