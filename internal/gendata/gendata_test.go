package gendata

import (
	"context"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testProfile is small and has all of the events several times.
func testProfile() Profile {
	p := DefaultProfile(time.Date(2025, 6, 1, 13, 30, 0, 0, time.UTC))
	p.Series = 200
	p.Interval = time.Minute
	p.PodLifetime = 2 * time.Hour
	p.RestartEvery = time.Hour
	p.DownEvery = time.Hour
	p.PauseEvery = 2 * time.Hour
	p.Missed = 0.01
	p.Special = 0.01
	return p
}

// point is a sample in a form that can be compared, markers included.
type point struct {
	t    int64
	bits uint64
	hist string
}

// readAll returns all samples of a storage by label set.
func readAll(t *testing.T, q storage.Queryable) map[string][]point {
	t.Helper()
	querier, err := q.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, querier.Close()) }()
	res := map[string][]point{}
	set := querier.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	for set.Next() {
		res[set.At().Labels().String()] = points(t, set.At())
	}
	require.NoError(t, set.Err())
	return res
}

func points(t *testing.T, s storage.Series) (res []point) {
	t.Helper()
	it := s.Iterator(nil)
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		p := point{t: it.AtT()}
		switch typ {
		case chunkenc.ValFloat:
			_, v := it.At()
			p.bits = math.Float64bits(v)
		case chunkenc.ValHistogram:
			_, h := it.AtHistogram(nil)
			p.bits, p.hist = math.Float64bits(h.Sum), h.String()
		case chunkenc.ValFloatHistogram:
			_, h := it.AtFloatHistogram(nil)
			p.bits, p.hist = math.Float64bits(h.Sum), h.String()
		}
		res = append(res, p)
	}
	require.NoError(t, it.Err())
	return res
}

// slots returns all samples as Slot makes them.
func slots(t *testing.T, p Profile) map[string][]point {
	t.Helper()
	res := map[string][]point{}
	for i := range p.Series {
		for _, s := range p.Slot(i) {
			key := s.Labels().String()
			require.NotContains(t, res, key)
			if ps := points(t, s); len(ps) > 0 {
				res[key] = ps
			}
		}
	}
	return res
}

func openDir(t *testing.T, dir string) *tsdb.DB {
	t.Helper()
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0
	db, err := tsdb.Open(dir, nil, nil, opts, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// files returns the content of all files below a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	res := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			rel, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			res[rel] = string(b)
		}
		return nil
	}))
	return res
}

// Blocks, a head and Slot all hold the same samples.
func TestGenerate(t *testing.T) {
	p := testProfile()
	want := slots(t, p)

	dir := filepath.Join(t.TempDir(), "new", "data")
	var calls, last, total int64
	sum, err := Generate(context.Background(), dir, p, func(d, n int64) {
		require.Greater(t, d, last)
		calls, last, total = calls+1, d, n
	})
	require.NoError(t, err)
	require.Positive(t, calls)
	require.Equal(t, total, last)

	db := openDir(t, dir)
	require.Equal(t, want, readAll(t, db))
	require.Equal(t, len(want), sum.Series)
	// From 7:30 to 13:30, in blocks of two hours.
	require.Equal(t, 4, sum.Blocks)
	require.Len(t, db.Blocks(), 4)
	var stats tsdb.BlockStats
	for _, b := range db.Blocks() {
		stats.NumFloatSamples += b.Meta().Stats.NumFloatSamples
		stats.NumHistogramSamples += b.Meta().Stats.NumHistogramSamples
		require.LessOrEqual(t, b.MaxTime()-b.MinTime(), (2 * time.Hour).Milliseconds())
	}
	require.Equal(t, sum.FloatSamples, stats.NumFloatSamples)
	require.Equal(t, sum.HistogramSamples, stats.NumHistogramSamples)
	require.GreaterOrEqual(t, sum.MinTime, p.Start.UnixMilli())
	require.Less(t, sum.MaxTime, p.Start.Add(p.Duration).UnixMilli())
	require.Greater(t, sum.MaxTime, p.Start.Add(p.Duration-p.Interval).UnixMilli())

	head := teststorage.New(t)
	appended, err := Append(context.Background(), head, p)
	require.NoError(t, err)
	require.Equal(t, want, readAll(t, head))
	sum.Blocks = 0
	require.Equal(t, sum, appended)
}

