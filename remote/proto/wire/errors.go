package wire

import (
	"errors"

	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
)

// EncodeError gives the error of a query, with the type that it has in package promql.
func EncodeError(err error) *stridepb.Error {
	e := &stridepb.Error{Text: []byte(err.Error())}
	var q *remote.QueryError
	e.OfQuery = errors.As(err, &q)
	var (
		timeout     promql.ErrQueryTimeout
		canceled    promql.ErrQueryCanceled
		samples     promql.ErrTooManySamples
		series      promql.ErrTooManySeries
		samplesRead promql.ErrTooManySamplesRead
		storage     promql.ErrStorage
	)
	switch {
	case errors.As(err, &timeout):
		e.Kind, e.Value = stridepb.Error_QUERY_TIMEOUT, []byte(timeout)
	case errors.As(err, &canceled):
		e.Kind, e.Value = stridepb.Error_QUERY_CANCELED, []byte(canceled)
	case errors.As(err, &samples):
		e.Kind, e.Value = stridepb.Error_TOO_MANY_SAMPLES, []byte(samples)
	case errors.As(err, &series):
		e.Kind, e.Value = stridepb.Error_TOO_MANY_SERIES, []byte(series)
	case errors.As(err, &samplesRead):
		e.Kind, e.Value = stridepb.Error_TOO_MANY_SAMPLES_READ, []byte(samplesRead)
	case errors.As(err, &storage):
		e.Kind, e.Value = stridepb.Error_STORAGE, []byte(storage.Error())
	}
	return e
}

// DecodeError gives an error with the text and the type of the one that was encoded; a *remote.QueryError if that was one.
func DecodeError(e *stridepb.Error) error {
	var typed error
	switch value := string(e.Value); e.Kind {
	case stridepb.Error_EXECUTION:
	case stridepb.Error_QUERY_TIMEOUT:
		typed = promql.ErrQueryTimeout(value)
	case stridepb.Error_QUERY_CANCELED:
		typed = promql.ErrQueryCanceled(value)
	case stridepb.Error_TOO_MANY_SAMPLES:
		typed = promql.ErrTooManySamples(value)
	case stridepb.Error_TOO_MANY_SERIES:
		typed = promql.ErrTooManySeries(value)
	case stridepb.Error_TOO_MANY_SAMPLES_READ:
		typed = promql.ErrTooManySamplesRead(value)
	case stridepb.Error_STORAGE:
		typed = promql.ErrStorage{Err: errors.New(value)}
	default: // of a newer version: what its text says is still true
	}
	err := typed
	if text := string(e.Text); typed == nil {
		err = errors.New(text)
	} else if text != typed.Error() {
		err = &textError{text, typed}
	}
	if e.OfQuery {
		return &remote.QueryError{Err: err}
	}
	return err
}

// textError is an error around one of a known type.
type textError struct {
	text  string
	typed error
}

// Error is the text.
func (e *textError) Error() string { return e.text }

// Unwrap is the error of a known type.
func (e *textError) Unwrap() error { return e.typed }
