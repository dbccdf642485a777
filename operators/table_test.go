package operators

import (
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		q := &Query{}
		table := NewTable(q)
		for range 2 {
			steps := 1 + rnd.IntN(80)
			var rows [][]point
			var samples, bytes int64
			for range rnd.IntN(5) {
				b := NewBatch(len(rows), rnd.IntN(4), 0, steps)
				points := randomBatch(rnd, b)
				for row := range b.Rows {
					rows = append(rows, points[row*steps:(row+1)*steps])
				}
				b.Shared = rnd.IntN(2) == 0
				require.NoError(t, table.Add(b))
				require.Equal(t, !b.Shared, b.Kept)
				kept := table.Batches()[len(table.Batches())-1]
				require.Equal(t, b.Shared, kept != b)
				samples += kept.CountSamples()
				bytes += kept.Footprint()
				if b.Shared {
					b.poison()
				}
			}
			require.Equal(t, len(rows), table.Len())
			for i, want := range rows {
				c := table.Column(i)
				for k, w := range want {
					require.Equal(t, w.has == 'f', c.Float(k))
					require.Equal(t, w.has == 'h', c.Histogram(k))
					if w.has == 'f' {
						require.Equal(t, w.f, c.F[k])
					}
				}
			}
			require.Equal(t, samples, q.Held())
			require.Equal(t, bytes, q.Bytes())
			table.Reset()
			table.Reset()
			require.Zero(t, q.Held())
			require.Zero(t, q.Bytes())
			require.Zero(t, table.Len())
			require.Empty(t, table.Batches())
		}
	}
}

// What Add has accounted for when it fails is given back all the same.
func TestTableOverLimits(t *testing.T) {
	batch := func() *Batch {
		b := NewBatch(0, 1, 0, 8)
		b.Column(0).SetFloats(0, 8, 0xff)
		return b
	}
	q := &Query{MaxSamples: 7, MemoryBudget: 1}
	table := NewTable(q)
	require.ErrorAs(t, table.Add(batch()), new(promql.ErrTooManySamples))
	table.Reset()
	require.Zero(t, q.Held())
	require.Zero(t, q.Bytes())

	q = &Query{MaxSamples: 8, MemoryBudget: 1}
	table = NewTable(q)
	var budget *BudgetError
	require.ErrorAs(t, table.Add(batch()), &budget)
	table.Reset()
	require.Zero(t, q.Held())
	require.Zero(t, q.Bytes())
}
