package gendata

import (
	"math"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/histogram"
)

// latency is the stream of observations behind a histogram: how many there are
// from scrape to scrape, and their median in seconds, which wanders.
type latency struct {
	rng    *rand.Rand
	step   float64
	median float64
}

func newLatency(r *rand.Rand, seconds float64) latency {
	return latency{rng: r, step: seconds * between(r, 0.05, 50), median: between(r, 0.01, 0.5)}
}

func (l *latency) next(s scrape) (n float64) {
	l.median = min(max(l.median*math.Exp(0.05*l.rng.NormFloat64()), 0.005), 1)
	noise := 1 + float64(0.3*l.rng.NormFloat64())
	return math.Floor(max(0, float64(l.step*load(s.t)*noise)) + l.rng.Float64())
}

// below returns the share of observations up to a bound: a log-logistic
// distribution of shape 2, whose tail is as long as that of latencies is.
func (l *latency) below(bound float64) float64 {
	r := l.median / bound
	return 1 / (1 + float64(r*r))
}

// mean of that distribution.
func (l *latency) mean() float64 { return l.median * math.Pi / 2 }

// classic is one series of a classic histogram. All parts of one draw the same
// observations; as rounding is monotone, buckets are cumulative at each scrape.
type classic struct {
	latency
	part  int
	total float64
}

func newClassic(r *rand.Rand, part int, seconds float64) floatProcess {
	return &classic{latency: newLatency(r, seconds), part: part}
}

func (c *classic) next(s scrape) float64 {
	if s.restart {
		c.total = 0
	}
	n := c.latency.next(s)
	switch c.part {
	case partSum:
		c.total += float64(n * c.mean())
		return c.total
	case partCount:
		c.total += n
	default:
		c.total += float64(n * c.below(classicBounds[c.part]))
	}
	return math.Floor(c.total)
}

// nativeNames are the native histograms, in the order of newNative's cases.
var nativeNames = []string{"rpc_duration_seconds", "rpc_queue_seconds", "rpc_handling_seconds"}

func (s *series) newNative(r *rand.Rand, seconds float64) histProcess {
	l := newLatency(r, seconds)
	switch s.pod.native(s.member) {
	case 0:
		e := &exponential{latency: l, schema: int32(r.IntN(4)), coarseFrom: math.MaxInt64}
		e.mirrored = r.IntN(4) == 0
		if r.IntN(4) == 0 {
			// A client that runs out of buckets halves its resolution.
			e.coarseFrom = s.from + int64(r.IntN(1000))
		}
		return e
	case 1:
		return &gaugeHistogram{latency: l, schema: int32(r.IntN(4))}
	default:
		return &customBuckets{latency: l, counts: make([]uint64, len(classicBounds))}
	}
}

// exponentialBuckets is how many buckets an exponential histogram may fill. The
// uppermost ends at 2^highest seconds.
const (
	exponentialBuckets = 40
	highest            = 2
)

// exponential is a counter of observations in exponential buckets. It begins
// with few of them and grows more, on both sides of zero if it is mirrored.
type exponential struct {
	latency
	schema     int32
	coarseFrom int64
	coarse     bool
	mirrored   bool

	positive, negative [exponentialBuckets]uint64
	zero               uint64
	sum                float64
}

func (e *exponential) next(s scrape) {
	if s.restart {
		*e = exponential{latency: e.latency, schema: e.schema, coarseFrom: e.coarseFrom, mirrored: e.mirrored}
	}
	e.coarse = s.k >= e.coarseFrom
	n := e.latency.next(s)
	if n == 0 {
		return
	}
	// Nobody counts each observation here: those of one scrape share a few
	// buckets around the median and the fewer the farther off.
	at := exponentialIndex(e.median, e.schema)
	for i, share := range []float64{0.4, 0.2, 0.2, 0.1, 0.05} {
		c := uint64(float64(n*share) + e.rng.Float64())
		off := (i + 1) / 2 // to either side in turn
		if i%2 == 1 {
			off = -off
		}
		b := min(max(at+off, 0), exponentialBuckets-1)
		e.positive[b] += c
		e.sum += float64(float64(c) * e.median)
		if e.mirrored {
			e.negative[b] += c / 2
			e.sum -= float64(float64(c/2) * e.median)
		}
	}
	if e.rng.Float64() < 0.1 {
		e.zero++
	}
}

