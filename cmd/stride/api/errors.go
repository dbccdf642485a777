package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/engine"
)

// errorType is what kind of error the API says there was.
type errorType string

const (
	errorTimeout     errorType = "timeout"
	errorCanceled    errorType = "canceled"
	errorExec        errorType = "execution"
	errorBadData     errorType = "bad_data"
	errorInternal    errorType = "internal"
	errorUnavailable errorType = "unavailable"
	errorCostLimit   errorType = "cost_limit"
)

// statusClientClosedConnection is no status of the standard: it is for logs and metrics, as the client is gone.
const statusClientClosedConnection = 499

// status is the status code of answers with such an error.
func (t errorType) status() int {
	switch t {
	case errorBadData:
		return http.StatusBadRequest
	case errorExec, errorCostLimit:
		return http.StatusUnprocessableEntity
	case errorCanceled:
		return statusClientClosedConnection
	case errorTimeout, errorUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// apiError is an error as the API answers it.
type apiError struct {
	typ errorType
	err error
}

func badData(err error) *apiError { return &apiError{errorBadData, err} }

// invalidParameter is the error of a parameter whose value cannot be used.
func invalidParameter(name string, err error) *apiError {
	return badData(fmt.Errorf("invalid parameter %q: %w", name, err))
}

// executionError is the error of a query or of a storage.
func executionError(err error) *apiError {
	var (
		canceled promql.ErrQueryCanceled
		timeout  promql.ErrQueryTimeout
		storage  promql.ErrStorage
		series   promql.ErrTooManySeries
		samples  promql.ErrTooManySamplesRead
		memory   *engine.LimitError
	)
	switch {
	case errors.As(err, &canceled):
		return &apiError{errorCanceled, err}
	case errors.As(err, &timeout):
		return &apiError{errorTimeout, err}
	case errors.As(err, &series), errors.As(err, &samples):
		return &apiError{errorCostLimit, err}
	case errors.As(err, &storage):
		return &apiError{errorInternal, err}
	case errors.Is(err, context.Canceled):
		return &apiError{errorCanceled, err}
	case errors.As(err, &memory):
		// The same query may succeed when others have ended.
		return &apiError{errorUnavailable, err}
	}
	return &apiError{errorExec, err}
}

// constructionError is the error of a query that was not made.
func constructionError(err error) *apiError {
	var (
		ceiling  promql.ErrLimitAboveCeiling
		canceled promql.ErrQueryCanceled
		timeout  promql.ErrQueryTimeout
	)
	switch {
	case errors.As(err, &ceiling):
		return badData(err)
	case errors.As(err, &canceled), errors.As(err, &timeout):
		return executionError(err)
	}
	return invalidParameter("query", err)
}
