package window

import (
	"errors"

	"github.com/prometheus/prometheus/model/histogram"
)

// add adds other to h in place. Without an error, false says that their kinds of buckets do not go together, which n then tells. An
// error is an invalid layout of buckets.
func add(h, other *histogram.FloatHistogram, n *notes) (bool, error) {
	_, _, reconciled, err := h.Add(other)
	if err != nil {
		return false, incompatible(err, n)
	}
	if reconciled {
		*n |= noteMismatchedBucketsAdd
	}
	return true, nil
}

// subtract subtracts other from h in place; its results are those of add.
func subtract(h, other *histogram.FloatHistogram, n *notes) (bool, error) {
	_, _, reconciled, err := h.Sub(other)
	if err != nil {
		return false, incompatible(err, n)
	}
	if reconciled {
		*n |= noteMismatchedBucketsSub
	}
	return true, nil
}

// incompatible turns the error of an operation on histograms of different kinds into a note; any other stays an error.
func incompatible(err error, n *notes) error {
	if errors.Is(err, histogram.ErrHistogramsIncompatibleSchema) {
		*n |= noteMixedExponentialCustom
		return nil
	}
	return err
}
