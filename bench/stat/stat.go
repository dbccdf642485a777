// Package stat is the statistics of the harness: medians with confidence intervals, ratios, geometric means, and whether two
// samples differ.
package stat

import (
	"math"

	"golang.org/x/perf/benchmath"
)

// confidence of all intervals.
const confidence = 0.95

// Estimate is a median and the interval that it lies in with a confidence of 95 %. With fewer than six values there is no such interval: Lo
// and Hi are infinite then.
type Estimate struct {
	Median, Lo, Hi float64
	N              int
}

// Of estimates the median of values by their order (the interval is that of the sign test), which assumes nothing about
// how they are distributed.
func Of(values []float64) Estimate {
	if len(values) == 0 {
		return Estimate{math.NaN(), math.NaN(), math.NaN(), 0}
	}
	s := benchmath.AssumeNothing.Summary(sample(values), confidence)
	return Estimate{s.Center, s.Lo, s.Hi, len(values)}
}

func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(values, &benchmath.DefaultThresholds)
}

// Ratio is a/b. Its interval is made from the ends of both intervals, and so is wider than need be: each is missed by at most
// one in twenty, both together by at most one in ten.
func Ratio(a, b Estimate) Estimate {
	return Estimate{a.Median / b.Median, a.Lo / b.Hi, a.Hi / b.Lo, min(a.N, b.N)}
}

// Min is the least of values, NaN if there are none.
func Min(values []float64) float64 {
	least := math.NaN()
	for _, v := range values {
		if !(v >= least) {
			least = v
		}
	}
	return least
}

// Max is the largest of values, NaN if there are none.
func Max(values []float64) float64 {
	most := math.NaN()
	for _, v := range values {
		if !(v <= most) {
			most = v
		}
	}
	return most
}

// GeometricMean of values, NaN if there are none.
func GeometricMean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(values)))
}

// Differ tells whether two samples differ, by the Mann-Whitney U-test at p < 0.05, and gives p.
func Differ(a, b []float64) (p float64, differ bool) {
	if len(a) == 0 || len(b) == 0 {
		return 1, false
	}
	c := benchmath.AssumeNothing.Compare(sample(a), sample(b))
	return c.P, c.P < 1-confidence
}
