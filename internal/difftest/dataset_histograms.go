package difftest

import (
	"fmt"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/histogram"
)

// walk returns n samples of a histogram that takes up to rate observations a
// sample and restarts with probability reset.
func walk(r *rand.Rand, h *histogramWalk, start, interval int64, n, rate int, reset float64, float bool) []Sample {
	out := make([]Sample, n)
	for i := range out {
		if r.Float64() < reset {
			h.reset()
		}
		h.observe(r.IntN(rate + 1))
		out[i].T = start + int64(i)*interval
		if float {
			out[i].FH = h.float()
		} else {
			out[i].H = h.integer()
		}
	}
	return out
}

// gauges turns histogram samples into gauge histograms.
func gauges(in []Sample) []Sample {
	for _, p := range in {
		if p.H != nil {
			p.H.CounterResetHint = histogram.GaugeType
		} else if p.FH != nil {
			p.FH.CounterResetHint = histogram.GaugeType
		}
	}
	return in
}

func exponentialData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "exponential_histograms", Interval: 30 * second, blocks: true}
	const n = 150
	for i, schema := range []int32{0, 1, 3, -1, 8, 0} {
		path := fmt.Sprintf("/%d", i)
		h := newHistogramWalk(r, schema)
		h.negative = i == 2
		s := walk(r, h, epoch, d.Interval, n, 6, 0.02, i%2 == 1)
		d.add(NativeHistogram, "request_duration", punched(r, s, 0.02), "path", path, "method", "get")

		// The schema, the zero threshold and the occasional NaN change with time.
		h = newHistogramWalk(r, schema)
		s = s[:0:0]
		for j := range n {
			if r.IntN(25) == 0 {
				h = newHistogramWalk(r, int32(r.IntN(4)))
				h.zeroThreshold = []float64{0, 1e-4, 0.5}[r.IntN(3)]
				h.negative = r.IntN(2) == 0
			}
			h.observe(1 + r.IntN(4))
			if r.IntN(40) == 0 {
				h.nan++
			}
			s = append(s, Sample{T: epoch + int64(j)*d.Interval, H: h.integer()})
		}
		d.add(NativeHistogram, "response_size", s, "path", path, "method", "get")
	}
	for i := range 4 {
		s := make([]Sample, 0, n)
		for j := range n {
			h := newHistogramWalk(r, int32(i))
			h.negative = i%2 == 0
			h.observe(r.IntN(20))
			s = append(s, Sample{T: epoch + int64(j)*d.Interval, FH: h.float()})
		}
		d.add(NativeHistogram, "queue_length", gauges(s), "path", fmt.Sprintf("/%d", i), "method", "get")
	}
	d.add(Counter, "requests_total", floats(epoch, d.Interval, n, growing(r, 5, 0.01)), "path", "/0", "method", "get")
	d.add(Counter, "requests_total", floats(epoch, d.Interval, n, growing(r, 5, 0.01)), "path", "/1", "method", "get")
	return d
}

func customBucketData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "custom_histograms", Interval: 30 * second, options: nil, blocks: true}
	layouts := [][]float64{{1, 5, 10}, {1, 5, 10, 20}, {0.5, 5, 20}, {-5, 0, 5}, {3, 4}, {1, 5, 10}}
	const n = 120
	for i, bounds := range layouts {
		zone := fmt.Sprint(i % 3)
		s := walk(r, newCustomWalk(r, bounds...), 0, d.Interval, n, 5, 0.02, i%2 == 0)
		d.add(NativeHistogram, "size", punched(r, s, 0.02), "id", fmt.Sprint(i), "zone", zone)

		h := newCustomWalk(r, bounds...)
		s = s[:0:0]
		for j := range n {
			if r.IntN(20) == 0 {
				h = newCustomWalk(r, layouts[r.IntN(len(layouts))]...)
			}
			h.observe(1 + r.IntN(3))
			s = append(s, Sample{T: int64(j) * d.Interval, H: h.integer()})
		}
		d.add(NativeHistogram, "shifting_size", s, "id", fmt.Sprint(i), "zone", zone)
	}
	for i := range 3 {
		s := walk(r, newCustomWalk(r, layouts[i]...), 0, d.Interval, n, 9, 0.3, true)
		d.add(NativeHistogram, "fill_level", gauges(s), "id", fmt.Sprint(i), "zone", fmt.Sprint(i))
	}
	d.add(Gauge, "weight", floats(0, d.Interval, n, wandering(r, 3, 1)), "id", "0", "zone", "0")
	d.add(Gauge, "weight", floats(0, d.Interval, n, wandering(r, 3, 1)), "id", "1", "zone", "1")
	return d
}

// mixedData has series that change between floats and histograms, and metrics
// whose series differ in type, schema family and counter reset hints.
func mixedData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "mixed", Interval: 30 * second, options: nil, blocks: true}
	const n = 120
	at := func(i int) int64 { return epoch + int64(i)*d.Interval }
	for i := range 8 {
		f := floats(epoch, d.Interval, n, growing(r, 9, 0.02))
		var h *histogramWalk
		if i%3 == 2 {
			h = newCustomWalk(r, 1, 2, 5)
		} else {
			h = newHistogramWalk(r, int32(i%3))
		}
		hs := walk(r, h, epoch, d.Interval, n, 5, 0.03, i%2 == 0)
		s := make([]Sample, 0, n)
		for j := range n {
			var takeFloat bool
			switch i % 4 {
			case 0:
				takeFloat = j < n/2 // float first, histogram later
			case 1:
				takeFloat = j/20%2 == 1 // long runs of each
			case 2:
				takeFloat = r.IntN(2) == 0 // interleaved
			case 3:
				takeFloat = j > n/2
			}
			if takeFloat {
				s = append(s, f[j])
			} else {
				s = append(s, hs[j])
			}
		}
		d.add(Mixed, "changing", punched(r, s, 0.02), "id", fmt.Sprint(i), "half", fmt.Sprint(i%2))
	}
	for i := range 6 {
		var s []Sample
		switch i % 3 {
		case 0:
			s = floats(epoch, d.Interval, n, growing(r, 9, 0.02))
		case 1:
			s = walk(r, newHistogramWalk(r, 1), epoch, d.Interval, n, 5, 0.02, false)
		case 2:
			s = walk(r, newCustomWalk(r, 1, 2, 5), epoch, d.Interval, n, 5, 0.02, true)
		}
		d.add(Mixed, "uneven_total", s, "id", fmt.Sprint(i), "half", fmt.Sprint(i%2))
	}
	// Exponential and custom buckets, counters and gauges, within one series.
	for i := range 3 {
		s := make([]Sample, 0, n)
		exp, custom := newHistogramWalk(r, 2), newCustomWalk(r, 1, 2, 5)
		for j := range n {
			h := exp
			if j/15%2 == i%2 {
				h = custom
			}
			h.observe(2)
			p := Sample{T: at(j), FH: h.float()}
			if r.IntN(20) == 0 {
				p.FH.CounterResetHint = histogram.GaugeType
			}
			s = append(s, p)
		}
		d.add(NativeHistogram, "schemes", s, "id", fmt.Sprint(i), "half", fmt.Sprint(i%2))
	}
	for i := range 4 {
		d.add(Gauge, "plain", floats(epoch, d.Interval, n, wandering(r, 2, 3)), "id", fmt.Sprint(i), "half", fmt.Sprint(i%2))
	}
	return d
}
