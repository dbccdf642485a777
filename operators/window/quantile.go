package window

import (
	"math"
	"slices"
	"sort"

	"github.com/prometheus/prometheus/util/annotations"

	"github.com/stride-promql/stride/internal/quantile"
	"github.com/stride-promql/stride/operators"
)

// overTime is quantile_over_time.
type overTime struct {
	w sortedWindow
}

func (k *overTime) Run(c *Call, out operators.Column) error {
	var (
		b    = c.Bounds
		bad  reported
		seen notes
	)
	k.w.reset()
	for i := range b.Lo {
		lo, hi := int(b.Lo[i]), int(b.Hi[i])
		if lo == hi {
			continue
		}
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			seen |= noteHistogramIgnored
		}
		q := c.param(0, i)
		if !(q >= 0 && q <= 1) && bad.add(q) {
			for _, p := range c.Pos {
				c.Query.AnnotateUse(annotations.NewInvalidQuantileWarning(q, p.First), p.Use)
			}
		}
		out.SetFloat(i, k.w.quantile(q, c.In.F, lo, hi))
	}
	c.annotate(seen, firstArg)
	return nil
}

// quantileOf is the quantile of sorted values: between two of them a weighted mean.
func quantileOf(q float64, sorted []float64) float64 {
	switch {
	case math.IsNaN(q):
		return math.NaN()
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(1)
	}
	rank := q * float64(len(sorted)-1)
	lower := int(math.Floor(rank))
	weight := rank - math.Floor(rank)
	if weight == 0 {
		return sorted[lower]
	}
	upper := min(lower+1, len(sorted)-1)
	return float64(sorted[lower]*(1-weight)) + float64(sorted[upper]*weight)
}

// deviation is mad_over_time, the median of the distances to the median.
type deviation struct {
	w         sortedWindow
	distances []float64
}

func (k *deviation) Run(c *Call, out operators.Column) error {
	b := c.Bounds
	var seen notes
	k.w.reset()
	for i := range b.Lo {
		lo, hi := int(b.Lo[i]), int(b.Hi[i])
		if lo == hi {
			continue
		}
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			seen |= noteHistogramIgnored
		}
		sorted := k.w.move(c.In.F, lo, hi)
		if v := sorted[0]; v != v { // NaN comes first
			out.SetFloat(i, math.NaN())
			continue
		}
		out.SetFloat(i, k.of(sorted))
	}
	c.annotate(seen, firstArg)
	return nil
}

func (k *deviation) of(sorted []float64) float64 {
	median := quantileOf(0.5, sorted)
	n := len(sorted)
	k.distances = resize(k.distances, n)
	if math.IsInf(sorted[0], -1) || math.IsInf(sorted[n-1], 1) {
		// Differences of infinities are NaN, in no order.
		for i, v := range sorted {
			k.distances[i] = math.Abs(v - median)
		}
		slices.Sort(k.distances)
		return quantileOf(0.5, k.distances)
	}
	// Going outwards from the median distances grow on either side: merge the two sides as far as the median needs.
	right := sort.SearchFloat64s(sorted, median)
	left := right - 1
	d := k.distances[:0]
	for len(d) <= n/2 {
		if right == n || left >= 0 && median-sorted[left] <= sorted[right]-median {
			d = append(d, median-sorted[left])
			left--
		} else {
			d = append(d, sorted[right]-median)
			right++
		}
	}
	if n%2 == 1 {
		return d[n/2]
	}
	return float64(d[n/2-1]*0.5) + float64(d[n/2]*0.5)
}

// sortedWindow keeps the values of a window, NaN first where they are in order.
type sortedWindow struct {
	lo, hi  int
	values  []float64
	ordered bool
}

func (w *sortedWindow) reset() { w.lo, w.hi, w.values, w.ordered = 0, 0, w.values[:0], true }

// overlaps says that the window [lo, hi) has so much of the last one that moving the order is worth while: a value is put in or
// taken out for the price of sorting about a dozen.
func (w *sortedWindow) overlaps(lo, hi int) bool { return (lo-w.lo+hi-w.hi)*12 < hi-lo }

// move brings the order to the window [lo, hi) of f, whose ends must not decrease, and returns it. It
// is valid until the next call.
func (w *sortedWindow) move(f []float64, lo, hi int) []float64 {
	if w.ordered && w.overlaps(lo, hi) {
		for _, v := range f[w.hi:hi] {
			at, _ := slices.BinarySearch(w.values, v)
			w.values = slices.Insert(w.values, at, v)
		}
		for _, v := range f[w.lo:lo] {
			at, _ := slices.BinarySearch(w.values, v)
			w.values = slices.Delete(w.values, at, at+1)
		}
	} else {
		w.values = append(w.values[:0], f[lo:hi]...)
		slices.Sort(w.values)
	}
	w.lo, w.hi, w.ordered = lo, hi, true
	return w.values
}

// quantile is that of the window [lo, hi) of f: a look-up in the order where windows overlap, else a selection.
func (w *sortedWindow) quantile(q float64, f []float64, lo, hi int) float64 {
	if w.overlaps(lo, hi) {
		return quantileOf(q, w.move(f, lo, hi))
	}
	w.values = append(w.values[:0], f[lo:hi]...)
	w.lo, w.hi, w.ordered = lo, hi, false
	return quantile.Of(q, w.values)
}
