package engine_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
)

// recording is a storage that remembers the encodings of all chunks that were read from it.
type recording struct {
	storage.Queryable
	chunked storage.ChunkQueryable
	read    map[chunkenc.Encoding]int
}

func record(st storage.SampleAndChunkQueryable) *recording {
	return &recording{Queryable: st, chunked: st, read: map[chunkenc.Encoding]int{}}
}

func (r *recording) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := r.chunked.ChunkQuerier(mint, maxt)
	return &recordingQuerier{q, r}, err
}

type recordingQuerier struct {
	storage.ChunkQuerier
	r *recording
}

func (q *recordingQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	return &recordingSet{q.ChunkQuerier.Select(ctx, sorted, hints, ms...), q.r}
}

type recordingSet struct {
	storage.ChunkSeriesSet
	r *recording
}

func (s *recordingSet) At() storage.ChunkSeries { return &recordingSeries{s.ChunkSeriesSet.At(), s.r} }

type recordingSeries struct {
	storage.ChunkSeries
	r *recording
}

// Iterator makes a new iterator each time.
func (s *recordingSeries) Iterator(chunks.Iterator) chunks.Iterator {
	return &recordingIterator{s.ChunkSeries.Iterator(nil), s.r}
}

type recordingIterator struct {
	chunks.Iterator
	r *recording
}

func (it *recordingIterator) At() chunks.Meta {
	m := it.Iterator.At()
	it.r.read[m.Chunk.Encoding()]++
	return m
}

// encodingCases say how each chunk encoding comes to be.
var encodingCases = []struct {
	encoding chunkenc.Encoding
	options  func(*tsdb.Options)
	kind     string
}{
	{chunkenc.EncXOR, func(*tsdb.Options) {}, "float"},
	{chunkenc.EncXOR2, withStartTimestamps, "float"},
	{chunkenc.EncHistogram, func(*tsdb.Options) {}, "histogram"},
	{chunkenc.EncFloatHistogram, func(*tsdb.Options) {}, "float histogram"},
	{chunkenc.EncHistogramST, withStartTimestamps, "histogram"},
	{chunkenc.EncFloatHistogramST, withStartTimestamps, "float histogram"},
}

func withStartTimestamps(o *tsdb.Options) {
	o.EnableSTStorage, o.EnableHistogramSTEncoding = true, true
	o.FloatChunkEncoding = chunkenc.EncXOR2
}

const (
	encodingInterval = 15_000
	encodingSamples  = 480
	encodingStart    = 1_699_999_200_000 // a full hour, and so is the middle: no chunk of the head reaches back into the block
	encodingMiddle   = encodingStart + encodingSamples/2*encodingInterval
	encodingEnd      = encodingStart + encodingSamples*encodingInterval
)

// appendKinds appends series of one kind: counters with resets, start timestamps, gaps and stale markers, and where
// they are histograms also gauges and ones with custom buckets.
func appendKinds(t *testing.T, st *teststorage.TestStorage, kind string, start, samples int) {
	t.Helper()
	app := st.AppenderV2(t.Context())
	add := func(l labels.Labels, st, ts int64, f float64, h *histogram.Histogram, fh *histogram.FloatHistogram) {
		_, err := app.Append(0, l, st, ts, f, h, fh, storage.AppendV2Options{})
		require.NoError(t, err)
	}
	for s := range 6 {
		l := labels.FromStrings("__name__", "m_total", "s", fmt.Sprint(s))
		life := 70 + 30*s // samples from reset to reset
		for i := start; i < start+samples; i++ {
			ts := int64(encodingStart + i*encodingInterval)
			began := int64(encodingStart+i/life*life*encodingInterval) - 1000
			n := int64(i % life * (s + 1))
			if (i+7*s)%41 == 0 {
				continue
			}
			stale := (i+11*s)%53 == 0
			h := tsdbutil.GenerateTestHistogram(n)
			fh := tsdbutil.GenerateTestFloatHistogram(n)
			switch s {
			case 3:
				h, fh = tsdbutil.GenerateTestCustomBucketsHistogram(n), tsdbutil.GenerateTestCustomBucketsFloatHistogram(n)
			case 4:
				h, fh = tsdbutil.GenerateTestGaugeHistogram(n), tsdbutil.GenerateTestGaugeFloatHistogram(n)
			}
			switch {
			case kind == "float" && stale:
				add(l, began, ts, math.Float64frombits(value.StaleNaN), nil, nil)
			case kind == "float":
				add(l, began, ts, float64(n)*1.25, nil, nil)
			case kind == "histogram" && stale:
				add(l, began, ts, 0, &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}, nil)
			case kind == "histogram":
				add(l, began, ts, 0, h, nil)
			case stale:
				add(l, began, ts, 0, nil, &histogram.FloatHistogram{Sum: math.Float64frombits(value.StaleNaN)})
			default:
				add(l, began, ts, 0, nil, fh)
			}
		}
	}
	require.NoError(t, app.Commit())
}

