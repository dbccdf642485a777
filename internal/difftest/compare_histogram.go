package difftest

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
)

// point is a sample value: a histogram if h is set.
type point struct {
	f float64
	h *histogram.FloatHistogram
}

func (c Comparer) comparePoints(want, got point) string {
	if (want.h == nil) != (got.h == nil) {
		return fmt.Sprintf("want %s, got %s", want, got)
	}
	if want.h != nil {
		return c.compareHistograms(want.h, got.h)
	}
	if !c.equal(want.f, got.f) {
		return fmt.Sprintf("want %v, got %v (%s)", want.f, got.f, distance(want.f, got.f))
	}
	return ""
}

func (p point) String() string {
	if p.h != nil {
		return "histogram " + p.h.String()
	}
	return fmt.Sprintf("float %v", p.f)
}

// compareHistograms compares field by field. Buckets are compared by index
// and count, so that the layout of spans and empty buckets does not matter.
func (c Comparer) compareHistograms(want, got *histogram.FloatHistogram) string {
	if want == nil || got == nil {
		if want != got {
			return fmt.Sprintf("want histogram %v, got %v", want, got)
		}
		return ""
	}
	switch {
	case want.Schema != got.Schema:
		return fmt.Sprintf("want schema %d, got %d (%s, %s)", want.Schema, got.Schema, want, got)
	case !c.sameHints(want, got):
		return fmt.Sprintf("want counter reset hint %v, got %v", want.CounterResetHint, got.CounterResetHint)
	case !slices.Equal(want.CustomValues, got.CustomValues):
		return fmt.Sprintf("want custom values %v, got %v", want.CustomValues, got.CustomValues)
	}
	for _, f := range []struct {
		name      string
		want, got float64
	}{
		{"zero threshold", want.ZeroThreshold, got.ZeroThreshold},
		{"zero count", want.ZeroCount, got.ZeroCount},
		{"count", want.Count, got.Count},
		{"sum", want.Sum, got.Sum},
	} {
		if !c.equal(f.want, f.got) {
			return fmt.Sprintf("histogram %s: want %v, got %v (%s)", f.name, f.want, f.got, distance(f.want, f.got))
		}
	}
	if text := c.compareBuckets("positive", want.PositiveSpans, got.PositiveSpans, want.PositiveBuckets, got.PositiveBuckets); text != "" {
		return text
	}
	return c.compareBuckets("negative", want.NegativeSpans, got.NegativeSpans, want.NegativeBuckets, got.NegativeBuckets)
}

func (c Comparer) compareBuckets(side string, wantSpans, gotSpans []histogram.Span, want, got []float64) string {
	w, g := bucketWalk{spans: wantSpans, counts: want}, bucketWalk{spans: gotSpans, counts: got}
	for {
		wi, wc, wok := w.next()
		gi, gc, gok := g.next()
		switch {
		case !wok && !gok:
			return ""
		case wok != gok || wi != gi:
			return fmt.Sprintf("%s buckets: want %v %v, got %v %v", side, wantSpans, want, gotSpans, got)
		case !c.equal(wc, gc):
			return fmt.Sprintf("%s bucket %d: want %v, got %v (%s)", side, wi, wc, gc, distance(wc, gc))
		}
	}
}

// bucketWalk yields the buckets that are not empty.
type bucketWalk struct {
	spans  []histogram.Span
	counts []float64
	// index is that of the next bucket, left how many the present span still has.
	index int32
	left  uint32
}

func (b *bucketWalk) next() (index int32, count float64, ok bool) {
	for len(b.counts) > 0 {
		for b.left == 0 && len(b.spans) > 0 {
			b.index += b.spans[0].Offset
			b.left, b.spans = b.spans[0].Length, b.spans[1:]
		}
		index, count = b.index, b.counts[0]
		b.counts = b.counts[1:]
		b.index++
		b.left--
		if count != 0 {
			return index, count, true
		}
	}
	return 0, 0, false
}

// sameHints compares counter reset hints. Of series that are merged from several stores Prometheus
// forgets hints whenever it seeks, and merging chunks forgets those at their borders, so that there
// Unknown on either side says nothing.
func (c Comparer) sameHints(want, got *histogram.FloatHistogram) bool {
	if c.ignoreHints || want.CounterResetHint == got.CounterResetHint {
		return true
	}
	unknown := want.CounterResetHint == histogram.UnknownCounterReset || got.CounterResetHint == histogram.UnknownCounterReset
	gauge := want.CounterResetHint == histogram.GaugeType || got.CounterResetHint == histogram.GaugeType
	return c.merged && unknown && !gauge
}