func TestGenerateDeterministic(t *testing.T) {
	p := testProfile()
	p.Series = 100
	dirs := []string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		_, err := Generate(context.Background(), dir, p, nil)
		require.NoError(t, err)
	}
	require.Equal(t, files(t, dirs[0]), files(t, dirs[1]))

	other := p
	other.Seed++
	require.NotEqual(t, slots(t, p), slots(t, other))
}

// A slot does not depend on how many there are, nor samples on where data ends.
func TestSlotIndependent(t *testing.T) {
	small, large := testProfile(), testProfile()
	large.Series *= 3
	all := slots(t, large)
	for key, want := range slots(t, small) {
		require.Equal(t, want, all[key])
	}
	longer := small
	longer.Duration *= 2
	all = slots(t, longer)
	for key, want := range slots(t, small) {
		require.Equal(t, want, all[key][:len(want)])
	}
}

func TestBlockRange(t *testing.T) {
	p := testProfile()
	p.Series = 60
	want := slots(t, p)
	for _, c := range []struct {
		size   time.Duration
		blocks int
	}{{30 * time.Minute, 12}, {6 * time.Hour, 2}, {48 * time.Hour, 1}} {
		p.BlockRange = c.size
		dir := t.TempDir()
		sum, err := Generate(context.Background(), dir, p, nil)
		require.NoError(t, err)
		require.Equal(t, c.blocks, sum.Blocks)
		require.Equal(t, want, readAll(t, openDir(t, dir)))
	}
}

// shape counts what the samples of a data set are like.
type shape struct {
	series, stale, resets, gaps, nan, posInf, negInf int
}

func shapes(t *testing.T, p Profile) map[string]shape {
	t.Helper()
	res := map[string]shape{}
	for i := range p.Series {
		for _, s := range p.Slot(i) {
			name := s.Labels().Get("__name__")
			sh := res[name]
			sh.series++
			before := point{t: math.MaxInt64, bits: value.StaleNaN}
			for _, pt := range points(t, s) {
				if pt.t-before.t > p.Interval.Milliseconds()*3/2 {
					sh.gaps++
				}
				v := math.Float64frombits(pt.bits)
				switch {
				case value.IsStaleNaN(v):
					sh.stale++
				case math.IsNaN(v):
					sh.nan++
				case math.IsInf(v, 1):
					sh.posInf++
				case math.IsInf(v, -1):
					sh.negInf++
				case v < math.Float64frombits(before.bits):
					sh.resets++
				}
				before = pt
			}
			res[name] = sh
		}
	}
	return res
}

func TestAllKinds(t *testing.T) {
	p := testProfile()
	got := shapes(t, p)
	counters := []string{
		"http_requests_total", "process_cpu_seconds_total", "network_receive_bytes_total",
		"request_duration_seconds_bucket", "request_duration_seconds_sum", "request_duration_seconds_count",
		"rpc_duration_seconds", "rpc_handling_seconds",
	}
	gauges := []string{"memory_usage_bytes", "temperature_celsius", "queue_length", "cpu_utilization_ratio"}
	for _, name := range append(append([]string{"rpc_queue_seconds"}, counters...), gauges...) {
		require.Positive(t, got[name].stale, name)
		require.Positive(t, got[name].gaps, name)
	}
	for _, name := range counters {
		require.Positive(t, got[name].resets, name)
		require.Zero(t, got[name].nan, name)
	}
	for _, name := range gauges {
		require.Positive(t, got[name].nan, name)
		require.Positive(t, got[name].posInf, name)
		require.Positive(t, got[name].negInf, name)
	}
	// Four targets whose pods are replaced: more series than slots.
	require.Greater(t, got["up"].series, 4)
	require.Equal(t, got["up"].series, got["target_info"].series)
	require.Equal(t, got["up"].series, got["build_info"].series)
	require.Positive(t, got["up"].resets, "no target is ever down")
	require.Len(t, got, len(counters)+len(gauges)+4)
}