var floatQueries = []string{
	`m_total`,
	`m_total{s=~"1|2"} offset 2m`,
	`rate(m_total[5m])`,
	`sum by (s) (increase(m_total[3m]))`,
	`irate(m_total[2m])`,
	`resets(m_total[10m])`,
	`changes(m_total[4m])`,
	`start_timestamp(m_total)`,
	`timestamp(m_total)`,
	`increase(m_total[5m] anchored)`,
	`rate(m_total[5m] smoothed)`,
	`avg_over_time(m_total[7m])`,
	`quantile_over_time(0.7, m_total[7m])`,
	`max_over_time(rate(m_total[2m])[10m:1m])`,
}

var histogramQueries = []string{
	`m_total`,
	`m_total{s=~"0|4"} offset 2m`,
	`rate(m_total[5m])`,
	`histogram_quantile(0.9, rate(m_total[5m]))`,
	`histogram_quantile(0.5, sum(increase(m_total{s=~"0|1|2"}[5m])))`,
	`histogram_fraction(0, 2, m_total)`,
	`histogram_count(m_total)`,
	`histogram_sum(rate(m_total[5m]))`,
	`histogram_avg(increase(m_total[4m]))`,
	`resets(m_total[10m])`,
	`changes(m_total[4m])`,
	`start_timestamp(m_total)`,
	`timestamp(m_total)`,
	`count_over_time(m_total[5m])`,
	`sum_over_time(m_total{s!="4"}[5m])`,
	`last_over_time(m_total[3m])`,
	`increase(m_total[5m] anchored)`,
}

func TestEncodings(t *testing.T) {
	for _, c := range encodingCases {
		t.Run(c.encoding.String(), func(t *testing.T) {
			queries := histogramQueries
			if c.kind == "float" {
				queries = floatQueries
			}
			st := teststorage.New(t, c.options, func(o *tsdb.Options) { o.MinBlockDuration = time.Hour.Milliseconds() })
			appendKinds(t, st, c.kind, 0, encodingSamples)
			require.NoError(t, st.CompactHead(tsdb.NewRangeHead(st.Head(), encodingStart, encodingMiddle-1)))
			require.Len(t, st.Blocks(), 1)
			require.EqualValues(t, encodingMiddle, st.Head().MinTime())

			for part, span := range map[string][2]int64{
				"block": {encodingStart + 900_000, encodingMiddle - 300_000},
				"head":  {encodingMiddle + 900_000, encodingEnd},
				"both":  {encodingStart, encodingEnd + 600_000},
			} {
				t.Run(part, func(t *testing.T) {
					r := record(st)
					requireAllSame(t, r, queries,
						instantAt(span[0]+601_000), instantAt((span[0]+span[1])/2), instantAt(span[1]-encodingInterval),
						rangeOf(span[0], span[1], 60_000), rangeOf(span[0], span[1], 7_000), rangeOf(span[0], span[1], 1_200_000))
					require.NotZero(t, r.read[c.encoding], "chunks read: %v", r.read)
					for other := range r.read {
						require.Equal(t, c.encoding, other)
					}
					raw := record(st)
					require.True(t, requireSame(t, raw, `m_total[7m]`, instantAt(span[1]-300_000)))
					require.NotZero(t, raw.read[c.encoding])
				})
			}
		})
	}
}
