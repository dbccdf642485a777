package engine_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/internal/difftest"
)

// oddTimes cover series of 240 samples.
func oddTimes() []difftest.Times {
	return []difftest.Times{
		instantAt(stateStart + 1_800_000), instantAt(stateStart + 3_585_000),
		rangeOf(stateStart, stateStart+3_900_000, 60_000), rangeOf(stateStart+1_000_000, stateStart+1_300_000, 5_000),
	}
}

func counters(n int) []storage.Series {
	series := make([]storage.Series, n)
	for id := range series {
		series[id] = floatSeries("m_total", id, stateStart, 15_000, 240)
	}
	return series
}

// encoded are the series in chunks of size samples.
func encoded(t *testing.T, series []storage.Series, encoding chunkenc.Encoding, size int) chunked {
	t.Helper()
	var out chunked
	for _, s := range series {
		samples, err := storage.ExpandSamples(s.Iterator(nil), nil)
		require.NoError(t, err)
		var metas []chunks.Meta
		for part := range slices.Chunk(samples, size) {
			metas = append(metas, xorChunk(t, encoding, part))
		}
		out = append(out, chunkSeries(s.Labels(), metas...))
	}
	return out
}

func TestStorageWithoutChunks(t *testing.T) {
	requireAllSame(t, listed(counters(7)), stateQueries, oddTimes()...)
	requireAllSame(t, samplesOnly{lateStorage(t)}, stateQueries, lateTimes()...)
}

func TestStorageWithBoth(t *testing.T) {
	series := counters(7)
	requireAllSame(t, both{series, encoded(t, series, chunkenc.EncXOR, 100)}, stateQueries, oddTimes()...)
	requireAllSame(t, both{series, encoded(t, series, chunkenc.EncXOR2, 1)}, stateQueries, oddTimes()...)
}

// TestChunksOverlap reads series whose chunks overlap, as storage.ChunkIterable allows.
func TestChunksOverlap(t *testing.T) {
	for _, encoding := range []chunkenc.Encoding{chunkenc.EncXOR, chunkenc.EncXOR2} {
		var (
			samples listed
			inBulk  chunked
		)
		for id := range 5 {
			s := floatSeries("m_total", id, stateStart, 15_000, 240)
			all, err := storage.ExpandSamples(s.Iterator(nil), nil)
			require.NoError(t, err)
			var metas []chunks.Meta
			switch id {
			case 0: // next to each other
				metas = append(metas, xorChunk(t, encoding, all[:120]), xorChunk(t, encoding, all[120:]))
			case 1: // samples in common
				metas = append(metas, xorChunk(t, encoding, all[:140]), xorChunk(t, encoding, all[100:]))
			case 2: // alternating
				var even, odd []chunks.Sample
				for i, p := range all {
					if i%2 == 0 {
						even = append(even, p)
					} else {
						odd = append(odd, p)
					}
				}
				metas = append(metas, xorChunk(t, encoding, even), xorChunk(t, encoding, odd))
			case 3: // one within the other
				metas = append(metas, xorChunk(t, encoding, slices.Concat(all[:60], all[90:])), xorChunk(t, encoding, all[60:90]))
			case 4: // the same twice, and one more
				metas = append(metas, xorChunk(t, encoding, all[:200]), xorChunk(t, encoding, all[:200]), xorChunk(t, encoding, all[200:]))
			}
			samples = append(samples, s)
			inBulk = append(inBulk, chunkSeries(s.Labels(), metas...))
		}
		requireAllSame(t, both{samples, inBulk}, stateQueries, oddTimes()...)
	}
}

// TestHistogramChunksOverlap is TestChunksOverlap with histograms, the float of whose series stand between them.
func TestHistogramChunksOverlap(t *testing.T) {
	var histograms, floats []chunks.Sample
	for i := range 120 {
		histograms = append(histograms, histogramSample{floatSample{t: stateStart + int64(i)*30_000}, int64(i)})
		floats = append(floats, floatSample{stateStart + int64(i)*30_000 + 15_000, float64(i)})
	}
	l := labels.FromStrings("__name__", "m_total")
	c, err := chunks.ChunkFromSamples(histograms)
	require.NoError(t, err)
	var mixed []chunks.Sample
	for i := range histograms {
		mixed = append(mixed, histograms[i], floats[i])
	}
	st := both{listed{storage.NewListSeries(l, mixed)}, chunked{chunkSeries(l, c, xorChunk(t, chunkenc.EncXOR, floats))}}
	requireAllSame(t, st, []string{`rate(m_total[5m] offset 1m) or m_total`, `count_over_time(m_total[10m])`, `histogram_count(m_total)`, `timestamp(m_total)`}, oddTimes()...)
}