// Whatever is set to zero does not happen.
func TestQuietProfile(t *testing.T) {
	p := testProfile()
	p.Jitter, p.PodLifetime, p.RestartEvery, p.DownEvery, p.PauseEvery = 0, 0, 0, 0, 0
	p.Missed, p.Special = 0, 0
	scrapes := int(p.Duration / p.Interval)
	for i := range p.Series {
		all := p.Slot(i)
		require.Len(t, all, 1)
		require.Len(t, points(t, all[0]), scrapes)
	}
	for name, sh := range shapes(t, p) {
		require.Zero(t, sh.stale+sh.gaps+sh.nan+sh.posInf+sh.negInf, name)
		if strings.HasSuffix(name, "_total") || strings.HasPrefix(name, "request_") {
			require.Zero(t, sh.resets, name)
		}
	}
}

// Outages leave gaps that no marker announces.
func TestOutages(t *testing.T) {
	p := testProfile()
	p.PodLifetime, p.RestartEvery, p.DownEvery, p.PauseEvery, p.Missed = 0, 0, 0, 0, 0
	p.Interval, p.OutageEvery = 15*time.Second, time.Hour
	p.Mix.NativeHistograms = 0
	for name, sh := range shapes(t, p) {
		require.Zero(t, sh.stale, name)
		require.GreaterOrEqual(t, sh.gaps, 3*sh.series, name)
	}
}

// valuesOf returns how many values a label has in the series of a metric.
func valuesOf(p Profile, metric, label string) int {
	values := map[string]bool{}
	for i := range p.Series {
		for _, s := range p.Slot(i) {
			if s.Labels().Get("__name__") == metric {
				values[s.Labels().Get(label)] = true
			}
		}
	}
	return len(values)
}

func TestNamespaces(t *testing.T) {
	p := testProfile()
	p.Series = 10 * replicas * len(clusters) * p.SeriesPerTarget
	require.Equal(t, 6, valuesOf(p, "up", "namespace"))
	p.Namespaces = 9
	require.Equal(t, 9, valuesOf(p, "up", "namespace"))
}

func TestMemoryGauges(t *testing.T) {
	p := testProfile()
	p.PodLifetime = 0
	p.Mix = Mix{Gauges: 1}
	p.MemoryGauges = 40
	p.Series = 4 * p.SeriesPerTarget
	got := shapes(t, p)
	require.Equal(t, 4*40, got["memory_usage_bytes"].series)
	require.Equal(t, 40, valuesOf(p, "memory_usage_bytes", "container"))
	// The other seven of each take turns.
	require.Equal(t, 4*3, got["temperature_celsius"].series)
	require.Equal(t, 4*2, got["queue_length"].series)
	require.Equal(t, 4*2, got["cpu_utilization_ratio"].series)
}

// Start timestamps are those of the process, and stay with their samples in blocks and heads.
func TestStartTimestamps(t *testing.T) {
	p := testProfile()
	p.Series = 4 * p.SeriesPerTarget
	p.StartTimestamps, p.XOR2 = true, true
	want := map[string][]int64{}
	restarts := 0
	for i := range p.Series {
		for _, s := range p.Slot(i) {
			name, it, st := s.Labels().Get("__name__"), s.Iterator(nil), int64(0)
			before, last := int64(0), math.Inf(-1)
			for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
				if _, ok := gaugeNames[name]; ok {
					require.Zero(t, it.AtST(), name)
					continue
				}
				require.Less(t, it.AtST(), it.AtT(), name)
				require.GreaterOrEqual(t, it.AtST(), st, name)
				var v float64
				if typ == chunkenc.ValFloat {
					_, v = it.At()
				} else {
					_, h := it.AtFloatHistogram(nil)
					v = h.Count
				}
				if v < last && !value.IsStaleNaN(v) && typ == chunkenc.ValFloat {
					require.Greater(t, it.AtST(), before, "%s falls without a restart", name)
				}
				if st != 0 && it.AtST() != st {
					restarts++
				}
				st, before = it.AtST(), it.AtT()
				if !math.IsNaN(v) {
					last = v
				}
				want[s.Labels().String()] = append(want[s.Labels().String()], st)
			}
		}
	}
	require.Positive(t, restarts)

	dir := t.TempDir()
	_, err := Generate(context.Background(), dir, p, nil)
	require.NoError(t, err)
	head := teststorage.New(t, func(o *tsdb.Options) {
		o.FloatChunkEncoding, o.EnableSTStorage, o.EnableHistogramSTEncoding = chunkenc.EncXOR2, true, true
	})
	_, err = Append(context.Background(), head, p)
	require.NoError(t, err)
	blocks := openDir(t, dir)
	require.Equal(t, slots(t, p), readAll(t, blocks))
	require.Equal(t, want, startTimestamps(t, blocks))
	require.Equal(t, want, startTimestamps(t, head))
	for _, b := range blocks.Blocks() {
		require.Positive(t, b.Meta().Stats.NumFloatSamples)
		require.Positive(t, b.Meta().Stats.NumHistogramSamples)
	}
}

