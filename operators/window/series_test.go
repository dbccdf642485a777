package window

import (
	"math"
	"math/rand"

	"github.com/prometheus/prometheus/model/histogram"
)

// profile says how a test series looks.
type profile struct {
	name   string
	value  func(rng *rand.Rand, prev float64) float64
	floats func(rng *rand.Rand, i int) bool // whether sample i is a float; nil: all are
	hist   func(rng *rand.Rand, prev *histogram.FloatHistogram) *histogram.FloatHistogram
	st     bool
}

func counterValue(rng *rand.Rand, prev float64) float64 {
	switch rng.Intn(12) {
	case 0:
		return float64(rng.Intn(5))
	case 1:
		return prev
	}
	return prev + float64(rng.Intn(1000))/7
}

func gaugeValue(rng *rand.Rand, _ float64) float64 { return rng.NormFloat64() * 100 }

func smallSetValue(rng *rand.Rand, _ float64) float64 {
	return []float64{0, 1, 1, 2, -3, math.Copysign(0, -1)}[rng.Intn(5)]
}

func wildValue(rng *rand.Rand, _ float64) float64 {
	switch rng.Intn(40) {
	case 0, 1:
		return math.NaN()
	case 2:
		return math.Inf(1)
	case 3:
		return math.Inf(-1)
	case 4:
		return 1e300
	case 5:
		return -1e300
	}
	return rng.NormFloat64() * math.Pow(10, float64(rng.Intn(20)-10))
}

func hugeValue(rng *rand.Rand, _ float64) float64 {
	return (rng.Float64()*2 - 0.7) * math.MaxFloat64
}

func cancellingValue(rng *rand.Rand, prev float64) float64 {
	if rng.Intn(2) == 0 && math.Abs(prev) > 1e10 {
		return -prev
	}
	switch rng.Intn(6) {
	case 0:
		return 1e18 * rng.NormFloat64()
	case 1:
		return 0
	}
	return rng.NormFloat64()
}

func nanRuns(rng *rand.Rand, prev float64) float64 {
	if math.IsNaN(prev) != (rng.Intn(15) == 0) {
		return math.NaN()
	}
	return rng.Float64()
}

func constantValue(*rand.Rand, float64) float64 { return 42.5 }

func exponential(rng *rand.Rand, schema int32) *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{
		Schema:          schema,
		ZeroThreshold:   0.001,
		ZeroCount:       float64(rng.Intn(3)),
		Sum:             rng.Float64() * 100,
		PositiveSpans:   []histogram.Span{{Offset: int32(rng.Intn(2)), Length: 3}},
		PositiveBuckets: []float64{float64(rng.Intn(4)), float64(rng.Intn(4)), 1},
	}
	if rng.Intn(3) == 0 {
		h.NegativeSpans = []histogram.Span{{Offset: 0, Length: 1}, {Offset: 1, Length: 1}}
		h.NegativeBuckets = []float64{1, float64(rng.Intn(3))}
	}
	return total(h)
}

func custom(rng *rand.Rand, bounds []float64) *histogram.FloatHistogram {
	return total(&histogram.FloatHistogram{
		Schema:          histogram.CustomBucketsSchema,
		Sum:             rng.Float64() * 100,
		PositiveSpans:   []histogram.Span{{Offset: 0, Length: uint32(len(bounds) + 1)}},
		PositiveBuckets: append([]float64{1, float64(rng.Intn(4)), 2, 0}[:len(bounds)], float64(rng.Intn(3))),
		CustomValues:    bounds,
	})
}

func total(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	h.Count = h.ZeroCount
	for _, b := range h.PositiveBuckets {
		h.Count += b
	}
	for _, b := range h.NegativeBuckets {
		h.Count += b
	}
	return h
}

// grown is a histogram counter's next value.
func grown(prev, inc *histogram.FloatHistogram) *histogram.FloatHistogram {
	h := prev.Copy()
	if _, _, _, err := h.Add(inc); err != nil {
		return inc
	}
	h.CounterResetHint = histogram.UnknownCounterReset
	return h
}

func counterHistogram(rng *rand.Rand, prev *histogram.FloatHistogram) *histogram.FloatHistogram {
	inc := exponential(rng, 2)
	switch {
	case prev == nil:
		return inc
	case rng.Intn(8) == 0:
		inc.CounterResetHint = []histogram.CounterResetHint{histogram.UnknownCounterReset, histogram.CounterReset}[rng.Intn(2)]
		return inc
	}
	h := grown(prev, inc)
	if rng.Intn(2) == 0 {
		h.CounterResetHint = histogram.NotCounterReset
	}
	return h
}

