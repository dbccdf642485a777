package operators

import (
	"fmt"
	"runtime"
)

// PanicError is a runtime panic of an operator, an optimizer or the storage as an error, worded as Prometheus words it.
type PanicError struct {
	Err   error
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return e.Err.Error() }

// Unwrap gives the panic's own error.
func (e *PanicError) Unwrap() error { return e.Err }

// Recover, deferred, turns a panic into the error of a query. A runtime error keeps its stack for the log.
func Recover(errp *error) {
	switch e := recover().(type) {
	case nil:
	case runtime.Error:
		buf := make([]byte, 64<<10)
		*errp = &PanicError{Err: fmt.Errorf("unexpected error: %w", e), Stack: buf[:runtime.Stack(buf, false)]}
	case error:
		*errp = e
	default:
		*errp = fmt.Errorf("%v", e)
	}
}
