package function

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/operators"
)

// column is one series over all steps of a grid.
type column struct {
	labels   labels.Labels
	dropName bool
	f        []float64
	hasF     []bool
	h        []*histogram.FloatHistogram
}

func newColumn(l labels.Labels, steps int) *column {
	return &column{
		labels: l,
		f:      make([]float64, steps),
		hasF:   make([]bool, steps),
		h:      make([]*histogram.FloatHistogram, steps),
	}
}

func (c *column) has(i int) bool { return c.hasF[i] || c.h[i] != nil }

func (c *column) empty() bool {
	for i := range c.f {
		if c.has(i) {
			return false
		}
	}
	return true
}

// operand is an input of the operator under test.
type operand struct {
	columns []*column
	schema  *operators.Schema
}

func newOperand(columns []*column) *operand {
	o := &operand{columns: columns, schema: operators.NewSchema()}
	for _, c := range columns {
		o.schema.Append(c.labels, c.dropName)
	}
	o.schema.SetComplete()
	return o
}

// batches cuts the steps r of the operand into morsels of random size.
func (o *operand) batches(rnd *rand.Rand, r operators.StepRange) []*operators.Batch {
	var out []*operators.Batch
	for first := 0; first < len(o.columns); {
		n := min(len(o.columns)-first, 1+rnd.IntN(len(o.columns)))
		b := operators.NewBatch(first, n, r.From, r.Len())
		for i := range b.F {
			b.F[i] = 1234567 // must not be looked at
		}
		for k := range n {
			c := o.columns[first+k]
			for i := range r.Len() {
				switch {
				case c.h[r.From+i] != nil:
					b.SetHistogram(b.Pos(k, i), c.h[r.From+i])
				case c.hasF[r.From+i]:
					b.SetFloat(b.Pos(k, i), c.f[r.From+i])
				}
			}
		}
		b.Morsel = len(out)
		b.Shared = rnd.IntN(3) == 0
		out = append(out, b)
		first += n
	}
	return out
}

// drive runs one operator over its inputs as a plan would, in random pieces, and returns its output series.
func drive(t *testing.T, rnd *rand.Rand, q *operators.Query, grid operators.Grid, op operators.Operator, inputs []*operand) ([]*column, error) {
	t.Helper()
	defer func() {
		op.Close()
		op.Close()
		// Everything that was accounted for has been given back.
		q.MaxSamples = 1
		require.NoError(t, q.Hold(1))
		require.Error(t, q.Hold(1))
	}()
	q.MorselRows = rnd.IntN(4)
	w := &operators.Worker{ID: rnd.IntN(q.Workers), Poison: true}
	ctx := context.Background()
	if err := op.Bind(ctx); err != nil {
		return nil, err
	}
	var out []*column
	take := func(b *operators.Batch) {
		for r := range b.Rows {
			for len(out) <= b.First+r {
				out = append(out, newColumn(labels.EmptyLabels(), grid.Steps))
			}
			c := out[b.First+r]
			for i := range b.Steps {
				p := b.Pos(r, i)
				require.False(t, b.Valid.Get(p) && b.HasHistogram(p))
				if b.Valid.Get(p) {
					c.hasF[b.From+i], c.f[b.From+i] = true, b.F[p]
				} else if b.HasHistogram(p) {
					c.h[b.From+i] = b.H[p].Copy()
				}
			}
		}
		w.Release(b)
	}
	for from := 0; from < grid.Steps; {
		r := operators.StepRange{From: from, To: min(grid.Steps, from+1+rnd.IntN(grid.Steps))}
		from = r.To
		if err := op.Open(r); err != nil {
			return nil, err
		}
		// A stage's own stream comes after the scalars it needs.
		for i := len(inputs) - 1; i >= 0; i-- {
			if err := op.Extend(); err != nil {
				return nil, err
			}
			for _, b := range inputs[i].batches(rnd, r) {
				before := b.Clone()
				shared := b.Shared
				switch op.Takes(i) {
				case operators.Stream:
					got, err := op.(operators.Stage).Process(w, b)
					if err != nil {
						return nil, err
					}
					require.Equal(t, []int{before.First, before.Rows, before.From, before.Steps, before.Morsel},
						[]int{got.First, got.Rows, got.From, got.Steps, got.Morsel})
					take(got)
				case operators.FoldRows:
					if err := op.(operators.Sink).Fold(w, i, b, operators.StepRange{To: r.Len()}); err != nil {
						return nil, err
					}
				default:
					for s := 0; s < r.Len(); {
						seg := operators.StepRange{From: s, To: min(r.Len(), s+1+rnd.IntN(r.Len()))}
						if err := op.(operators.Sink).Fold(w, i, b, seg); err != nil {
							return nil, err
						}
						s = seg.To
					}
				}
				if shared {
					// Nobody wrote to what others see.
					for p := range b.F {
						require.Equal(t, math.Float64bits(before.F[p]), math.Float64bits(b.F[p]))
					}
					require.Equal(t, before.Valid, b.Valid)
					require.True(t, slices.Equal(before.H, b.H))
					require.False(t, b.Kept)
				} else if op.Takes(i) != operators.Stream {
					w.Release(b)
				}
			}
			if op.Takes(i) != operators.Stream {
				if err := op.(operators.Sink).Finish(ctx, i); err != nil {
					return nil, err
				}
			}
		}
		if source, ok := op.(operators.Source); ok {
			next := 0
			for m := range source.Morsels() {
				b, err := source.Read(w, m)
				if err != nil {
					return nil, err
				}
				require.Equal(t, next, b.First)
				require.Equal(t, []int{m, r.From, r.Len()}, []int{b.Morsel, b.From, b.Steps})
				next += b.Rows
				take(b)
			}
			require.Equal(t, op.Schema().Len(), next)
		}
	}
	require.LessOrEqual(t, len(out), op.Schema().Len())
	require.True(t, op.Schema().Complete())
	require.NotEmpty(t, op.Describe())
	for i, c := range out {
		c.labels, c.dropName = op.Schema().Labels(i), op.Schema().DropName(i)
	}
	return out, nil
}
