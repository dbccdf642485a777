package scan

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/prometheus/prometheus/model/value"

	"github.com/stride-promql/stride/operators"
)

// Kind is what a Vector scan gives of each sample it finds.
type Kind int

const (
	// Value gives the sample itself.
	Value Kind = iota
	// Timestamp gives the sample's time in seconds: timestamp(selector).
	Timestamp
	// StartTimestamp gives the sample's start timestamp in seconds: start_timestamp(selector).
	StartTimestamp
	// Milliseconds gives the sample's time in milliseconds, of float samples only: the info series of info().
	Milliseconds
)

// Vector is an instant vector selector: at every step each series' newest sample that is younger
// than the lookback, unless that is a stale marker. It is a Source without inputs.
type Vector struct {
	q      *operators.Query
	sel    *Selector
	grid   operators.Grid
	offset int64
	fixed  *int64
	kind   Kind

	schema  *operators.Schema
	r       operators.StepRange
	rows    int
	ahead   ahead
	loaders []loader
}

// NewVector scans sel. A step's reference time is its time less offset (ms) or, where at is not nil, that time.
func NewVector(q *operators.Query, sel *Selector, grid operators.Grid, offset int64, at *int64, kind Kind) *Vector {
	sel.schema = operators.NewSchema()
	v := &Vector{q: q, sel: sel, grid: grid, offset: offset, fixed: at, kind: kind, schema: sel.schema}
	sel.StartTimestamps = kind == StartTimestamp && q.UseStartTimestamps
	if kind == Timestamp || kind == StartTimestamp {
		v.schema = operators.NamelessSchema(q, sel.schema)
	}
	return v
}

// Describe implements operators.Operator.
func (v *Vector) Describe() string {
	return "scan " + [...]string{"", "timestamp of ", "start timestamp of ", "milliseconds of "}[v.kind] + v.sel.Text
}

// Schema implements operators.Operator: the series in the storage's order.
func (v *Vector) Schema() *operators.Schema { return v.schema }

// Takes implements operators.Operator; a scan has no inputs.
func (v *Vector) Takes(int) operators.Edge { return operators.Fold }

// Bind implements operators.Operator.
func (v *Vector) Bind(ctx context.Context) error {
	v.loaders = make([]loader, v.q.Workers)
	for i := range v.loaders {
		v.loaders[i].sel = v.sel
	}
	if v.grid.Steps == 0 {
		v.sel.schema.SetComplete()
		return nil
	}
	return v.sel.Bind(ctx, v.q)
}

// Extend implements operators.Operator.
func (v *Vector) Extend() error { return nil }

// Open implements operators.Operator.
func (v *Vector) Open(r operators.StepRange) error {
	v.r, v.rows = r, v.sel.morselSize(v.q, r.Len())
	v.ahead.open(r)
	return nil
}

// Close implements operators.Operator.
func (v *Vector) Close() {
	v.loaders = nil
	v.ahead.forget()
	v.sel.release()
}

// Morsels implements operators.Source.
func (v *Vector) Morsels() int { return (v.sel.schema.Len() + v.rows - 1) / v.rows }

// reference is the time at which step looks.
func (v *Vector) reference(step int) int64 {
	if v.fixed != nil {
		return *v.fixed - v.offset
	}
	return v.grid.Time(step) - v.offset
}

// Notify implements Ahead.
func (v *Vector) Notify(fn func()) { v.sel.onPublish = fn }

// ForgetAhead implements Ahead.
func (v *Vector) ForgetAhead() { v.ahead.forget() }

// ReadAhead implements Ahead.
func (v *Vector) ReadAhead(w *operators.Worker, r operators.StepRange) (int64, bool) {
	if r.Len() == 0 {
		return 0, false
	}
	rows := v.sel.morselSize(v.q, r.Len())
	return v.ahead.read(v.q, r, rows, v.sel.known(), func(m int) (*operators.Batch, error) { return v.read(w, r, m*rows, rows) })
}

// Read implements operators.Source.
func (v *Vector) Read(w *operators.Worker, m int) (*operators.Batch, error) {
	if t, ok := v.ahead.take(m); ok {
		return t.batch, t.err
	}
	first := m * v.rows
	return v.read(w, v.r, first, min(v.rows, v.sel.schema.Len()-first))
}

// read reads rows series at the steps r.
func (v *Vector) read(w *operators.Worker, r operators.StepRange, first, rows int) (*operators.Batch, error) {
	lo, hi := v.reference(r.From)-v.q.Lookback+1, v.reference(r.To-1)
	l := &v.loaders[w.ID]
	l.poison = w.Poison
	if err := l.take(first, rows, lo, hi); err != nil {
		return nil, err
	}
	b := w.Batch(first, rows, r.From, r.Len())
	read := int64(0)
	for row := range rows {
		if v.q.Err() != nil {
			return nil, v.q.Err()
		}
		s, err := l.load(first, row, lo, hi, b.Arena())
		if err != nil {
			return nil, err
		}
		n, err := v.fill(w, b, row, s)
		if err != nil {
			return nil, err
		}
		read += n
	}
	return b, v.q.ConsumeSamples(read)
}

