package window

import (
	"math"

	"github.com/stride-promql/stride/operators"
)

// count is count_over_time.
type count struct{}

func (count) Run(c *Call, out operators.Column) error {
	b := c.Bounds
	for i := range b.Lo {
		hlo, hhi := b.histogramWindow(i)
		if n := int(b.Hi[i]-b.Lo[i]) + hhi - hlo; n > 0 {
			out.SetFloat(i, float64(n))
		}
	}
	return nil
}

// present is present_over_time: 1 wherever the window has a sample.
type present struct{}

func (present) Run(c *Call, out operators.Column) error {
	b := c.Bounds
	for i := range b.Lo {
		if hlo, hhi := b.histogramWindow(i); b.Hi[i] > b.Lo[i] || hhi > hlo {
			out.SetFloat(i, 1)
		}
	}
	return nil
}

// last is last_over_time. Of a float and a histogram at the same time it takes the histogram, as first does.
type last struct{}

func (last) Run(c *Call, out operators.Column) error {
	b, in := c.Bounds, c.In
	for i := range b.Lo {
		hi := b.Hi[i]
		hlo, hhi := b.histogramWindow(i)
		switch {
		case hhi > hlo && (hi == b.Lo[i] || in.HT[hhi-1] >= in.T[hi-1]):
			out.SetHistogram(i, in.Keep(hhi-1))
		case hi > b.Lo[i]:
			out.SetFloat(i, in.F[hi-1])
		}
	}
	return nil
}

// first is first_over_time.
type first struct{}

func (first) Run(c *Call, out operators.Column) error {
	b, in := c.Bounds, c.In
	for i := range b.Lo {
		lo := b.Lo[i]
		hlo, hhi := b.histogramWindow(i)
		switch {
		case hhi > hlo && (b.Hi[i] == lo || in.HT[hlo] <= in.T[lo]):
			out.SetHistogram(i, in.Keep(hlo))
		case b.Hi[i] > lo:
			out.SetFloat(i, in.F[lo])
		}
	}
	return nil
}

// lastTime is ts_of_last_over_time.
type lastTime struct{}

func (lastTime) Run(c *Call, out operators.Column) error {
	b, in := c.Bounds, c.In
	for i := range b.Lo {
		t := int64(math.MinInt64)
		if hi := b.Hi[i]; hi > b.Lo[i] {
			t = in.T[hi-1]
		}
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			t = max(t, in.HT[hhi-1])
		}
		if t != math.MinInt64 {
			out.SetFloat(i, float64(t)/1000)
		}
	}
	return nil
}

// firstTime is ts_of_first_over_time.
type firstTime struct{}

func (firstTime) Run(c *Call, out operators.Column) error {
	b, in := c.Bounds, c.In
	for i := range b.Lo {
		t := int64(math.MaxInt64)
		if lo := b.Lo[i]; b.Hi[i] > lo {
			t = in.T[lo]
		}
		if hlo, hhi := b.histogramWindow(i); hhi > hlo {
			t = min(t, in.HT[hlo])
		}
		if t != math.MaxInt64 {
			out.SetFloat(i, float64(t)/1000)
		}
	}
	return nil
}
