package engine

import (
	"errors"
	"strings"

	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/operators"
)

// errorsOfQueries are how the texts of errors begin that a query has for its data, whichever engine evaluates it: they have no types, here
// as little as in Prometheus.
var errorsOfQueries = []string{
	"found duplicate series for ",
	"multiple matches for labels: ",
	operators.ErrSameLabelset.Error(),
	"conflicting label: ",
	"this should be an info metric",
	"invalid label name ",
	"invalid destination label name in ",
	"invalid source label name in ",
	"invalid regular expression in ",
	"invalid smoothing factor",
	"invalid trend factor",
	"anchored modifier ",
	"smoothed modifier ",
	"Parameter value is NaN",
	"Ratio value is NaN",
	"Scalar value ",
}

// errorOfQuery is the error that the query itself has, if err is or wraps one; nil if it is the engine's: of its storage, of its limits, a
// panic, or a cancellation. Another engine, or the same one later, may evaluate the query.
func errorOfQuery(err error) error {
	var panicked *operators.PanicError
	if errors.As(err, &panicked) {
		return nil
	}
	for ; err != nil; err = errors.Unwrap(err) {
		text := err.Error()
		for _, begin := range errorsOfQueries {
			if strings.HasPrefix(text, begin) {
				return err
			}
		}
	}
	return nil
}

// ofLimit tells whether err says that a query exceeds a limit.
func ofLimit(err error) bool {
	var (
		samples promql.ErrTooManySamples
		read    promql.ErrTooManySamplesRead
		series  promql.ErrTooManySeries
	)
	return errors.Is(err, operators.ErrShortOfMemory) || errors.As(err, &samples) || errors.As(err, &read) || errors.As(err, &series)
}
