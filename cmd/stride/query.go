package main

import (
	"context"
	"errors"

	"github.com/alecthomas/kingpin/v2"
)

// queryCommand evaluates one expression and writes the result.
type queryCommand struct {
	evaluationFlags
	format string
	width  int
}

func registerQuery(app *kingpin.Application) (string, command) {
	var q queryCommand
	cmd := app.Command("query", "Evaluate an expression: an instant query, or with --start, --end or --step a range query.")
	q.evaluationFlags.register(cmd)
	cmd.Flag("format", "table, json (as the HTTP API of Prometheus), csv or chart.").
		Default("table").EnumVar(&q.format, "table", "json", "csv", "chart")
	cmd.Flag("width", "Width of charts in characters; 0: that of the terminal.").Default("0").IntVar(&q.width)
	return cmd.FullCommand(), q.run
}

func (q *queryCommand) run(ctx context.Context, c *console) (err error) {
	if q.width < 0 {
		return withCode(exitUsage, errors.New("--width must not be negative"))
	}
	e, err := q.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	r, err := e.run(ctx)
	if r != nil {
		writeNotes(c.stderr, r)
	}
	if err != nil {
		return err
	}
	return writers[q.format](c.stdout, r, viewOf(c.stdout, q.width))
}
