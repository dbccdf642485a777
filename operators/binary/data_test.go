package binary

import (
	"fmt"
	"math"
	"math/rand"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators/operatortest"
)

// profile says what kind of data to make.
type profile struct {
	steps      int
	series     int
	histograms float64 // part of samples
	invalid    bool    // histograms with an invalid layout too
	distinct   bool    // no two series of a side in a match group by x and y
	constant   bool    // a series has all samples
}

// randomRows makes the series of a side, called name1, name2 and so on.
func randomRows(rng *rand.Rand, name string, p profile) []operatortest.Series {
	var rows []operatortest.Series
	seen := map[string]bool{}
	for range p.series {
		lb := labels.NewBuilder(labels.EmptyLabels())
		x, y := fmt.Sprint(rng.Intn(4)), fmt.Sprint(rng.Intn(2))
		lb.Set("x", x)
		if rng.Intn(3) > 0 {
			lb.Set("y", y)
		}
		n := 1 + rng.Intn(2)
		if p.distinct {
			n = 1
		}
		lb.Set("__name__", fmt.Sprint(name, n))
		if rng.Intn(4) == 0 {
			lb.Set("__type__", []string{"gauge", "counter", "unknown"}[rng.Intn(3)])
		}
		if rng.Intn(6) == 0 {
			lb.Set("__unit__", "s")
		}
		if rng.Intn(2) == 0 {
			lb.Set("z", fmt.Sprint(name, rng.Intn(2)))
		}
		l := lb.Labels()
		key := l.String()
		if p.distinct {
			key = l.Get("x") + l.Get("y")
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		r := operatortest.NewSeries(l, p.steps)
		from, to := 0, p.steps
		if !p.constant && rng.Intn(2) == 0 {
			from = rng.Intn(p.steps)
			to = from + rng.Intn(p.steps-from+1)
		}
		holes := []float64{0, 0, 0.1, 0.6}[rng.Intn(4)]
		if p.constant {
			holes = 0
		}
		for i := from; i < to; i++ {
			switch {
			case rng.Float64() < holes:
			case rng.Float64() < p.histograms:
				r.Samples[i] = operatortest.Histogram(randomHistogram(rng, p.invalid))
			default:
				r.Samples[i] = operatortest.Float(randomFloat(rng))
			}
		}
		rows = append(rows, r)
	}
	return rows
}

func randomFloat(rng *rand.Rand) float64 {
	switch rng.Intn(20) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1)
	case 2:
		return rng.NormFloat64()
	case 3:
		return math.Copysign(0, -1)
	default:
		return float64(rng.Intn(7) - 2)
	}
}

func randomHistogram(rng *rand.Rand, invalid bool) *histogram.FloatHistogram {
	if invalid && rng.Intn(3) == 0 {
		return &histogram.FloatHistogram{
			Schema:          2,
			Count:           1,
			PositiveSpans:   []histogram.Span{{Offset: 0, Length: uint32(2 + rng.Intn(2))}},
			PositiveBuckets: []float64{1},
		}
	}
	h := &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(rng.Intn(4)),
		Count:            float64(3 + rng.Intn(3)),
		Sum:              float64(rng.Intn(20)),
		PositiveSpans:    []histogram.Span{{Offset: 0, Length: 2}},
		PositiveBuckets:  []float64{1, 2},
	}
	switch rng.Intn(4) {
	case 0:
		h.Schema = 1
	case 1:
		h.Schema = histogram.CustomBucketsSchema
		h.CustomValues = []float64{1, 2, 5}
	case 2:
		h.Schema = histogram.CustomBucketsSchema
		h.CustomValues = []float64{1, 3, 5}
	default:
		h.ZeroThreshold, h.ZeroCount = 0.001, float64(rng.Intn(2))
	}
	return h
}
