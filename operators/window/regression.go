package window

import (
	"math"

	"github.com/prometheus/prometheus/util/kahansum"
)

// deriv is the slope of the least-squares line. Times count from the window's first sample.
func deriv(w *floatWindow) float64 {
	slope, _ := fitLine(w.t, w.f, w.t[0])
	return slope
}

// predictLinear is the value of the least-squares line a number of seconds after the evaluation time.
func predictLinear(w *floatWindow) float64 {
	c := w.call
	slope, intercept := fitLine(w.t, w.f, c.Spec.Grid.Time(c.Steps.From+w.step))
	return float64(slope*c.param(0, w.step)) + intercept
}

// fitLine is simple linear regression by compensated sums; the intercept is the line's value at the time origin.
func fitLine(t []int64, f []float64, origin int64) (slope, intercept float64) {
	f = f[:len(t)]
	if isConstant(f) {
		if math.IsInf(f[0], 0) {
			return math.NaN(), math.NaN()
		}
		return 0, f[0]
	}
	var sumX, cX, sumY, cY, sumXY, cXY, sumX2, cX2 float64
	for i, ti := range t {
		x, y := float64(ti-origin)/1e3, f[i]
		sumX, cX = twoSum(x, sumX, cX)
		sumY, cY = twoSum(y, sumY, cY)
		sumXY, cXY = twoSum(float64(x*y), sumXY, cXY)
		sumX2, cX2 = twoSum(float64(x*x), sumX2, cX2)
	}
	if !finite(cX) || !finite(cY) || !finite(cXY) || !finite(cX2) {
		sumX, cX, sumY, cY, sumXY, cXY, sumX2, cX2 = 0, 0, 0, 0, 0, 0, 0, 0
		for i, ti := range t {
			x, y := float64(ti-origin)/1e3, f[i]
			sumX, cX = kahansum.Inc(x, sumX, cX)
			sumY, cY = kahansum.Inc(y, sumY, cY)
			sumXY, cXY = kahansum.Inc(float64(x*y), sumXY, cXY)
			sumX2, cX2 = kahansum.Inc(float64(x*x), sumX2, cX2)
		}
	}
	n := float64(len(t))
	sumX += cX
	sumY += cY
	sumXY += cXY
	sumX2 += cX2
	covariance := sumXY - float64(sumX*sumY/n)
	variance := sumX2 - float64(sumX*sumX/n)
	slope = covariance / variance
	return slope, sumY/n - float64(slope*sumX/n)
}

// isConstant tells whether all values are equal.
func isConstant(f []float64) bool {
	for _, v := range f {
		if v != f[0] {
			return false
		}
	}
	return true
}

// twoSum is kahansum.Inc where all is finite: Knuth's TwoSum finds the same error without a branch. Else the compensation is not finite.
func twoSum(v, sum, comp float64) (newSum, newComp float64) {
	t := sum + v
	d := t - sum
	return t, comp + ((sum - (t - d)) + (v - d))
}
