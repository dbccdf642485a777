package tsdbdir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	minute = int64(time.Minute / time.Millisecond)
	hour   = 60 * minute
	// start is a multiple of the block range.
	start = 480_000 * hour
)

// variant is a way in which a server may be configured to store samples.
type variant struct {
	name  string
	set   func(*tsdb.Options)
	st    bool                // append start timestamps
	chunk []chunkenc.Encoding // encodings that blocks must then hold
}

func variants() []variant {
	return []variant{
		{
			name: "XOR", set: func(*tsdb.Options) {},
			chunk: []chunkenc.Encoding{chunkenc.EncXOR, chunkenc.EncHistogram, chunkenc.EncFloatHistogram},
		},
		{
			name: "XOR2 with start timestamps", st: true,
			set: func(o *tsdb.Options) {
				o.FloatChunkEncoding = chunkenc.EncXOR2
				o.EnableHistogramSTEncoding = true
				o.EnableSTStorage = true
			},
			chunk: []chunkenc.Encoding{chunkenc.EncXOR2, chunkenc.EncHistogramST, chunkenc.EncFloatHistogramST},
		},
	}
}

// newServer opens a TSDB as a server does, with its lock, and appends seven hours
// of floats, histograms and out-of-order samples, of which two blocks are cut,
// and deletes some.
func newServer(t *testing.T, v variant) *tsdb.DB {
	t.Helper()
	opts := tsdb.DefaultOptions()
	opts.OutOfOrderTimeWindow = 6 * hour
	opts.RetentionDuration = 0
	v.set(opts)
	db, err := tsdb.Open(t.TempDir(), nil, nil, opts, nil)
	require.NoError(t, err)
	db.DisableCompactions()
	t.Cleanup(func() { require.NoError(t, db.Close()) })

	for i := range int64(421) {
		appendMinute(t, db, v, start+i*minute, i)
	}
	require.NoError(t, db.Compact(context.Background()))
	require.Len(t, db.Blocks(), 2)
	require.NoError(t, db.Delete(context.Background(), start, start+9*minute, labels.MustNewMatcher(labels.MatchEqual, "n", "1")))
	// Late samples: some older than the end of the blocks, and enough of them for
	// an out-of-order chunk to be cut.
	app := db.AppenderV2(context.Background())
	for i := range int64(40) {
		_, err := app.Append(0, labels.FromStrings("__name__", "late", "n", "0"), 0, start+420*minute-9*i*minute, float64(i)+0.1, nil, nil, storage.AOptions{})
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	require.Positive(t, dirSize(t, filepath.Join(db.Dir(), wblDir)))
	return db
}

func appendMinute(t *testing.T, db *tsdb.DB, v variant, ts, i int64) {
	t.Helper()
	app := db.AppenderV2(context.Background())
	var st int64
	if v.st {
		st = ts - 30_000
	}
	add := func(name string, n int, val float64, h *histogram.Histogram, fh *histogram.FloatHistogram) {
		_, err := app.Append(0, labels.FromStrings("__name__", name, "n", fmt.Sprint(n)), st, ts, val, h, fh, storage.AOptions{})
		require.NoError(t, err)
	}
	for n := range 5 {
		add("counter", n, float64(i*int64(n+1)), nil, nil)
	}
	add("hist", 0, 0, tsdbutil.GenerateTestHistogram(i), nil)
	add("custom", 0, 0, tsdbutil.GenerateTestCustomBucketsHistogram(i), nil)
	add("float_hist", 0, 0, nil, tsdbutil.GenerateTestFloatHistogram(i))
	require.NoError(t, app.Commit())
}

// sample is what an iterator shows at one timestamp.
type sample struct {
	st, t int64
	v     string
}

func drain(t *testing.T, it chunkenc.Iterator, to []sample) []sample {
	t.Helper()
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		s := sample{t: it.AtT(), st: it.AtST()}
		switch typ {
		case chunkenc.ValFloat:
			_, v := it.At()
			s.v = fmt.Sprintf("%x", math.Float64bits(v))
		case chunkenc.ValHistogram:
			_, h := it.AtHistogram(nil)
			s.v = h.String()
		case chunkenc.ValFloatHistogram:
			_, h := it.AtFloatHistogram(nil)
			s.v = h.String()
		}
		to = append(to, s)
	}
	require.NoError(t, it.Err())
	return to
}

