package run

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/stride-promql/stride/bench/peer"
)

// difference says how an answer differs from the right one by more than the relative tolerance; empty if it does not. With ties
// engines may pick different series among equals: then the values at each time are compared, whichever series have them.
func difference(want, got *peer.Answer, tolerance float64, ties bool) string {
	if ties {
		return byTime(want, got, tolerance)
	}
	if len(want.Series) != len(got.Series) {
		return fmt.Sprintf("%d series instead of %d", len(got.Series), len(want.Series))
	}
	for i, w := range want.Series {
		g := got.Series[i]
		switch {
		case w.Labels != g.Labels:
			return fmt.Sprintf("series %s instead of %s", g.Labels, w.Labels)
		case !slices.Equal(w.T, g.T) || !slices.Equal(w.HT, g.HT):
			return fmt.Sprintf("series %s has samples at other times: %d floats and %d histograms instead of %d and %d",
				w.Labels, len(g.T), len(g.HT), len(w.T), len(w.HT))
		}
		for k := range w.F {
			if !near(w.F[k], g.F[k], tolerance) {
				return fmt.Sprintf("series %s is %v instead of %v at %d", w.Labels, g.F[k], w.F[k], w.T[k])
			}
		}
		for k := range w.H {
			if !nearText(w.H[k], g.H[k], tolerance) {
				return fmt.Sprintf("series %s is %s instead of %s at %d", w.Labels, g.H[k], w.H[k], w.HT[k])
			}
		}
	}
	return ""
}

// near tells whether two values are equal but for the tolerance. NaNs are equal.
func near(a, b, tolerance float64) bool {
	if a == b || math.IsNaN(a) && math.IsNaN(b) {
		return true
	}
	limit := tolerance * max(math.Abs(a), math.Abs(b))
	return !math.IsInf(limit, 0) && math.Abs(a-b) <= limit
}

var number = regexp.MustCompile(`[-+]?(?:[0-9][0-9.]*(?:e[-+]?[0-9]+)?|Inf|NaN)`)

// nearText tells whether texts are equal but for their numbers, which are near each other.
func nearText(a, b string, tolerance float64) bool {
	if a == b {
		return true
	}
	if number.ReplaceAllString(a, "#") != number.ReplaceAllString(b, "#") {
		return false
	}
	x, y := number.FindAllString(a, -1), number.FindAllString(b, -1)
	for i := range x {
		f, err1 := strconv.ParseFloat(x[i], 64)
		g, err2 := strconv.ParseFloat(y[i], 64)
		if err1 != nil || err2 != nil || !near(f, g, tolerance) {
			return false
		}
	}
	return true
}

func byTime(want, got *peer.Answer, tolerance float64) string {
	w, g := valuesByTime(want), valuesByTime(got)
	if len(w) != len(g) {
		return fmt.Sprintf("samples at %d times instead of %d", len(g), len(w))
	}
	for t, values := range w {
		others := g[t]
		if len(values) != len(others) {
			return fmt.Sprintf("%d samples instead of %d at %d", len(others), len(values), t)
		}
		for i := range values {
			if !near(values[i], others[i], tolerance) {
				return fmt.Sprintf("%v instead of %v among the values at %d", others[i], values[i], t)
			}
		}
	}
	x, y := histogramsByTime(want), histogramsByTime(got)
	if !maps.Equal(x, y) {
		return fmt.Sprintf("other numbers of histograms: at %d times instead of %d", len(y), len(x))
	}
	return ""
}

// histogramsByTime are the numbers of histograms at each time. Nothing ranks histograms: which of them there are may differ.
func histogramsByTime(a *peer.Answer) map[int64]int {
	out := map[int64]int{}
	for _, s := range a.Series {
		for _, t := range s.HT {
			out[t]++
		}
	}
	return out
}

// valuesByTime are the float values at each time, sorted.
func valuesByTime(a *peer.Answer) map[int64][]float64 {
	out := map[int64][]float64{}
	for _, s := range a.Series {
		for i, t := range s.T {
			out[t] = append(out[t], s.F[i])
		}
	}
	for _, v := range out {
		slices.Sort(v)
	}
	return out
}