// fill puts the series' sample at each step into row and counts them.
func (v *Vector) fill(w *operators.Worker, b *operators.Batch, row int, s *operators.Samples) (int64, error) {
	c := b.Column(row)
	i, j := -1, -1 // newest float and histogram not after the reference time
	read := int64(0)
	interval := v.grid.Interval
	if v.fixed != nil {
		interval = 0
	}
	for at := 0; at < c.Len(); at += 64 {
		n := min(64, c.Len()-at)
		var floats uint64
		if v.kind == Value && len(s.HT) == 0 {
			i, floats = newest(c.F[at:at+n], s.T, s.F, i, v.reference(b.From+at), interval, v.q.Lookback)
			read += v.countFloats(w, b.First+row, b.From+at, floats)
			c.SetFloats(at, n, floats)
			continue
		}
		for k := range n {
			ref := v.reference(b.From + at + k)
			for i+1 < len(s.T) && s.T[i+1] <= ref {
				i++
			}
			for j+1 < len(s.HT) && s.HT[j+1] <= ref {
				j++
			}
			if j >= 0 && (i < 0 || s.HT[j] > s.T[i] || s.HT[j] == s.T[i] && s.T[i] < ref) {
				if s.HT[j] <= ref-v.q.Lookback || value.IsStaleNaN(s.H[j].Sum) {
					continue
				}
				size, err := v.histogram(b, row, at+k, s, j)
				if err != nil {
					return 0, err
				}
				if v.kind == Value {
					read += v.count(w, b.First+row, b.From+at+k, size)
					continue
				}
				c.F[at+k] = v.number(s.HT[j], s.HST, j)
				floats |= 1 << uint(k)
				continue
			}
			if i < 0 || s.T[i] <= ref-v.q.Lookback || value.IsStaleNaN(s.F[i]) {
				continue
			}
			if v.kind == Value {
				c.F[at+k] = s.F[i]
			} else {
				c.F[at+k] = v.number(s.T[i], s.ST, i)
			}
			floats |= 1 << uint(k)
		}
		read += v.countFloats(w, b.First+row, b.From+at, floats)
		if v.kind == StartTimestamp && !v.q.UseStartTimestamps {
			floats = 0
		}
		c.SetFloats(at, n, floats)
	}
	return read, nil
}

// histogram puts a histogram sample into the batch, as far as the kind of scan allows, and gives its size.
func (v *Vector) histogram(b *operators.Batch, row, step int, s *operators.Samples, j int) (int64, error) {
	switch v.kind {
	case Value:
		b.SetHistogram(b.Pos(row, step), s.Keep(j))
		return operators.HistogramSamples(s.H[j]), nil
	case Milliseconds:
		return 0, fmt.Errorf("this should be an info metric, with float samples: %s", v.sel.known().labels[b.First+row])
	}
	return 1, nil
}

func (v *Vector) number(t int64, st []int64, i int) float64 {
	switch v.kind {
	case StartTimestamp:
		if i < len(st) {
			return float64(st[i]) / 1000
		}
		return 0
	case Milliseconds:
		return float64(t)
	}
	return float64(t) / 1000
}

// count counts samples of a series at a step for all selectors that the scan stands for, and gives
// how many were read for all of them together.
func (v *Vector) count(w *operators.Worker, series, step int, n int64) int64 {
	read := int64(0)
	for i, u := range v.sel.Uses {
		if c := u.Scope.Counts(w); step >= c.From && v.loaders[w.ID].known.has(i, series) {
			c.Add(step, n, n)
			read += n
		}
	}
	return read
}

// countFloats counts one sample for each set bit, the lowest being that of step, and gives how many were read.
func (v *Vector) countFloats(w *operators.Worker, series, step int, set uint64) int64 {
	read := int64(0)
	for i, u := range v.sel.Uses {
		if !v.loaders[w.ID].known.has(i, series) {
			continue
		}
		c := u.Scope.Counts(w)
		fresh := set
		if known := c.From - step; known > 0 {
			fresh = set >> uint(known) << uint(known)
		}
		n := int64(bits.OnesCount64(fresh))
		read += n
		if !c.PerStep {
			c.Add(step, n, n)
			continue
		}
		for m := fresh; m != 0; m &= m - 1 {
			c.Add(step+bits.TrailingZeros64(m), 1, 1)
		}
	}
	return read
}

var _ Ahead = (*Vector)(nil)