func TestFanout(t *testing.T) {
	open := func(first, last int) *teststorage.TestStorage {
		st := promqltest.NewBuiltinTestStorage(t)
		app := st.AppenderV2(t.Context())
		for id := first; id <= last; id++ {
			appendFloats(t, app, "m_total", stateStart, 15_000, 240, func(i int) float64 { return float64(i * (id + 1)) }, "s", fmt.Sprint(id))
		}
		require.NoError(t, app.Commit())
		return st
	}
	st := storage.NewFanout(promslog.NewNopLogger(), open(0, 4), open(3, 8), open(5, 6))
	requireAllSame(t, st, stateQueries, oddTimes()...)
	requireAllSame(t, st, []string{`m_total + on(s) m_total offset 1m`, `sum(m_total) / count(rate(m_total[2m]))`}, oddTimes()...)
}

// TestFanoutInfo has no reference: Prometheus crashes where info() selects series of a fanout with a secondary storage.
func TestFanoutInfo(t *testing.T) {
	open := func(names ...string) *teststorage.TestStorage {
		st := promqltest.NewBuiltinTestStorage(t)
		app := st.AppenderV2(t.Context())
		for _, name := range names {
			appendFloats(t, app, name, stateStart, 15_000, 240, func(i int) float64 { return 1 }, "job", "a", "instance", "b", "data", "of "+name)
		}
		require.NoError(t, app.Commit())
		return st
	}
	one := open("m_total", "target_info")
	two := storage.NewFanout(promslog.NewNopLogger(), open("m_total"), open("target_info"))
	for _, query := range []string{`info(m_total)`, `info(m_total) + on(job) info(m_total)`, `sum by (data) (info(rate(m_total[5m])))`} {
		for _, tm := range oddTimes() {
			want := ask(t, promql.NewEngine(storageOpts()), one, query, tm)
			require.NoError(t, want.Err)
			require.False(t, want.Empty())
			for i, m := range storageModes {
				if d := difference(t, want, ask(t, storageEngine(i), two, query, tm), query, tm); d != nil {
					t.Errorf("%s\n%s, %s:\n%s", query, tm, m.name, d)
				}
			}
		}
	}
}

func TestUnsortedSeries(t *testing.T) {
	series := counters(20)
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(series), func(i, j int) { series[i], series[j] = series[j], series[i] })
	st := both{series, encoded(t, series, chunkenc.EncXOR2, 77)}
	requireAllSame(t, st, stateQueries, oddTimes()...)
	requireAllSame(t, st, []string{
		`sum by (s) (m_total)`, `topk(3, m_total)`, `m_total * on(s) m_total`, `count_values("v", m_total % 7)`, `sort_by_label(m_total, "s")`, `m_total or rate(m_total[5m])`,
	}, oddTimes()...)
}

func TestDuplicateSeries(t *testing.T) {
	series := append(counters(3), counters(2)...)
	st := both{series, encoded(t, series, chunkenc.EncXOR, 120)}
	for _, query := range slices.Concat(stateQueries, []string{`abs(m_total)`, `-m_total`, `m_total + on(s) m_total`, `count by (s) (m_total)`, `label_replace(m_total, "x", "$1", "s", "(.*)")`, `m_total[5m]`, `max_over_time(m_total[5m:1m])`}) {
		for _, tm := range oddTimes() {
			if strings.HasSuffix(query, "5m]") && !tm.Instant {
				continue
			}
			requireSame(t, st, query, tm)
		}
	}
}

func TestSeriesWithoutSamples(t *testing.T) {
	empty := func(id string) labels.Labels { return labels.FromStrings("__name__", "m_total", "s", id) }
	series := slices.Concat(counters(2), []storage.Series{storage.NewListSeries(empty("x"), nil)}, counters(4)[2:], []storage.Series{storage.NewListSeries(empty("y"), nil)})
	in := encoded(t, series, chunkenc.EncXOR, 50)
	in = append(in, chunkSeries(empty("z"), xorChunk(t, chunkenc.EncXOR, nil)))
	series = append(series, storage.NewListSeries(empty("z"), nil))
	requireAllSame(t, both{series, in}, stateQueries, oddTimes()...)
	requireAllSame(t, both{series, in}, []string{`count(m_total)`, `count(count_over_time(m_total[5m]))`, `absent(m_total{s="x"})`, `absent_over_time(m_total{s="z"}[5m])`, `m_total or on(s) m_total`}, oddTimes()...)
}