// gaugeNames are the metrics that count nothing.
var gaugeNames = map[string]struct{}{
	"up": {}, "target_info": {}, "build_info": {}, "rpc_queue_seconds": {},
	"memory_usage_bytes": {}, "temperature_celsius": {}, "queue_length": {}, "cpu_utilization_ratio": {},
}

// startTimestamps returns those of all series that have any, and checks that no float is in an XOR chunk.
func startTimestamps(t *testing.T, st storage.SampleAndChunkQueryable) map[string][]int64 {
	t.Helper()
	every := labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")
	q, err := st.ChunkQuerier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	res := map[string][]int64{}
	set := q.Select(context.Background(), true, nil, every)
	for set.Next() {
		key := set.At().Labels().String()
		chunks := set.At().Iterator(nil)
		for chunks.Next() {
			require.NotEqual(t, chunkenc.EncXOR, chunks.At().Chunk.Encoding(), key)
			it := chunks.At().Chunk.Iterator(nil)
			for it.Next() != chunkenc.ValNone {
				if it.AtST() != 0 {
					res[key] = append(res[key], it.AtST())
				}
			}
		}
		require.NoError(t, chunks.Err())
	}
	require.NoError(t, set.Err())
	return res
}

func TestMix(t *testing.T) {
	p := testProfile()
	p.Mix = Mix{Counters: 1}
	p.PodLifetime = 0
	got := shapes(t, p)
	require.Len(t, got, 6)
	require.Equal(t, 4, got["up"].series)
	require.Equal(t, 200-4*5, got["http_requests_total"].series)
}

// Classic buckets are cumulative at each scrape, and the last one is the count.
func TestClassicHistograms(t *testing.T) {
	p := testProfile()
	p.Mix = Mix{ClassicHistograms: 1}
	families := map[string]map[string][]point{}
	for i := range p.Series {
		for _, s := range p.Slot(i) {
			name := s.Labels().Get("__name__")
			if !strings.HasPrefix(name, "request_duration_seconds") {
				continue
			}
			key := s.Labels().Get("instance") + s.Labels().Get("handler")
			if families[key] == nil {
				families[key] = map[string][]point{}
			}
			families[key][name+s.Labels().Get("le")] = points(t, s)
		}
	}
	require.NotEmpty(t, families)
	const bucket = "request_duration_seconds_bucket"
	for _, f := range families {
		if f["request_duration_seconds_count"] == nil {
			continue // cut off by the number of series
		}
		require.Equal(t, f["request_duration_seconds_count"], f[bucket+"+Inf"])
		require.Len(t, f["request_duration_seconds_sum"], len(f[bucket+"+Inf"]))
		for i, b := range classicBounds[1:] {
			lower := f[bucket+labels.FormatOpenMetricsFloat(classicBounds[i])]
			upper := f[bucket+labels.FormatOpenMetricsFloat(b)]
			require.Len(t, upper, len(lower))
			for k := range lower {
				require.Equal(t, lower[k].t, upper[k].t)
				lo, hi := math.Float64frombits(lower[k].bits), math.Float64frombits(upper[k].bits)
				require.False(t, lo > hi, "%g in a bucket, %g in the next", lo, hi)
			}
		}
	}
}