func all() *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")
}

func readSamples(t *testing.T, q storage.Queryable) map[string][]sample {
	t.Helper()
	querier, err := q.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, querier.Close()) }()
	res := map[string][]sample{}
	set := querier.Select(context.Background(), true, nil, all())
	for set.Next() {
		s := set.At()
		res[s.Labels().String()] = drain(t, s.Iterator(nil), nil)
	}
	require.NoError(t, set.Err())
	return res
}

// readChunks also returns which encodings it met.
func readChunks(t *testing.T, q storage.ChunkQueryable) (map[string][]sample, map[chunkenc.Encoding]bool) {
	t.Helper()
	querier, err := q.ChunkQuerier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, querier.Close()) }()
	res, encodings := map[string][]sample{}, map[chunkenc.Encoding]bool{}
	set := querier.Select(context.Background(), true, nil, all())
	for set.Next() {
		s := set.At()
		var samples []sample
		it := s.Iterator(nil)
		for it.Next() {
			encodings[it.At().Chunk.Encoding()] = true
			samples = drain(t, it.At().Chunk.Iterator(nil), samples)
		}
		require.NoError(t, it.Err())
		res[s.Labels().String()] = samples
	}
	require.NoError(t, set.Err())
	return res, encodings
}

// fingerprint covers the name, kind, size, content and modification time of all
// that is in a directory, and of the directory itself.
func fingerprint(t *testing.T, dir string) map[string]string {
	t.Helper()
	res := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		sum := ""
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			h := sha256.Sum256(b)
			sum = hex.EncodeToString(h[:])
		}
		res[path] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano(), sum)
		return nil
	}))
	return res
}

func dirSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if !d.IsDir() {
			size += info.Size()
		}
		return nil
	}))
	return size
}

