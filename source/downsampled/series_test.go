package downsampled

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/source/chunkseries"
)

// xor is a chunk of times and values in turn.
func xor(t *testing.T, samples ...float64) chunkenc.Chunk {
	t.Helper()
	c := chunkenc.NewXORChunk()
	app, err := c.Appender()
	require.NoError(t, err)
	for i := 0; i < len(samples); i += 2 {
		app.Append(0, int64(samples[i]), samples[i+1])
	}
	return c
}

func meta(minTime, maxTime int64, c chunkenc.Chunk) chunks.Meta {
	return chunks.Meta{MinTime: minTime, MaxTime: maxTime, Chunk: c}
}

// read gives what a function sees of chunks.
func read(t *testing.T, function string, metas ...chunks.Meta) (string, error) {
	t.Helper()
	r := ReadingFor(Coarsest, &storage.SelectHints{Func: function})
	out := ""
	it := r.Samples(&chunkseries.Series{Chunks: metas}).Iterator(nil)
	for it.Next() != chunkenc.ValNone {
		at, v := it.At()
		require.Equal(t, at, it.AtT())
		out += fmt.Sprintf("%d:%g ", at, v)
	}
	return out, it.Err()
}

// Two chunks of windows, the second after a reset that only the value at the end of the first one shows, and a chunk of samples that begins
// before the end of the second.
func mixed(t *testing.T) []chunks.Meta {
	return []chunks.Meta{
		meta(50, 70, xor(t, 50, 9, 60, 10, 65, 3, 70, 4)),
		meta(0, 20, NewChunk([5]chunkenc.Chunk{xor(t, 10, 2, 20, 4), xor(t, 10, 6, 20, 20), xor(t, 10, 1, 20, 3), xor(t, 10, 5, 20, 8), xor(t, 0, 5, 10, 8, 20, 11, 20, 2)})),
		meta(30, 60, NewChunk([5]chunkenc.Chunk{xor(t, 40, 1, 60, 2), xor(t, 40, 3, 60, 5), xor(t, 40, 3, 60, 2), xor(t, 40, 3, 60, 3), xor(t, 30, 3, 40, 4, 60, 9, 60, 9)})),
	}
}

func TestSamples(t *testing.T) {
	for function, want := range map[string]string{
		"count_over_time": "10:2 20:4 40:1 60:2 65:3 70:4 ",
		"sum_over_time":   "10:6 20:20 40:3 60:5 65:3 70:4 ",
		"min_over_time":   "10:1 20:3 40:3 60:2 65:3 70:4 ",
		"max_over_time":   "10:5 20:8 40:3 60:3 65:3 70:4 ",
		"":                "10:3 20:5 40:3 60:2.5 65:3 70:4 ",
		"sum":             "10:3 20:5 40:3 60:2.5 65:3 70:4 ",
		// 2 at the end of the first chunk: up to 3 it is one more, and the samples' 9 and 10 are behind it.
		"rate": "0:5 10:8 20:11 30:12 40:13 60:18 65:21 70:22 ",
	} {
		got, err := read(t, function, mixed(t)...)
		require.NoError(t, err)
		require.Equal(t, want, got, function)
		got, err = read(t, function, append(mixed(t), mixed(t)...)...)
		require.NoError(t, err)
		require.Equal(t, want, got, "copies are left out")
	}
	got, err := read(t, "rate", meta(0, 20, NewChunk([5]chunkenc.Chunk{Counter: xor(t, 0, 5, 20, 7, 20, 7)})), meta(30, 40, xor(t, 30, math.Float64frombits(value.StaleNaN), 40, 1)))
	require.NoError(t, err)
	require.Equal(t, "0:5 20:7 40:8 ", got, "stale markers are left out")

	got, err = read(t, "rate", meta(0, 20, xor(t, 0, 5, 20, 7)), meta(10, 30, xor(t, 10, 6, 30, 1)))
	require.NoError(t, err)
	require.Equal(t, "0:5 10:6 20:7 30:1 ", got, "without aggregates samples are as they are")

	it := ReadingFor(Coarsest, nil).Samples(&chunkseries.Series{Chunks: mixed(t)}).Iterator(nil)
	require.Equal(t, chunkenc.ValFloat, it.Seek(15))
	require.Equal(t, int64(20), it.AtT())
	require.Equal(t, chunkenc.ValFloat, it.Seek(5))
	require.Equal(t, int64(20), it.AtT(), "it does not go back")
	require.Equal(t, chunkenc.ValNone, it.Seek(100))
}

func TestChunksThatLackSomething(t *testing.T) {
	sums := NewChunk([5]chunkenc.Chunk{Sum: xor(t, 10, 1)})
	for function, c := range map[string]chunkenc.Chunk{
		"max_over_time": sums,
		"rate":          sums,
		"":              sums,
		"avg":           NewChunk([5]chunkenc.Chunk{Count: xor(t, 10, 1, 20, 1), Sum: xor(t, 10, 1)}),
		"last":          NewChunk([5]chunkenc.Chunk{Count: xor(t, 11, 1), Sum: xor(t, 10, 1)}),
	} {
		_, err := read(t, function, meta(10, 20, c))
		require.Error(t, err, function)
	}
	require.ErrorIs(t, sums.Iterator(nil).Err(), errAggregates)
	_, err := sums.Appender()
	require.ErrorIs(t, err, errAggregates)
}

