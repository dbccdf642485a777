package remote

import (
	"errors"
	"fmt"
	"strings"
)

// QueryError is an error of the query, and not of the engine that found it: any other would have found it as well, so that it is
// reported as if it had been found at the root.
type QueryError struct{ Err error }

// Error implements error.
func (e *QueryError) Error() string { return e.Err.Error() }

// Unwrap gives the error alone.
func (e *QueryError) Unwrap() error { return e.Err }

// LimitError says that a query exceeds a limit of this process. No engine is to blame, and the query may not go without what it would be given
// if it were cheaper. Another node that asked for a part of a query is not told so: to it, this one has failed.
type LimitError struct{ Err error }

// Error implements error.
func (e *LimitError) Error() string { return e.Err.Error() }

// Unwrap gives the error alone.
func (e *LimitError) Unwrap() error { return e.Err }

// Blameless tells whether an error that an engine gave is none of its own: a *QueryError or a *LimitError. It is not to be made good by another
// engine, nor to become a warning.
func Blameless(err error) bool {
	var query *QueryError
	var limit *LimitError
	return errors.As(err, &query) || errors.As(err, &limit)
}

// EngineError says which engine failed, unless err says so already.
func EngineError(name string, err error) error {
	if strings.HasPrefix(err.Error(), prefix(name)) {
		return err
	}
	return fmt.Errorf("%s%w", prefix(name), err)
}

// prefix is how the text of an engine's error begins.
func prefix(name string) string { return "remote engine " + name + ": " }
