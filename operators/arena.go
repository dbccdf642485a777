package operators

import "github.com/prometheus/prometheus/model/histogram"

// HistogramArena makes histograms with few allocations: structs and buckets are cut from blocks. It keeps no block that
// it has used up, and what it has made is the garbage collector's. One goroutine at a time may use it. The zero value is
// ready for use.
type HistogramArena struct {
	structs []histogram.FloatHistogram
	values  []float64
}

// Blocks of the arena. One histogram that is kept keeps its block, so that they are small.
const (
	arenaStructs = 32
	arenaValues  = 512
)

// New is a histogram with the fields of like, but with buckets of its own, of any values. Its spans and custom values are
// like's: who changes them copies them first.
func (a *HistogramArena) New(like *histogram.FloatHistogram) *histogram.FloatHistogram {
	if len(a.structs) == 0 {
		a.structs = make([]histogram.FloatHistogram, arenaStructs)
	}
	h := &a.structs[0]
	a.structs = a.structs[1:]
	*h = *like
	h.PositiveBuckets = a.floats(len(like.PositiveBuckets))
	h.NegativeBuckets = a.floats(len(like.NegativeBuckets))
	return h
}

// Copy is New with like's buckets.
func (a *HistogramArena) Copy(like *histogram.FloatHistogram) *histogram.FloatHistogram {
	h := a.New(like)
	copy(h.PositiveBuckets, like.PositiveBuckets)
	copy(h.NegativeBuckets, like.NegativeBuckets)
	return h
}

func (a *HistogramArena) floats(n int) []float64 {
	if n == 0 {
		return nil
	}
	if len(a.values) < n {
		a.values = make([]float64, max(n, arenaValues))
	}
	v := a.values[:n:n]
	a.values = a.values[n:]
	return v
}