// Averages of histograms do not change those that come after them.
func TestAveragesOfHistograms(t *testing.T) {
	c := chunkenc.NewFloatHistogramChunk()
	var app chunkenc.Appender
	app, err := c.Appender()
	require.NoError(t, err)
	counts := []float64{1, 2, 4}
	for i, n := range counts {
		_, _, app, err = app.AppendFloatHistogram(nil, 0, int64(i), &histogram.FloatHistogram{
			CounterResetHint: histogram.GaugeType, Count: 3 * n, Sum: 6 * n, PositiveSpans: []histogram.Span{{Length: 2}}, PositiveBuckets: []float64{n, 2 * n},
		}, false)
		require.NoError(t, err)
	}
	of := meta(0, 2, NewChunk([5]chunkenc.Chunk{Count: xor(t, 0, counts[0], 1, counts[1], 2, counts[2]), Sum: c}))
	for _, into := range []*histogram.FloatHistogram{nil, {}} {
		it := ReadingFor(Finest, nil).Samples(&chunkseries.Series{Chunks: []chunks.Meta{of}}).Iterator(nil)
		for range counts {
			require.Equal(t, chunkenc.ValFloatHistogram, it.Next())
			_, h := it.AtFloatHistogram(into)
			require.Equal(t, []float64{1, 2}, h.PositiveBuckets)
			require.Equal(t, 3., h.Count)
		}
		require.Equal(t, chunkenc.ValNone, it.Next())
		require.NoError(t, it.Err())
	}
}

func TestReadings(t *testing.T) {
	half := func(r time.Duration) int64 { return (2 * r).Milliseconds() }
	for _, c := range []struct {
		function string
		span     int64
		want     Reading
	}{
		{"", 0, Reading{time.Hour, []Aggregate{Count, Sum}}},
		{"sum", 0, Reading{time.Hour, []Aggregate{Count, Sum}}},
		{"sum_over_time", 1000, Reading{time.Hour, []Aggregate{Sum}}},
		{"count_values", 0, Reading{time.Hour, []Aggregate{Count}}},
		{"min", 0, Reading{time.Hour, []Aggregate{Min}}},
		{"max_over_time", 1000, Reading{time.Hour, []Aggregate{Max}}},
		{"rate", half(10 * time.Minute), Reading{10 * time.Minute, []Aggregate{Counter}}},
		{"rate", half(2 * time.Hour), Reading{time.Hour, []Aggregate{Counter}}},
		{"delta", half(time.Minute), Reading{time.Minute, []Aggregate{Count, Sum}}},
		{"resets", half(time.Minute), Reading{0, []Aggregate{Count, Sum}}},
	} {
		require.Equal(t, c.want, ReadingFor(time.Hour, &storage.SelectHints{Func: c.function, Range: c.span}), c.function)
	}
}

func TestLookback(t *testing.T) {
	for _, c := range [][3]time.Duration{
		{0, 5 * time.Minute, 5 * time.Minute}, {5 * time.Minute, 5 * time.Minute, 5 * time.Minute}, {5 * time.Minute, time.Minute, 5 * time.Minute},
		{6 * time.Minute, 5 * time.Minute, time.Hour}, {time.Hour, 2 * time.Hour, 2 * time.Hour}, {3 * time.Hour, 2 * time.Hour, 2 * time.Hour},
	} {
		require.Equal(t, c[2], Lookback(c[0], c[1]), c)
	}
}

// A set of chunks whose series is in several sources.
func TestSeriesSet(t *testing.T) {
	l := labels.FromStrings("a", "b")
	var metas []chunks.Meta
	metas = append(metas, mixed(t)...)
	set := ReadingFor(Finest, &storage.SelectHints{Func: "max"}).SeriesSet(&oneSeries{ChunkSeries: (&chunkseries.Series{Labels: l, Chunks: metas}).Stored()})
	require.True(t, set.Next())
	require.Equal(t, l, set.At().Labels())
	it := set.At().Iterator(nil)
	require.Equal(t, chunkenc.ValFloat, it.Next())
	at, v := it.At()
	require.Equal(t, [2]float64{10, 5}, [2]float64{float64(at), v})
	require.False(t, set.Next())
	require.NoError(t, set.Err())
}

// oneSeries is a set of one.
type oneSeries struct {
	storage.ChunkSeriesSet
	storage.ChunkSeries
	given bool
}

func (s *oneSeries) Next() bool {
	given := s.given
	s.given = true
	return !given
}

func (s *oneSeries) At() storage.ChunkSeries { return s.ChunkSeries }

func (s *oneSeries) Err() error { return nil }
