package window

import (
	"math"

	"github.com/prometheus/prometheus/util/kahansum"
)

// stdvar is the population variance by Welford's recurrence with compensated sums.
func stdvar(w *floatWindow) float64 {
	var n, mean, cMean, squares, cSquares float64
	for _, v := range w.f {
		n++
		delta := v - (mean + cMean)
		mean, cMean = kahansum.Inc(delta/n, mean, cMean)
		squares, cSquares = kahansum.Inc(delta*(v-(mean+cMean)), squares, cSquares)
	}
	return (squares + cSquares) / n
}

// stddev is the population standard deviation.
func stddev(w *floatWindow) float64 { return math.Sqrt(stdvar(w)) }
