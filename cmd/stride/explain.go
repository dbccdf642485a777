package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stride-promql/stride/engine"
)

// explainCommand shows how one expression is evaluated.
type explainCommand struct {
	evaluationFlags
	analyze bool
	format  string
}

func registerExplain(app *kingpin.Application) (string, command) {
	var e explainCommand
	cmd := app.Command("explain", "Show the plan by which an expression is evaluated.")
	e.evaluationFlags.register(cmd)
	cmd.Flag("analyze", "Evaluate the expression and show what each part of the plan did.").BoolVar(&e.analyze)
	cmd.Flag("format", "tree (text) or json.").Default("tree").EnumVar(&e.format, "tree", "json")
	return cmd.FullCommand(), e.run
}

func (x *explainCommand) run(ctx context.Context, c *console) (err error) {
	e, err := x.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	q, ok := e.query.(engine.ExplainableQuery)
	if !ok {
		return fmt.Errorf("queries of type %T cannot be explained", e.query)
	}
	explain := q.Explain
	if x.analyze {
		r, err := e.run(ctx)
		if r != nil {
			writeNotes(c.stderr, r)
		}
		if err != nil {
			return err
		}
		explain = q.Analyze
	}
	explanation := explain()
	if x.format == "json" {
		out := json.NewEncoder(c.stdout)
		out.SetEscapeHTML(false) // Expressions have comparison operators.
		out.SetIndent("", "  ")
		return out.Encode(explanation)
	}
	_, err = fmt.Fprintln(c.stdout, strings.TrimRight(explanation.String(), "\n"))
	return err
}
