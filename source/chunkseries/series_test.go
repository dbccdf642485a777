package chunkseries

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
)

// chunk has samples at times from first to last, whose values are these times.
func chunk(t *testing.T, first, last int64) chunks.Meta {
	t.Helper()
	c := chunkenc.NewXORChunk()
	app, err := c.Appender()
	require.NoError(t, err)
	for ts := first; ts <= last; ts++ {
		app.Append(0, ts, float64(ts))
	}
	return chunks.Meta{MinTime: first, MaxTime: last, Chunk: c}
}

func times(t *testing.T, it chunkenc.Iterator, vt chunkenc.ValueType) string {
	t.Helper()
	var out []string
	for ; vt != chunkenc.ValNone; vt = it.Next() {
		at, f := it.At()
		require.EqualValues(t, at, f)
		out = append(out, fmt.Sprint(at))
	}
	require.NoError(t, it.Err())
	return strings.Join(out, " ")
}

// Chunks in any order, copies of them, and such as overlap are one series, in both forms.
func TestSeries(t *testing.T) {
	for name, in := range map[string][]chunks.Meta{
		"one behind the other": {chunk(t, 1, 3), chunk(t, 4, 6), chunk(t, 7, 9)},
		"copies":               {chunk(t, 1, 3), chunk(t, 1, 3), chunk(t, 4, 9), chunk(t, 4, 9), chunk(t, 4, 9)},
		"overlapping":          {chunk(t, 1, 5), chunk(t, 4, 9), chunk(t, 2, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range int64(5) {
				mixed := append([]chunks.Meta{}, in...)
				rand.New(rand.NewSource(seed)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
				s := &Series{Labels: labels.FromStrings("a", "1"), Chunks: mixed}
				require.Equal(t, s.Labels, s.Samples().Labels())
				it := s.Samples().Iterator(nil)
				require.Equal(t, "1 2 3 4 5 6 7 8 9", times(t, it, it.Next()))
				for from := int64(0); from < 12; from++ {
					it := s.Samples().Iterator(nil)
					want := strings.Join(strings.Fields("1 2 3 4 5 6 7 8 9")[min(9, max(0, from-1)):], " ")
					require.Equal(t, want, times(t, it, it.Seek(from)), "from %d", from)
				}
				var got []string
				var end int64
				for chunked := s.ChunkSeries().Iterator(nil); chunked.Next(); {
					c := chunked.At()
					require.Greater(t, c.MinTime, end)
					end = c.MaxTime
					it := c.Chunk.Iterator(nil)
					got = append(got, times(t, it, it.Next()))
				}
				require.Equal(t, "1 2 3 4 5 6 7 8 9", strings.Join(got, " "))
			}
		})
	}
	// A copy is found whatever lies between.
	x, y := chunk(t, 1, 3), chunks.Meta{MinTime: 1, MaxTime: 3, Chunk: chunk(t, 1, 4).Chunk}
	twice := &Series{Chunks: []chunks.Meta{x, y, x}}
	require.True(t, twice.Arrange())
	require.Len(t, twice.Chunks, 2)

	empty := &Series{Labels: labels.FromStrings("a", "1")}
	require.Equal(t, chunkenc.ValNone, empty.Samples().Iterator(nil).Next())
	require.False(t, empty.ChunkSeries().Iterator(nil).Next())
}
