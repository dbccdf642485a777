package downsampled

import (
	"strings"
	"time"

	"github.com/prometheus/prometheus/storage"
)

// Finest and Coarsest are the resolutions that there are of downsampled data: the lengths of windows.
const (
	Finest   = 5 * time.Minute
	Coarsest = time.Hour
)

// Reading is what a selector is read of.
type Reading struct {
	// Resolution is that of the coarsest data that will do; 0: samples alone.
	Resolution time.Duration
	// Aggregates are those that are read of downsampled data: one, or Count and Sum for the average of each window.
	Aggregates []Aggregate
}

// twoSamples are functions that give nothing for one sample: a range has to hold two windows.
var twoSamples = map[string]bool{
	"rate": true, "irate": true, "increase": true, "delta": true, "idelta": true, "deriv": true, "predict_linear": true,
	"holt_winters": true, "double_exponential_smoothing": true,
}

// ReadingFor says what a selector is read of where data of the given resolution will do, by the function that its hints name. It is what Thanos
// reads, but for resets(): no aggregate tells how many there were, and so it sees samples alone.
func ReadingFor(resolution time.Duration, h *storage.SelectHints) Reading {
	r := Reading{Resolution: resolution, Aggregates: []Aggregate{Count, Sum}}
	if h == nil {
		return r
	}
	if h.Range > 0 && twoSamples[h.Func] {
		r.Resolution = min(r.Resolution, time.Duration(h.Range/2)*time.Millisecond)
	}
	switch f := h.Func; {
	case f == "resets":
		r.Resolution = 0
	case f == "min" || strings.HasPrefix(f, "min_"):
		r.Aggregates = []Aggregate{Min}
	case f == "max" || strings.HasPrefix(f, "max_"):
		r.Aggregates = []Aggregate{Max}
	case f == "count" || strings.HasPrefix(f, "count_"):
		r.Aggregates = []Aggregate{Count}
	case strings.HasPrefix(f, "sum_"): // sum itself adds up values of series at one time
		r.Aggregates = []Aggregate{Sum}
	case f == "rate" || f == "increase" || f == "irate":
		r.Aggregates = []Aggregate{Counter}
	}
	return r
}

// Lookback is how far to look back for a sample where data of the given resolution will do: far enough for there to be one.
func Lookback(resolution, lookback time.Duration) time.Duration {
	switch {
	case resolution > max(Finest, lookback):
		return max(Coarsest, lookback)
	case resolution > lookback:
		return max(Finest, lookback)
	}
	return lookback
}
