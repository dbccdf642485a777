package aggregate

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
)

// candidate is a sample that may be picked.
type candidate struct {
	f      float64
	h      *histogram.FloatHistogram
	series int32
}

// leastFirst is a container/heap of samples with the least at its root, NaN before all numbers and,
// as in Prometheus, before itself. A histogram counts as 0.
type leastFirst struct{ c []candidate }

func (h *leastFirst) Len() int { return len(h.c) }
func (h *leastFirst) Less(i, j int) bool {
	return math.IsNaN(h.c[i].f) || h.c[i].f < h.c[j].f
}
func (h *leastFirst) Swap(i, j int) { h.c[i], h.c[j] = h.c[j], h.c[i] }
func (h *leastFirst) Push(x any)    { h.c = append(h.c, x.(candidate)) }
func (h *leastFirst) Pop() any      { panic("aggregate: a heap of candidates only grows") }

// greatestFirst has the greatest at its root, NaN before all numbers.
type greatestFirst struct{ leastFirst }

func (h *greatestFirst) Less(i, j int) bool {
	return math.IsNaN(h.c[i].f) || h.c[i].f > h.c[j].f
}
