package window

import (
	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/operators"
)

// instantRate is irate or idelta: the rate, or the difference, between the last two samples of a window, of either kind.
type instantRate struct{ rate bool }

// lastTwo says of which kinds the last two samples of a window are.
type lastTwo int

const (
	twoFloats lastTwo = iota
	twoHistograms
	oneOfEach
)

func (k *instantRate) Run(c *Call, out operators.Column) error {
	var (
		b, in = c.Bounds, c.In
		seen  notes
		prev  = -1 // end of the window that made was made from
		made  *histogram.FloatHistogram
	)
	for i := range b.Lo {
		lo, hi := int(b.Lo[i]), int(b.Hi[i])
		hlo, hhi := b.histogramWindow(i)
		if hi-lo+hhi-hlo < 2 {
			continue
		}
		kinds := twoFloats
		if hhi > hlo {
			kinds = newestKinds(in, lo, hi, hlo, hhi)
		}
		switch kinds {
		case twoFloats:
			out.SetFloat(i, k.floats(in, hi))
		case oneOfEach:
			if in.T[hi-1] != in.HT[hhi-1] {
				seen |= noteMixedFloatsHistograms
			}
		case twoHistograms:
			if hhi != prev {
				h, n, err := k.histograms(in, hhi)
				seen |= n
				if err != nil {
					return err
				}
				prev, made = hhi, h
			}
			if made != nil {
				out.SetHistogram(i, made)
			}
		}
	}
	c.annotate(seen, allArgs)
	return nil
}

// newestKinds tells of which kinds the last two samples of a window are that has a histogram.
func newestKinds(in *operators.Samples, lo, hi, hlo, hhi int) lastTwo {
	switch {
	case hhi-hlo > 1 && (hi == lo || in.HT[hhi-2] > in.T[hi-1]):
		return twoHistograms
	case hi-lo > 1 && in.T[hi-2] > in.HT[hhi-1]:
		return twoFloats
	default:
		return oneOfEach
	}
}

func (k *instantRate) floats(in *operators.Samples, hi int) float64 {
	a, b := hi-2, hi-1
	v := in.F[b]
	if !k.rate || !(v < in.F[a] || in.ST != nil && startReset(in.ST[a], in.T[a], in.ST[b], in.T[b])) {
		v -= in.F[a]
	}
	if k.rate {
		v /= float64(in.T[b]-in.T[a]) / 1000
	}
	return v
}

// histograms makes the result from the two histograms before index hi; it is nil where they do not fit each other.
func (k *instantRate) histograms(in *operators.Samples, hi int) (*histogram.FloatHistogram, notes, error) {
	var n notes
	a, b := in.H[hi-2], in.H[hi-1]
	result := b.Copy()
	switch {
	case k.rate && (isGauge(a) || isGauge(b)):
		n |= noteNotCounter
	case !k.rate && (!isGauge(a) || !isGauge(b)):
		n |= noteNotGauge
	}
	if !k.rate || !histogramReset(in, hi-1) {
		if ok, err := subtract(result, a, &n); !ok {
			return nil, n, err
		}
	}
	result.CounterResetHint = histogram.GaugeType
	result.Compact(0)
	if k.rate {
		result.Div(float64(in.HT[hi-1]-in.HT[hi-2]) / 1000)
	}
	return result, n, nil
}
