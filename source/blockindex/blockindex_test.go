package blockindex

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/internal/gendata"
)

var end = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// generate makes blocks of series that come and go.
func generate(tb testing.TB, series int) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "data")
	p := gendata.DefaultProfile(end)
	p.Series, p.Interval = series, time.Minute
	_, err := gendata.Generate(tb.Context(), dir, p, func(done, total int64) {})
	require.NoError(tb, err)
	return dir
}

// opened is the TSDB of a directory, with its indexes in the cache, or read by itself if there is none.
func opened(tb testing.TB, dir string, c *Cache) *tsdb.DB {
	tb.Helper()
	o := tsdb.DefaultOptions()
	o.RetentionDuration, o.WALSegmentSize = 0, -1
	if c != nil {
		o.BlockQuerierFunc, o.BlockChunkQuerierFunc = c.Querier, c.ChunkQuerier
	}
	db, err := tsdb.Open(dir, nil, nil, o, nil)
	require.NoError(tb, err)
	db.DisableCompactions()
	return db
}

// found is a series as a query finds it.
type found struct {
	labels  string
	chunks  []chunks.Meta
	samples [][2]float64
}

func ask(tb testing.TB, db *tsdb.DB, mint, maxt int64, ms ...*labels.Matcher) (all []found) {
	tb.Helper()
	cq, err := db.ChunkQuerier(mint, maxt)
	require.NoError(tb, err)
	var it chunks.Iterator
	set := cq.Select(context.Background(), true, nil, ms...)
	for set.Next() {
		f := found{labels: set.At().Labels().String()}
		for it = set.At().Iterator(it); it.Next(); {
			f.chunks = append(f.chunks, it.At())
		}
		require.NoError(tb, it.Err())
		all = append(all, f)
	}
	require.NoError(tb, set.Err())
	require.NoError(tb, cq.Close())

	q, err := db.Querier(mint, maxt)
	require.NoError(tb, err)
	var samples chunkenc.Iterator
	series := q.Select(context.Background(), true, nil, ms...)
	for i := 0; series.Next(); i++ {
		require.Equal(tb, all[i].labels, series.At().Labels().String())
		for samples = series.At().Iterator(samples); samples.Next() == chunkenc.ValFloat; {
			t, v := samples.At()
			all[i].samples = append(all[i].samples, [2]float64{float64(t), float64(math.Float64bits(v))})
		}
	}
	require.NoError(tb, series.Err())
	require.NoError(tb, q.Close())
	return all
}

// Queries find the same, with deletions, over several blocks and a head, by several at once.
func TestSameAsPrometheus(t *testing.T) {
	var c Cache
	with, without := opened(t, generate(t, 300), &c), opened(t, generate(t, 300), nil)
	for _, db := range []*tsdb.DB{with, without} {
		require.NoError(t, db.Delete(t.Context(), end.Add(-3*time.Hour).UnixMilli(), end.Add(-150*time.Minute).UnixMilli(), labels.MustNewMatcher(labels.MatchRegexp, "pod", ".*[0-3]")))
		app := db.Appender(t.Context())
		for i := range 100 {
			_, err := app.Append(0, labels.FromStrings("__name__", "up", "job", "head"), end.Add(time.Duration(i)*time.Minute).UnixMilli(), float64(i))
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	require.Greater(t, len(with.Blocks()), 2)
	var wg sync.WaitGroup
	for _, span := range [][2]time.Duration{{-6 * time.Hour, 2 * time.Hour}, {-4 * time.Hour, -3 * time.Hour}, {-time.Hour, 0}, {time.Hour, 2 * time.Hour}, {5 * time.Hour, 6 * time.Hour}} {
		for _, m := range []*labels.Matcher{
			labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"),
			labels.MustNewMatcher(labels.MatchEqual, "__name__", "up"),
			labels.MustNewMatcher(labels.MatchNotRegexp, "pod", ".*[a-f]"),
		} {
			wg.Go(func() {
				mint, maxt := end.Add(span[0]).UnixMilli(), end.Add(span[1]).UnixMilli()
				want, got := ask(t, without, mint, maxt, m), ask(t, with, mint, maxt, m)
				if span[0] < 0 {
					require.NotEmpty(t, want)
				}
				require.Equal(t, want, got)
			})
		}
	}
	wg.Wait()
	require.Len(t, c.files, len(with.Blocks()))
	for _, f := range c.files {
		require.Zero(t, f.users)
	}
	require.NoError(t, with.Close())
	require.NoError(t, c.Close())
	require.Empty(t, c.files)
	require.NoError(t, without.Close())
}

// Files of blocks that are gone are let go of when another block is opened, those in use later.
func TestForget(t *testing.T) {
	var c Cache
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		index, err := filepath.Glob(filepath.Join(generate(t, 10), "*", "index"))
		require.NoError(t, err)
		require.NoError(t, os.Rename(index[0], filepath.Join(dir, "index")))
	}
	used, err := c.acquire(dirs[0])
	require.NoError(t, err)
	idle, err := c.acquire(dirs[1])
	require.NoError(t, err)
	c.release(idle)
	require.NoError(t, os.RemoveAll(dirs[0]))
	require.NoError(t, os.RemoveAll(dirs[1]))
	again, err := c.acquire(dirs[2])
	require.NoError(t, err)
	require.Equal(t, map[string]*file{dirs[0]: used, dirs[2]: again}, c.files)
	c.release(used)
	c.release(again)
	require.NoError(t, c.Close())
}

func BenchmarkSeries(b *testing.B) {
	dir := generate(b, 20_000)
	for _, c := range []*Cache{nil, {}} {
		name := "prometheus"
		if c != nil {
			name = "stride"
		}
		b.Run(name, func(b *testing.B) {
			db := opened(b, dir, c)
			series := 0
			for b.Loop() {
				q, err := db.ChunkQuerier(math.MinInt64, math.MaxInt64)
				require.NoError(b, err)
				series = 0
				var set storage.ChunkSeriesSet
				for set = q.Select(b.Context(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")); set.Next(); {
					series++
				}
				require.NoError(b, set.Err())
				require.NoError(b, q.Close())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/series")
			require.NoError(b, db.Close())
			if c != nil {
				require.NoError(b, c.Close())
			}
		})
	}
}
