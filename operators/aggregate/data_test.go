package aggregate

import (
	"math"
	"math/rand"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stride-promql/stride/operators/operatortest"
)

// content is what kinds of samples random rows have.
type content struct {
	floats     func(*rand.Rand) float64
	histograms float64 // share of samples that are histograms
	extreme    bool    // histograms near overflow
	custom     bool    // histograms with custom buckets, too
	holes      float64 // share of steps without a sample
}

func fewValues(rnd *rand.Rand) float64 { return float64(rnd.Intn(3)) }

func anyValues(rnd *rand.Rand) float64 {
	switch rnd.Intn(12) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1 - 2*rnd.Intn(2))
	case 2:
		return math.Copysign(0, -1)
	case 3:
		return math.MaxFloat64 * (1 - 2*rnd.Float64())
	case 4:
		return math.SmallestNonzeroFloat64 * float64(rnd.Intn(9)-4)
	default:
		return rnd.NormFloat64() * math.Pow(10, float64(rnd.Intn(40)-20))
	}
}

func finiteValues(rnd *rand.Rand) float64 {
	return rnd.NormFloat64() * math.Pow(10, float64(rnd.Intn(30)-15))
}

func hugeValues(rnd *rand.Rand) float64 { return math.MaxFloat64 * (1 - rnd.Float64()/2) }

func nanOrFew(rnd *rand.Rand) float64 {
	if rnd.Intn(4) == 0 {
		return math.NaN()
	}
	return fewValues(rnd)
}

func randomRows(rnd *rand.Rand, n, steps int, c content) []operatortest.Series {
	rows := make([]operatortest.Series, n)
	for i := range rows {
		l := []string{"__name__", "m", "i", strconv.Itoa(i)}
		if rnd.Intn(5) > 0 {
			l = append(l, "g", strconv.Itoa(rnd.Intn(3)))
		}
		if rnd.Intn(5) > 0 {
			l = append(l, "z", strconv.Itoa(rnd.Intn(2)), "__unit__", "s")
		}
		rows[i] = operatortest.NewSeries(labels.FromStrings(l...), steps)
		holes := c.holes
		if rnd.Intn(4) == 0 {
			holes = 1 // a series without samples does not exist
		}
		for k := range steps {
			switch {
			case rnd.Float64() < holes:
			case rnd.Float64() < c.histograms:
				rows[i].Samples[k] = operatortest.Histogram(randomHistogram(rnd, c))
			default:
				rows[i].Samples[k] = operatortest.Float(c.floats(rnd))
			}
		}
	}
	return rows
}

func randomHistogram(rnd *rand.Rand, c content) *histogram.FloatHistogram {
	scale := 1.0
	if c.extreme && rnd.Intn(2) == 0 {
		scale = 4e307
	}
	n := 1 + rnd.Intn(4)
	buckets := make([]float64, n)
	count := 0.0
	for i := range buckets {
		buckets[i] = rnd.Float64() * scale
		count += buckets[i]
	}
	h := &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(rnd.Intn(4)),
		Sum:              rnd.NormFloat64() * scale,
		PositiveBuckets:  buckets,
		PositiveSpans:    []histogram.Span{{Offset: int32(rnd.Intn(3)), Length: uint32(n)}},
	}
	if c.custom && rnd.Intn(2) == 0 {
		h.Schema = histogram.CustomBucketsSchema
		h.PositiveSpans[0].Offset = 0
		h.CustomValues = []float64{1, 2, 3, 4}
		if rnd.Intn(3) == 0 {
			h.CustomValues = []float64{1, 2.5, 3, 4, 5}
		}
	} else {
		h.Schema = int32(rnd.Intn(3))
		h.ZeroThreshold = []float64{0.001, 0.001, 2}[rnd.Intn(3)]
		h.ZeroCount = rnd.Float64()
		if h.ZeroThreshold > 1 {
			h.PositiveSpans[0].Offset = 7 // above the zero bucket in every schema
		}
		count += h.ZeroCount
		if rnd.Intn(2) == 0 {
			h.NegativeBuckets = []float64{rnd.Float64(), 0, rnd.Float64()}
			h.NegativeSpans = []histogram.Span{{Offset: 9, Length: 1}, {Offset: 2, Length: 2}}
			count += h.NegativeBuckets[0] + h.NegativeBuckets[2]
		}
	}
	h.Count = count
	return h
}
