package main

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
)

// rawGap is how far apart the samples of a range selector may be to count as neighbours: Prometheus' default lookback.
const rawGap = 5 * 60 * 1000

// point is a value at a time in ms. That of a native histogram is its count of observations.
type point struct {
	t int64
	v float64
}

// traceOf returns the samples of a series in order of time.
func traceOf(s promql.Series) []point {
	points := make([]point, 0, len(s.Floats)+len(s.Histograms))
	eachPoint(s, func(t int64, f float64, h *histogram.FloatHistogram) {
		if h != nil {
			f = h.Count
		}
		points = append(points, point{t, f})
	})
	return points
}

// summary is a series in few numbers. NaN counts for first and last alone.
type summary struct{ first, last, min, max, avg float64 }

func summarize(points []point) summary {
	if len(points) == 0 {
		nan := math.NaN()
		return summary{nan, nan, nan, nan, nan}
	}
	s := summary{first: points[0].v, last: points[len(points)-1].v, min: math.NaN(), max: math.NaN()}
	sum, n := 0.0, 0.0
	for _, p := range points {
		if math.IsNaN(p.v) {
			continue
		}
		if n == 0 {
			s.min, s.max = p.v, p.v
		}
		s.min, s.max = min(s.min, p.v), max(s.max, p.v)
		sum += p.v
		n++
	}
	s.avg = sum / n
	return s
}

// span is the time that a chart shows, ends included, in ms.
type span struct {
	start, end int64
	gap        int64 // samples further apart than this have nothing between them
}

// spanOf returns the span of a range query, or that of the samples of a range selector.
func spanOf(m promql.Matrix, g grid) span {
	if !g.instant {
		return span{g.start.UnixMilli(), g.end.UnixMilli(), g.step.Milliseconds()}
	}
	sp := span{start: math.MaxInt64, end: math.MinInt64, gap: rawGap}
	for _, s := range m {
		eachPoint(s, func(t int64, _ float64, _ *histogram.FloatHistogram) {
			sp.start, sp.end = min(sp.start, t), max(sp.end, t)
		})
	}
	return sp
}

// sample returns what points show in so many columns across the span: the mean of the finite values in a column,
// a value between the neighbours where samples are sparse, NaN where there is nothing.
func (sp span) sample(points []point, columns int) []float64 {
	res := make([]float64, columns)
	width := float64(sp.end-sp.start) / float64(max(columns-1, 1))
	next := 0 // first point not before the column
	for c := range res {
		at := float64(sp.start) + float64(c)*width
		for next < len(points) && float64(points[next].t) < at-width/2 {
			next++
		}
		sum, n, end := 0.0, 0.0, next
		for ; end < len(points) && inColumn(float64(points[end].t), at, width); end++ {
			if v := points[end].v; !math.IsNaN(v) && !math.IsInf(v, 0) {
				sum += v
				n++
			}
		}
		switch {
		case end > next:
			res[c] = sum / n
		case next > 0 && next < len(points):
			res[c] = sp.between(points[next-1], points[next], at)
		default:
			res[c] = math.NaN()
		}
	}
	return res
}

func inColumn(t, at, width float64) bool { return t < at+width/2 || t == at }

// between returns the value at a time between two samples.
func (sp span) between(a, b point, at float64) float64 {
	if b.t-a.t > sp.gap || math.IsInf(a.v, 0) || math.IsInf(b.v, 0) {
		return math.NaN()
	}
	share := (at - float64(a.t)) / float64(b.t-a.t)
	return a.v*(1-share) + b.v*share
}

// finiteBounds returns the least and the greatest of values that are numbers; ok is false without any.
func finiteBounds(lines ...[]float64) (lo, hi float64, ok bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, line := range lines {
		for _, v := range line {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	return lo, hi, lo <= hi
}

var sparks = []rune("▁▂▃▄▅▆▇█")

// sparkline draws values in one line of text, from the least to the greatest of them.
func sparkline(values []float64) string {
	lo, hi, ok := finiteBounds(values)
	line := make([]rune, len(values))
	for i, v := range values {
		switch {
		case !ok || math.IsNaN(v):
			line[i] = ' '
		case lo == hi:
			line[i] = sparks[len(sparks)/2-1]
		default:
			// Halves, as the difference of two large floats may overflow.
			share := (v/2 - lo/2) / (hi/2 - lo/2)
			line[i] = sparks[int(math.Round(share*float64(len(sparks)-1)))]
		}
	}
	return string(line)
}