func TestNativeHistograms(t *testing.T) {
	p := testProfile()
	p.Mix = Mix{NativeHistograms: 1}
	var custom, gauge, negative, schemas = 0, 0, 0, map[int32]bool{}
	for i := range p.Series {
		for _, s := range p.Slot(i) {
			it, name := s.Iterator(nil), s.Labels().Get("__name__")
			ofSeries := map[int32]bool{}
			for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
				switch typ {
				case chunkenc.ValHistogram:
					_, h := it.AtHistogram(nil)
					if value.IsStaleNaN(h.Sum) {
						continue
					}
					require.NoError(t, h.Validate(), name)
					ofSeries[h.Schema] = true
					negative += len(h.NegativeBuckets)
					if h.UsesCustomBuckets() {
						require.Equal(t, "rpc_handling_seconds", name)
						custom++
					}
				case chunkenc.ValFloatHistogram:
					_, fh := it.AtFloatHistogram(nil)
					if value.IsStaleNaN(fh.Sum) {
						continue
					}
					require.NoError(t, fh.Validate(), name)
					require.Equal(t, histogram.GaugeType, fh.CounterResetHint)
					require.Equal(t, "rpc_queue_seconds", name)
					gauge++
				}
			}
			for schema := range ofSeries {
				schemas[schema] = true
			}
			if len(ofSeries) > 1 {
				schemas[math.MaxInt32] = true
			}
		}
	}
	require.Positive(t, custom)
	require.Positive(t, gauge)
	require.Positive(t, negative)
	require.Greater(t, len(schemas), 4)
	require.True(t, schemas[math.MaxInt32], "no series changes its schema")
}

func TestGenerateRefusesNonEmptyDir(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keep"), []byte("me"), 0o600))
	before := files(t, dir)
	_, err := Generate(context.Background(), dir, testProfile(), nil)
	require.ErrorContains(t, err, "not empty")
	require.Equal(t, before, files(t, dir))

	_, err = Generate(context.Background(), filepath.Join(dir, "keep"), testProfile(), nil)
	require.Error(t, err)
	require.Equal(t, before, files(t, dir))
}

// A failure leaves nothing behind, be the directory new or not.
func TestGenerateFailure(t *testing.T) {
	existing := t.TempDir()
	fresh := filepath.Join(t.TempDir(), "data")
	p := testProfile()
	p.Series = 400
	for _, dir := range []string{existing, fresh} {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := Generate(ctx, dir, p, func(done, _ int64) {
			if done > 600 { // in the second block
				cancel()
			}
		})
		require.ErrorIs(t, err, context.Canceled)
	}
	left, err := os.ReadDir(existing)
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoDirExists(t, fresh)
}

func TestValidate(t *testing.T) {
	require.NoError(t, testProfile().Validate())
	for name, change := range map[string]func(*Profile){
		"number of series":  func(p *Profile) { p.Series = 0 },
		"series per target": func(p *Profile) { p.SeriesPerTarget = 0 },
		"negative weight":   func(p *Profile) { p.Mix.Gauges = -1 },
		"no weight":         func(p *Profile) { p.Mix = Mix{} },
		"scrape interval":   func(p *Profile) { p.Interval = 0 },
		"duration":          func(p *Profile) { p.Duration = time.Second },
		"jitter":            func(p *Profile) { p.Jitter = p.Interval },
		"pod lifetime":      func(p *Profile) { p.PodLifetime = p.Interval },
		"block range":       func(p *Profile) { p.BlockRange = time.Second },
		"negative":          func(p *Profile) { p.DownEvery = -1 },
		"memory gauges":     func(p *Profile) { p.MemoryGauges = -1 },
		"namespaces":        func(p *Profile) { p.Namespaces = -1 },
		"share":             func(p *Profile) { p.Missed = 2 },
	} {
		p := testProfile()
		change(&p)
		require.ErrorContains(t, p.Validate(), name)
		_, err := Generate(context.Background(), t.TempDir(), p, nil)
		require.ErrorContains(t, err, name)
		_, err = Append(context.Background(), nil, p)
		require.ErrorContains(t, err, name)
	}
}

func BenchmarkGenerate(b *testing.B) {
	p := DefaultProfile(time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC))
	p.Series = 5000
	for b.Loop() {
		sum, err := Generate(context.Background(), filepath.Join(b.TempDir(), "data"), p, nil)
		require.NoError(b, err)
		b.ReportMetric(float64(sum.FloatSamples+sum.HistogramSamples), "samples")
	}
}