func openTest(t *testing.T, dir string) *DB {
	t.Helper()
	db, err := openVia(dir, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// A directory that a server has open is served as the server serves it.
func TestOpenBesideServer(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			server := newServer(t, v)
			want := readSamples(t, server)
			require.Len(t, want, 9)
			require.Len(t, want[`{__name__="counter", n="4"}`], 421)
			require.Len(t, want[`{__name__="counter", n="1"}`], 411)
			require.Len(t, want[`{__name__="late", n="0"}`], 40)
			before := fingerprint(t, server.Dir())

			tmp := t.TempDir()
			db, err := openVia(server.Dir(), tmp)
			require.NoError(t, err)
			require.Equal(t, want, readSamples(t, db))
			got, encodings := readChunks(t, db)
			require.Equal(t, want, got)
			for _, e := range v.chunk {
				require.True(t, encodings[e], "no chunk of encoding %s was read", e)
			}
			require.Equal(t, start, db.MinTime())
			require.Equal(t, start+420*minute, db.MaxTime())
			stats := db.Stats()
			require.Equal(t, len(server.Blocks()), stats.Blocks)
			require.Equal(t, server.Head().NumSeries(), stats.HeadSeries)
			require.Equal(t, uint64(8*len(server.Blocks())), stats.BlockSeries)

			require.NoError(t, db.Close())
			require.NoError(t, db.Close(), "closing twice")
			require.Equal(t, before, fingerprint(t, server.Dir()))
			left, err := os.ReadDir(tmp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// What the server does to its files later does not reach a DB that is open.
func TestServerGoesOn(t *testing.T) {
	v := variants()[0]
	server := newServer(t, v)
	db := openTest(t, server.Dir())
	want := readSamples(t, db)
	for i := int64(421); i < 1800; i++ {
		appendMinute(t, server, v, start+i*minute, i)
	}
	require.NoError(t, server.Compact(context.Background()))
	require.Equal(t, want, readSamples(t, db))
}

// blocksOnly returns a directory with nothing but the blocks of a server.
func blocksOnly(t *testing.T) string {
	t.Helper()
	server := newServer(t, variants()[0])
	dir := t.TempDir()
	for _, b := range server.Blocks() {
		require.NoError(t, copyFiles(server.Dir(), dir, filepath.Base(b.Dir())))
	}
	return dir
}

func TestOpenBlocksOnly(t *testing.T) {
	dir := blocksOnly(t)
	before := fingerprint(t, dir)
	db := openTest(t, dir)
	require.Zero(t, db.Stats().HeadSeries)
	samples := readSamples(t, db)
	require.Len(t, samples, 8)
	counter := samples[`{__name__="counter", n="0"}`]
	// Blocks end at an even hour, the last sample in them a minute earlier.
	require.Equal(t, counter[len(counter)-1].t, db.MaxTime())
	require.NotZero(t, (db.MaxTime()+1)%hour)
	require.Equal(t, before, fingerprint(t, dir))
}

func TestOpenWALOnly(t *testing.T) {
	src := t.TempDir()
	server, err := tsdb.Open(src, nil, nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	for i := range int64(10) {
		appendMinute(t, server, variant{}, start+i*minute, i)
	}
	require.NoError(t, server.Close())
	dir := t.TempDir()
	require.NoError(t, copyFiles(src, dir, walDir))

	db := openTest(t, dir)
	require.Equal(t, start, db.MinTime())
	require.Equal(t, start+9*minute, db.MaxTime())
	require.Len(t, readSamples(t, db)[`{__name__="counter", n="0"}`], 10)
}

// A log without any record is a server that has just started.
func TestOpenNoSamples(t *testing.T) {
	dir := t.TempDir()
	server, err := tsdb.Open(dir, nil, nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	require.NoError(t, server.Close())
	db := openTest(t, dir)
	require.Empty(t, readSamples(t, db))
	require.Equal(t, int64(math.MaxInt64), db.MinTime())
	require.Equal(t, int64(math.MinInt64), db.MaxTime())
}

// The copy of a log that is being written may end anywhere.
func TestOpenTornTail(t *testing.T) {
	server := newServer(t, variants()[0])
	whole := readSamples(t, server)
	for _, log := range []string{walDir, wblDir} {
		for _, cut := range []int64{1, 7, 40, 100} {
			t.Run(fmt.Sprint(log, " minus ", cut), func(t *testing.T) {
				dir := t.TempDir()
				require.NoError(t, copyFiles(server.Dir(), dir, "."))
				require.NoError(t, os.Remove(filepath.Join(dir, "lock")))
				_, last, err := wlog.Segments(filepath.Join(dir, log))
				require.NoError(t, err)
				segment := wlog.SegmentName(filepath.Join(dir, log), last)
				info, err := os.Stat(segment)
				require.NoError(t, err)
				require.Greater(t, info.Size(), cut)
				require.NoError(t, os.Truncate(segment, info.Size()-cut))
				before := fingerprint(t, dir)

				got := readSamples(t, openTest(t, dir))
				require.Equal(t, before, fingerprint(t, dir))
				lost := 0
				for series, want := range whole {
					require.LessOrEqual(t, len(got[series]), len(want))
					if len(got[series]) > 0 {
						require.Subset(t, want, got[series])
					}
					lost += len(want) - len(got[series])
				}
				require.Positive(t, lost)
				require.Equal(t, whole[`{__name__="counter", n="0"}`], got[`{__name__="counter", n="0"}`])
				if log == walDir && cut == 1 {
					// What is torn is one sample; the out-of-order ones are in the other log.
					require.Len(t, got[`{__name__="late", n="0"}`], 39)
				}
			})
		}
	}
}

// Both a compacted block and those it was made of are there after a crash.
func TestOpenReplacedBlocks(t *testing.T) {
	dir := blocksOnly(t)
	want := readSamples(t, openTest(t, dir))
	names, err := blockNames(dir)
	require.NoError(t, err)
	require.Len(t, names, 2)
	c, err := tsdb.NewLeveledCompactor(context.Background(), nil, nil, []int64{2 * hour, 6 * hour}, nil, nil)
	require.NoError(t, err)
	_, err = c.Compact(dir, []string{filepath.Join(dir, names[0]), filepath.Join(dir, names[1])}, nil)
	require.NoError(t, err)
	// One that compaction replaced may be in any state.
	require.NoError(t, os.Remove(filepath.Join(dir, names[0], indexFile)))
	before := fingerprint(t, dir)

	db := openTest(t, dir)
	require.Equal(t, before, fingerprint(t, dir))
	require.Equal(t, 1, db.Stats().Blocks)
	require.Equal(t, want, readSamples(t, db))
}

func TestOpenErrors(t *testing.T) {
	blocks := blocksOnly(t)
	names, err := blockNames(blocks)
	require.NoError(t, err)
	corrupt := func(change func(t *testing.T, block string)) func(*testing.T) string {
		return func(t *testing.T) string {
			dir := t.TempDir()
			require.NoError(t, copyFiles(blocks, dir, "."))
			change(t, filepath.Join(dir, names[1]))
			return dir
		}
	}
	for _, c := range []struct {
		name string
		dir  func(t *testing.T) string
		want []string
	}{
		{"no such path", func(t *testing.T) string { return filepath.Join(t.TempDir(), "nowhere") }, []string{"no such directory", "nowhere"}},
		{"a file", func(*testing.T) string { return filepath.Join(blocks, names[0], metaFile) }, []string{"not a directory", metaFile}},
		{"no data", func(t *testing.T) string { return t.TempDir() }, []string{"holds no TSDB data: expected block directories or wal"}},
		{"a single block", func(*testing.T) string { return filepath.Join(blocks, names[0]) }, []string{"is a single block"}},
		{"no meta.json", corrupt(func(t *testing.T, b string) { require.NoError(t, os.Remove(filepath.Join(b, metaFile))) }), []string{"corrupt block " + names[1], metaFile}},
		{"broken meta.json", corrupt(func(t *testing.T, b string) { require.NoError(t, os.Truncate(filepath.Join(b, metaFile), 9)) }), []string{"corrupt block " + names[1], metaFile}},
		{"no index", corrupt(func(t *testing.T, b string) { require.NoError(t, os.Remove(filepath.Join(b, indexFile))) }), []string{"corrupt block " + names[1], indexFile}},
		{"broken index", corrupt(func(t *testing.T, b string) { require.NoError(t, os.Truncate(filepath.Join(b, indexFile), 100)) }), []string{"corrupt block " + names[1]}},
		{"a downsampled block", corrupt(func(t *testing.T, b string) {
			meta, err := os.ReadFile(filepath.Join(b, metaFile))
			require.NoError(t, err)
			of := bytes.TrimSuffix(bytes.TrimSpace(meta), []byte("}"))
			require.NoError(t, os.WriteFile(filepath.Join(b, metaFile), append(of, `, "thanos": {"downsample": {"resolution": 300000}}}`...), 0o600))
		}), []string{"block " + names[1], "is downsampled to 5m0s"}},
		{"no chunks", corrupt(func(t *testing.T, b string) { require.NoError(t, os.RemoveAll(filepath.Join(b, blockChunksDir))) }), []string{"corrupt block " + names[1], blockChunksDir}},
		{"broken chunks", corrupt(func(t *testing.T, b string) {
			require.NoError(t, os.Truncate(filepath.Join(b, blockChunksDir, "000001"), 3))
		}), []string{"corrupt block " + names[1]}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, tmp := c.dir(t), t.TempDir()
			db, err := openVia(dir, tmp)
			require.Error(t, err)
			require.Nil(t, db)
			require.NotContains(t, err.Error(), "\n")
			for _, w := range c.want {
				require.ErrorContains(t, err, w)
			}
			left, err := os.ReadDir(tmp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestOpenRefusesTempDirInside(t *testing.T) {
	dir := blocksOnly(t)
	tmp := filepath.Join(dir, "tmp")
	require.NoError(t, os.Mkdir(tmp, 0o700))
	_, err := openVia(dir, tmp)
	require.ErrorContains(t, err, "lies inside the data directory")
}
