package remote

import (
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

// EngineError says which engine failed, unless err says so already.
func EngineError(name string, err error) error {
	if strings.HasPrefix(err.Error(), "remote engine "+name+": ") {
		return err
	}
	return fmt.Errorf("remote engine %s: %w", name, err)
}
