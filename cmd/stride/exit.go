package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/operators"
)

// The exit codes. Scripts rely on them: a code keeps its meaning.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitTime        = 3
	exitStorage     = 4
	exitExpression  = 5
	exitNoData      = 6
	exitQuery       = 7
	exitLimit       = 8
	exitTimeout     = 9
	exitServer      = 10
	exitDifferent   = 11
	exitInterrupted = 130 // as a shell reports a process that SIGINT ended
)

const exitCodesHelp = `Exit codes: 0 success (an empty result is one), 1 other failure, such as output that cannot be written, ` +
	`2 wrong command, flag or argument, 3 time or step that is none, 4 data directory that cannot be read or written, ` +
	`5 expression that cannot be parsed, 6 no data in the time asked for, 7 failed evaluation, ` +
	`8 limit on samples or memory exceeded, 9 timeout, 10 server that cannot be asked or started, 11 answers that differ, 130 interrupted.`

// codedError is an error that decides the exit code.
type codedError struct {
	code   int
	err    error
	detail string // lines to print below the error, each ended
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// withCode is err, if there is one, with the exit code that it leads to.
func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code: code, err: err}
}

// report prints err as one line and what belongs below it, and returns the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, syscall.EPIPE) {
		// Whoever closed the pipe has seen enough.
		return exitFailure
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "stride: interrupted")
		return exitInterrupted
	}
	code, detail := exitFailure, ""
	var coded *codedError
	if errors.As(err, &coded) {
		code, detail = coded.code, coded.detail
	}
	fmt.Fprintf(stderr, "stride: %s\n%s", strings.Join(strings.Fields(err.Error()), " "), detail)
	return code
}

// evaluationError gives the error of a query's execution its exit code and, where a flag is a way out, names it.
func evaluationError(err error, f *engineFlags) error {
	var (
		canceled promql.ErrQueryCanceled
		timeout  promql.ErrQueryTimeout
		samples  promql.ErrTooManySamples
		storage  promql.ErrStorage
		budget   *operators.BudgetError
	)
	switch {
	case errors.As(err, &canceled):
		return context.Canceled
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return withCode(exitTimeout, fmt.Errorf("%w: --query.timeout is %s", err, f.timeout))
	case errors.As(err, &samples):
		return withCode(exitLimit, fmt.Errorf("%w: --query.max-samples is %d", err, f.maxSamples))
	case errors.As(err, &budget):
		return withCode(exitLimit, fmt.Errorf("%w: --query.memory-budget is %s", err, f.memoryBudget))
	case errors.As(err, &storage):
		return withCode(exitStorage, err)
	}
	return withCode(exitQuery, err)
}

// serverError gives the error of a query that a server was asked its exit code.
func serverError(err error) error {
	var answered *client.Error
	if !errors.As(err, &answered) {
		return withCode(exitServer, err)
	}
	code := exitServer
	switch answered.Type {
	case "bad_data":
		if code = exitUsage; strings.HasPrefix(answered.Text, invalidQuery) {
			code = exitExpression
		}
	case "execution":
		if code = exitQuery; strings.HasPrefix(answered.Text, promql.ErrTooManySamples("").Error()) {
			code = exitLimit
		}
	case "cost_limit":
		code = exitLimit
	case "timeout":
		code = exitTimeout
	}
	return withCode(code, err)
}

// invalidQuery is what the API puts before the error of an expression.
const invalidQuery = `invalid parameter "query": `