// exponentialIndex returns in which of the histogram's buckets v falls.
func exponentialIndex(v float64, schema int32) int {
	fromTop := int(math.Floor((highest - math.Log2(v)) * float64(int(1)<<schema)))
	return min(max(exponentialBuckets-1-fromTop, 0), exponentialBuckets-1)
}

// exponentialOffset is the index that Prometheus gives to the first bucket.
func exponentialOffset(schema int32) int32 {
	return highest<<schema - exponentialBuckets + 1
}

func (e *exponential) build() (*histogram.Histogram, *histogram.FloatHistogram) {
	h := &histogram.Histogram{Schema: e.schema, ZeroThreshold: 1e-6, ZeroCount: e.zero, Sum: e.sum}
	positive, negative, offset := e.positive[:], e.negative[:], exponentialOffset(e.schema)
	if e.coarse {
		h.Schema--
		positive, negative = coarser(positive, offset), coarser(negative, offset)
		offset = coarserIndex(offset)
	}
	var above, below uint64
	h.PositiveSpans, h.PositiveBuckets, above = deltas(positive, offset)
	h.NegativeSpans, h.NegativeBuckets, below = deltas(negative, offset)
	h.Count = e.zero + above + below
	return h, nil
}

// coarser merges buckets into those of the next lower schema.
func coarser(counts []uint64, offset int32) []uint64 {
	res := make([]uint64, len(counts)/2+1)
	for i, c := range counts {
		res[coarserIndex(offset+int32(i))-coarserIndex(offset)] += c
	}
	return res
}

// coarserIndex returns where the bucket at index i goes then.
func coarserIndex(i int32) int32 { return (i + 1) >> 1 }

// deltas encodes the buckets that are not empty as spans and differences.
func deltas(counts []uint64, offset int32) (spans []histogram.Span, buckets []int64, total uint64) {
	var last int64
	next := int32(0) // index after the last span, counted as Prometheus does
	for i, c := range counts {
		if c == 0 {
			continue
		}
		total += c
		at := offset + int32(i)
		if len(spans) == 0 || at > next {
			spans = append(spans, histogram.Span{Offset: at - next})
		}
		spans[len(spans)-1].Length++
		next = at + 1
		buckets = append(buckets, int64(c)-last)
		last = int64(c)
	}
	return spans, buckets, total
}

// gaugeHistogram is a distribution at the moment, as a recording rule over
// rates leaves it: fractions that go up and down.
type gaugeHistogram struct {
	latency
	schema int32
	counts [exponentialBuckets]float64
}

func (g *gaugeHistogram) next(s scrape) {
	n := g.latency.next(s)
	at := exponentialIndex(g.median, g.schema)
	clear(g.counts[:])
	for i := max(at-3, 0); i < min(at+4, exponentialBuckets); i++ {
		g.counts[i] = n * (1 - g.rng.Float64()) // never 0 within the span
	}
}

func (g *gaugeHistogram) build() (*histogram.Histogram, *histogram.FloatHistogram) {
	fh := &histogram.FloatHistogram{CounterResetHint: histogram.GaugeType, Schema: g.schema, ZeroThreshold: 1e-6}
	for i, c := range g.counts {
		if c == 0 {
			continue
		}
		if len(fh.PositiveSpans) == 0 {
			fh.PositiveSpans = []histogram.Span{{Offset: exponentialOffset(g.schema) + int32(i)}}
		}
		fh.PositiveSpans[0].Length++
		fh.PositiveBuckets = append(fh.PositiveBuckets, c)
		fh.Count += c
	}
	fh.Sum = fh.Count * g.median
	return nil, fh
}

// customBuckets is a counter with the bounds of the classic histograms.
type customBuckets struct {
	latency
	counts []uint64
	sum    float64
}

func (c *customBuckets) next(s scrape) {
	if s.restart {
		clear(c.counts)
		c.sum = 0
	}
	n := c.latency.next(s)
	lower := 0.0
	for i, bound := range classicBounds {
		share := c.below(bound)
		c.counts[i] += uint64(math.Round(n * (share - lower)))
		lower = share
	}
	c.sum += float64(n * c.mean())
}

func (c *customBuckets) build() (*histogram.Histogram, *histogram.FloatHistogram) {
	h := &histogram.Histogram{Schema: histogram.CustomBucketsSchema, Sum: c.sum}
	// The bound of the last bucket, +Inf, goes without saying.
	h.CustomValues = classicBounds[:len(classicBounds)-1]
	h.PositiveSpans, h.PositiveBuckets, h.Count = deltas(c.counts, 0)
	return h, nil
}