func gaugeHistogram(rng *rand.Rand, _ *histogram.FloatHistogram) *histogram.FloatHistogram {
	h := exponential(rng, int32(rng.Intn(3)))
	h.CounterResetHint = histogram.GaugeType
	if rng.Intn(60) == 0 {
		h.CounterResetHint = histogram.UnknownCounterReset
	}
	return h
}

func schemaHistogram(rng *rand.Rand, prev *histogram.FloatHistogram) *histogram.FloatHistogram {
	inc := exponential(rng, int32(rng.Intn(5)-1))
	if prev == nil || rng.Intn(8) == 0 {
		return inc
	}
	return grown(prev, inc)
}

func customHistogram(rng *rand.Rand, prev *histogram.FloatHistogram) *histogram.FloatHistogram {
	bounds := [][]float64{{1, 2, 5}, {1, 2, 5}, {1, 2, 5}, {1, 5}, {1, 2, 6}}[rng.Intn(5)]
	inc := custom(rng, bounds)
	if prev == nil || rng.Intn(6) == 0 {
		return inc
	}
	return grown(prev, inc)
}

func mixedHistogram(rng *rand.Rand, prev *histogram.FloatHistogram) *histogram.FloatHistogram {
	if rng.Intn(15) == 0 {
		return custom(rng, []float64{1, 2, 5})
	}
	if prev != nil && prev.UsesCustomBuckets() && rng.Intn(3) != 0 {
		return grown(prev, custom(rng, []float64{1, 2, 5}))
	}
	return counterHistogram(rng, prev)
}

func overflowHistogram(rng *rand.Rand, _ *histogram.FloatHistogram) *histogram.FloatHistogram {
	return exponential(rng, 1).Mul(math.MaxFloat64 / 20)
}

var profiles = []profile{
	{name: "counter", value: counterValue},
	{name: "counter with start timestamps", value: counterValue, st: true},
	{name: "gauge", value: gaugeValue},
	{name: "few values", value: smallSetValue},
	{name: "constant", value: constantValue},
	{name: "wild", value: wildValue},
	{name: "huge", value: hugeValue},
	{name: "cancelling", value: cancellingValue},
	{name: "NaN runs", value: nanRuns},
	{name: "infinities", value: func(rng *rand.Rand, _ float64) float64 {
		return []float64{math.Inf(1), math.Inf(-1), 1, 2, math.Inf(1), 3}[rng.Intn(6)]
	}},
	{name: "histogram counter", hist: counterHistogram},
	{name: "histogram counter with start timestamps", hist: counterHistogram, st: true},
	{name: "gauge histogram", hist: gaugeHistogram},
	{name: "schemas", hist: schemaHistogram},
	{name: "schemas with start timestamps", hist: schemaHistogram, st: true},
	{name: "custom buckets", hist: customHistogram},
	{name: "custom buckets with start timestamps", hist: customHistogram, st: true},
	{name: "custom and exponential", hist: mixedHistogram},
	{name: "overflow", hist: overflowHistogram},
	{name: "mixed", value: counterValue, hist: counterHistogram, floats: func(rng *rand.Rand, _ int) bool { return rng.Intn(2) == 0 }, st: true},
	{name: "mixed runs", value: gaugeValue, hist: gaugeHistogram, floats: func(_ *rand.Rand, i int) bool { return i/13%2 == 0 }},
}

// generate makes n samples from start on, about 15 s apart, with jitter and gaps.
func (p profile) generate(rng *rand.Rand, start int64, n int) []testSample {
	var (
		out  []testSample
		t    = start
		prev float64
		h    *histogram.FloatHistogram
		st   int64
		last int64
	)
	regular := rng.Intn(2) == 0
	for i := range n {
		s := testSample{t: t}
		if p.st {
			switch rng.Intn(10) {
			case 0:
				st = t - 1 - int64(rng.Intn(14000))
			case 1:
				st = last
			case 2:
				st = 0
			case 3:
				st = t + int64(rng.Intn(3)) - 1
			case 4:
				st = last - int64(rng.Intn(20000))
			}
			s.st = st
		}
		if p.hist == nil || p.floats != nil && p.floats(rng, i) {
			prev = p.value(rng, prev)
			s.f = prev
		} else {
			h = p.hist(rng, h)
			s.h = h
		}
		out = append(out, s)
		last = t
		t += 15000
		if !regular {
			t += int64(rng.Intn(4000)) - 2000
		}
		switch rng.Intn(60) {
		case 0:
			t += 400000
		case 1:
			t += 45000
		}
	}
	return out
}