// TestUnorderedSamples reads storages that break the rule that samples come in time order. Any answer will do.
func TestUnorderedSamples(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	queries := slices.Concat(stateQueries, []string{
		`irate(m_total[5m])`, `idelta(m_total[5m])`, `deriv(m_total[5m])`, `quantile_over_time(0.3, m_total[5m])`, `resets(m_total[5m])`, `changes(m_total[5m])`,
		`avg_over_time(m_total[5m])`, `stddev_over_time(m_total[5m])`, `increase(m_total[5m] anchored)`, `rate(m_total[5m] smoothed)`, `m_total smoothed`,
		`mad_over_time(m_total[5m])`, `double_exponential_smoothing(m_total[5m], 0.5, 0.5)`, `integral(m_total[5m])`, `ts_of_max_over_time(m_total[5m])`,
		`timestamp(m_total)`, `start_timestamp(m_total)`, `first_over_time(m_total[5m])`, `max_over_time(m_total[20m:1m])`,
	})
	for _, shuffled := range []int{2, 5, 240} {
		var series []storage.Series
		for id := range 6 {
			s := floatSeries("m_total", id, stateStart, 15_000, 240)
			samples, err := storage.ExpandSamples(s.Iterator(nil), nil)
			require.NoError(t, err)
			for part := range slices.Chunk(samples, shuffled) {
				r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
			}
			if id == 5 {
				slices.Reverse(samples)
			}
			series = append(series, storage.NewListSeries(s.Labels(), samples))
		}
		st := both{series, encoded(t, series, chunkenc.EncXOR, 60)}
		for _, query := range queries {
			for _, tm := range oddTimes() {
				for i, m := range storageModes {
					got := ask(t, storageEngine(i), st, query, tm)
					require.Empty(t, got.Panic, "%s, %s", query, m.name)
					require.NoError(t, got.Err, "%s, %s", query, m.name)
				}
			}
		}
	}
}

// TestGarbledChunks reads chunks with flipped bits from a storage without checksums. Any answer and any error of
// the decoders will do.
func TestGarbledChunks(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	samples := make([]chunks.Sample, 120)
	for i := range samples {
		samples[i] = floatSample{stateStart + int64(i)*15_000 + r.Int64N(100), math.Round(r.Float64() * 1000)}
	}
	failed := 0
	for _, encoding := range []chunkenc.Encoding{chunkenc.EncXOR, chunkenc.EncXOR2} {
		good := xorChunk(t, encoding, samples)
		for range 400 {
			bytes := slices.Clone(good.Chunk.Bytes())
			for range 1 + r.IntN(4) {
				bytes[r.IntN(len(bytes))] ^= byte(1 + r.IntN(255))
			}
			bytes = bytes[:len(bytes)-r.IntN(2)*r.IntN(len(bytes))]
			c, err := chunkenc.FromData(encoding, bytes)
			require.NoError(t, err)
			st := chunked{chunkSeries(labels.FromStrings("__name__", "m_total"), chunks.Meta{Chunk: c, MinTime: good.MinTime, MaxTime: good.MaxTime})}
			for _, query := range []string{`m_total`, `rate(m_total[5m])`, `avg_over_time(m_total[1m])`} {
				tm := rangeOf(stateStart, stateStart+1_800_000, 30_000)
				got := ask(t, storageEngine(0), st, query, tm)
				require.Empty(t, got.Panic)
				if got.Err != nil {
					require.NotContains(t, got.Err.Error(), "runtime error")
					failed++
				}
			}
		}
	}
	require.NotZero(t, failed)
}

// histogramSample is a sample of a storage.NewListSeries.
type histogramSample struct {
	floatSample
	n int64
}

func (s histogramSample) H() *histogram.Histogram {
	return tsdbutil.GenerateTestHistogram(s.n)
}
func (s histogramSample) FH() *histogram.FloatHistogram { return s.H().ToFloat(nil) }
func (s histogramSample) Type() chunkenc.ValueType      { return chunkenc.ValHistogram }
func (s histogramSample) Copy() chunks.Sample           { return s }
