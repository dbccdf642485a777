// Package result holds the last sink of a plan, which makes Prometheus' result values.
package result

import (
	"context"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/operators"
)

// Collector is the sink behind a plan's root. Its result shares no memory with batches, and no two of its histograms, which
// in batches may be one, share any: who gets the result may write to it. Input: 0 the root (FoldRows, though all
// work is done while preparing, by any worker).
type Collector struct {
	q       *operators.Query
	in      *operators.Schema
	grid    operators.Grid
	instant bool

	samples []promql.Sample // instant: one a series
	present []bool
	series  []promql.Series            // otherwise
	arenas  []operators.HistogramArena // of the result's histograms, one for each worker
}

// NewCollector collects in, whose steps are those of grid. With instant the result is a Vector or, of a
// scalar root, its only value.
func NewCollector(q *operators.Query, in *operators.Schema, grid operators.Grid, instant bool) *Collector {
	return &Collector{q: q, in: in, grid: grid, instant: instant, arenas: make([]operators.HistogramArena, max(1, q.Workers))}
}

// Describe implements operators.Operator.
func (c *Collector) Describe() string { return "result" }

// Schema implements operators.Operator.
func (c *Collector) Schema() *operators.Schema { return c.in }

// Takes implements operators.Operator.
func (c *Collector) Takes(int) operators.Edge { return operators.FoldRows }

// Bind implements operators.Operator.
func (c *Collector) Bind(context.Context) error { return nil }

// Extend implements operators.Operator.
func (c *Collector) Extend() error {
	n := c.in.Len()
	if c.instant {
		c.samples = append(c.samples, make([]promql.Sample, n-len(c.samples))...)
		c.present = append(c.present, make([]bool, n-len(c.present))...)
		return nil
	}
	c.series = append(c.series, make([]promql.Series, n-len(c.series))...)
	return nil
}

// Open implements operators.Operator.
func (c *Collector) Open(operators.StepRange) error { return nil }

// Close implements operators.Operator. Results live on.
func (c *Collector) Close() {}

// Prepare implements operators.Preparer: it adds the rows of a batch to their series.
func (c *Collector) Prepare(w *operators.Worker, _ int, b *operators.Batch) error {
	n := int64(0)
	if c.instant {
		for row := range b.Rows {
			switch i := b.First + row; {
			case b.Valid.Get(row):
				c.samples[i] = promql.Sample{T: c.grid.Start, F: b.F[row]}
				c.present[i] = true
				n++
			case b.HasHistogram(row):
				c.samples[i] = promql.Sample{T: c.grid.Start, H: c.own(w, b.H[row])}
				c.present[i] = true
				n += operators.HistogramSamples(b.H[row])
			}
		}
		return c.account(n)
	}
	for row := range b.Rows {
		n += c.add(w, &c.series[b.First+row], b, row)
	}
	return c.account(n)
}

// Rewind drops what has been collected from a step of the grid on.
func (c *Collector) Rewind(step int) {
	n := int64(0)
	if c.instant {
		for i, s := range c.samples {
			if c.present[i] {
				n += size(s.H)
			}
		}
		clear(c.samples)
		clear(c.present)
	}
	t := c.grid.Time(step)
	for i := range c.series {
		s := &c.series[i]
		for k := len(s.Floats); k > 0 && s.Floats[k-1].T >= t; k-- {
			s.Floats = s.Floats[:k-1]
			n++
		}
		for k := len(s.Histograms); k > 0 && s.Histograms[k-1].T >= t; k-- {
			n += size(s.Histograms[k-1].H)
			s.Histograms = s.Histograms[:k-1]
		}
	}
	if step == 0 {
		clear(c.arenas) // nothing is left that was made in them
	}
	c.q.Free(n)
	_ = c.q.Grow(-n * sampleBytes)
}

// size is that of a sample, which is a float where h is nil.
func size(h *histogram.FloatHistogram) int64 {
	if h == nil {
		return 1
	}
	return operators.HistogramSamples(h)
}

// sampleBytes is the size of a float sample of the result; a histogram counts as so many samples as its size asks for.
const sampleBytes = int64(unsafe.Sizeof(promql.FPoint{}))

func (c *Collector) account(samples int64) error {
	if err := c.q.Hold(samples); err != nil {
		return err
	}
	return c.q.Grow(samples * sampleBytes)
}

func (c *Collector) add(w *operators.Worker, s *promql.Series, b *operators.Batch, row int) int64 {
	lo, hi := row*b.Steps, (row+1)*b.Steps
	count := b.Valid.Count(lo, hi)
	if count > 0 {
		if s.Floats == nil {
			s.Floats = make([]promql.FPoint, 0, count)
		}
		for p := lo; p < hi; p += 64 {
			n := min(64, hi-p)
			m := b.Valid.Load(p, n)
			if bits.OnesCount64(m) == n {
				t := c.grid.Time(b.From + p - lo)
				have := len(s.Floats)
				s.Floats = slices.Grow(s.Floats, n)[:have+n]
				points := s.Floats[have:]
				for k, f := range b.F[p : p+n] {
					points[k] = promql.FPoint{T: t, F: f}
					t += c.grid.Interval
				}
				continue
			}
			for ; m != 0; m &= m - 1 {
				at := p + bits.TrailingZeros64(m)
				s.Floats = append(s.Floats, promql.FPoint{T: c.grid.Time(b.From + at - lo), F: b.F[at]})
			}
		}
	}
	n := int64(count)
	if b.H != nil {
		if count := b.HValid.Count(lo, hi); count > 0 {
			s.Histograms = slices.Grow(s.Histograms, count)
		}
		for p := b.HValid.Next(lo, hi); p < hi; p = b.HValid.Next(p+1, hi) {
			s.Histograms = append(s.Histograms, promql.HPoint{T: c.grid.Time(b.From + p - lo), H: c.own(w, b.H[p])})
			n += operators.HistogramSamples(b.H[p])
		}
	}
	return n
}

// own is a copy of h that the result may have. It shares no memory but custom values, which nobody ever writes to.
func (c *Collector) own(w *operators.Worker, h *histogram.FloatHistogram) *histogram.FloatHistogram {
	return c.arenas[w.ID].Copy(h)
}

// Fold implements operators.Sink; Prepare has done it all.
func (c *Collector) Fold(*operators.Worker, int, *operators.Batch, operators.StepRange) error {
	return nil
}

// Finish implements operators.Sink.
func (c *Collector) Finish(context.Context, int) error { return nil }

// Vector is the result of an instant query: the series that have a sample, in the schema's order.
func (c *Collector) Vector() promql.Vector {
	v := make(promql.Vector, 0, len(c.samples))
	for i, s := range c.samples {
		if c.present[i] {
			s.Metric, s.DropName = c.in.Labels(i), c.in.DropName(i)
			v = append(v, s)
		}
	}
	return v
}

// Scalar is the result of an instant query for a scalar.
func (c *Collector) Scalar() promql.Scalar {
	return promql.Scalar{T: c.grid.Start, V: c.samples[0].F}
}

// Matrix is the result of a range query: the series that have samples, in the schema's order.
func (c *Collector) Matrix() promql.Matrix {
	m := make(promql.Matrix, 0, len(c.series))
	for i, s := range c.series {
		if len(s.Floats)+len(s.Histograms) > 0 {
			s.Metric, s.DropName = c.in.Labels(i), c.in.DropName(i)
			m = append(m, s)
		}
	}
	return m
}

var (
	_ operators.Sink     = (*Collector)(nil)
	_ operators.Preparer = (*Collector)(nil)
)
