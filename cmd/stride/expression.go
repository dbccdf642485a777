package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// fromStdin stands for the argument "-", which kingpin would make an empty one. No argument of a process can hold a
// NUL.
const fromStdin = "\x00"

// readExpression returns the expression given as an argument: itself, or what stdin holds if it is fromStdin.
func readExpression(arg string, stdin io.Reader) (string, error) {
	if arg != fromStdin {
		return arg, nil
	}
	b, err := io.ReadAll(stdin)
	if err != nil {
		return "", fmt.Errorf("reading the expression: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// expressionError gives the error of an expression its exit code and, where the error has a position, the line of the
// expression with a caret under it.
func expressionError(expr string, err error) error {
	coded := &codedError{code: exitExpression, err: err}
	var (
		all parser.ParseErrors
		one *parser.ParseErr
	)
	switch {
	case errors.As(err, &all) && len(all) > 0:
		coded.detail = caret(expr, int(all[0].PositionRange.Start))
	case errors.As(err, &one):
		coded.detail = caret(expr, int(one.PositionRange.Start))
	}
	return coded
}

// caret returns the line of expr that the byte at pos stands in and below it a caret. A position beyond the end is the
// end.
func caret(expr string, pos int) string {
	if expr == "" || pos < 0 {
		return ""
	}
	pos = min(pos, len(expr))
	start := strings.LastIndexByte(expr[:pos], '\n') + 1
	line, _, _ := strings.Cut(expr[start:], "\n")
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r // as wide as the one above it
		}
		return ' '
	}, expr[start:pos])
	return "  " + strings.TrimRight(line, "\r") + "\n  " + pad + "^\n"
}
