package window

import (
	"github.com/prometheus/prometheus/model/histogram"

	"github.com/stride-promql/stride/operators"
)

// smooth is a smoothed instant selector: the value at the step by the line between the samples next
// to it, or that of the last sample before where there is none after.
type smooth struct{}

func (*smooth) Run(c *Call, out operators.Column) error {
	var (
		b, in = c.Bounds, c.In
		seen  notes
		p     int // first float at or after the step's time
		hp    int // the same for histograms
	)
	for i := range b.Lo {
		lo, hi := int(b.Lo[i]), int(b.Hi[i])
		_, at := c.Spec.rangeAt(c.Steps.From + i)
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			if hi > lo {
				seen |= noteMixedFloatsHistograms
				continue
			}
			for hp = max(hp, hlo); hp < hhi && in.HT[hp] < at; hp++ {
			}
			h, err := smoothHistogram(in, hlo, hhi, hp, at, &seen)
			if err != nil {
				return err
			}
			if h != nil {
				out.SetHistogram(i, h)
			}
			continue
		}
		for p = max(p, lo); p < hi && in.T[p] < at; p++ {
		}
		switch {
		case p < hi && in.T[p] == at:
			out.SetFloat(i, in.F[p])
		case p == lo: // nothing before
		case p < hi:
			before, next := point{t: in.T[p-1], v: in.F[p-1]}, point{t: in.T[p], v: in.F[p]}
			out.SetFloat(i, interpolate(before, next, at, false))
		default:
			out.SetFloat(i, in.F[p-1])
		}
	}
	c.annotate(seen, firstArg)
	return nil
}

// smoothHistogram is the value at a time among the histograms [lo, hi), p being the first one at or after it; nil where there is none.
func smoothHistogram(in *operators.Samples, lo, hi, p int, at int64, n *notes) (*histogram.FloatHistogram, error) {
	switch {
	case p < hi && in.HT[p] == at:
		return in.Keep(p), nil
	case p == lo:
		return nil, nil
	case p < hi:
		a, b := in.H[p-1], in.H[p]
		if a.UsesCustomBuckets() != b.UsesCustomBuckets() {
			*n |= noteMixedExponentialCustom
			return nil, nil
		}
		counter := !isGauge(a) || !isGauge(b)
		return interpolateHistograms(a, b, in.HT[p-1], in.HT[p], at, counter, n)
	default:
		// The hint tells about the sample before, not about the value.
		h := in.H[p-1].Copy()
		h.CounterResetHint = histogram.UnknownCounterReset
		return h, nil
	}
}
