// Package tsdbdir opens the data directory of a Prometheus server for queries
// without writing to it, also while that server is running.
//
// A TSDB cannot be opened in place for reading alone: it takes a lock, starts
// new write-ahead log segments, repairs what a crash left behind and deletes
// blocks that compaction replaced. So the directory is mirrored into a
// temporary one. What replay changes (chunks_head, wal, wbl) is copied; blocks,
// which are immutable, become directories of symbolic links, so that whatever
// the TSDB replaces or deletes there are links. The write-ahead log is replayed
// once, by tsdb.Open, and the samples are therefore those that Prometheus itself
// would serve after a restart.
package tsdbdir

import (
	"context"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/efficientgo/core/errors"
	"github.com/efficientgo/core/merrors"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"

	"github.com/stride-promql/stride/source/blockindex"
)

// mirrorAttempts bounds how often a mirror is started over because a file went
// away under it: a running server truncates its log and compacts blocks, and two
// such moments in a row are already unlikely.
const mirrorAttempts = 4

// never is a block reload interval that no process outlives. Reloading would
// only look at the mirror, which does not change.
const never = time.Duration(math.MaxInt64)

// DB answers queries over the blocks and the head of a data directory as they
// were when Open read them. Queriers may be used concurrently with one another;
// each one follows the rules of storage.Querier.
type DB struct {
	db         *tsdb.DB
	indexes    blockindex.Cache
	mirror     string
	mint, maxt int64
	intervals  []Interval
}

var (
	_ storage.Queryable      = (*DB)(nil)
	_ storage.ChunkQueryable = (*DB)(nil)
)

// Open reads the data directory dir (what Prometheus calls --storage.tsdb.path).
// Nothing below dir is created, changed or locked. An end of the write-ahead log
// that was being written is left out; a block that cannot be read is an error
// that names it. The DB must be closed to remove its temporary files, which lie
// under os.TempDir: it needs room for the data directory's chunks_head, wal and
// wbl, and may not lie inside the data directory.
func Open(dir string) (*DB, error) {
	return openVia(dir, os.TempDir())
}

// openVia is Open with the mirror made under tempDir.
func openVia(dir, tempDir string) (_ *DB, err error) {
	if dir, err = resolve(dir); err != nil {
		return nil, err
	}
	if err := checkTempDir(tempDir, dir); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		db, err := open(dir, tempDir)
		if err == nil || attempt == mirrorAttempts || !errors.Is(err, fs.ErrNotExist) {
			return db, err
		}
	}
}

// resolve returns dir as an absolute path without symbolic links, after checking
// that it is a directory with something to open.
func resolve(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", errors.Newf("no such directory: %s", dir)
	case err != nil:
		return "", errors.Wrap(err, "data directory")
	case !info.IsDir():
		return "", errors.Newf("not a directory: %s", dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", errors.Wrap(err, "data directory")
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return "", errors.Wrap(err, "data directory")
	}
	return abs, checkHoldsData(abs)
}

// checkTempDir refuses temporary files inside the directory that must not change.
func checkTempDir(tempDir, dir string) error {
	tmp, err := filepath.Abs(tempDir)
	if err != nil {
		return errors.Wrap(err, "temporary directory")
	}
	if tmp, err = filepath.EvalSymlinks(tmp); err != nil {
		return errors.Wrap(err, "temporary directory")
	}
	if tmp == dir || strings.HasPrefix(tmp, dir+string(filepath.Separator)) {
		return errors.Newf("temporary directory %s lies inside the data directory %s: set TMPDIR to another place", tmp, dir)
	}
	return nil
}

// open mirrors dir and loads the mirror.
func open(dir, tempDir string) (_ *DB, err error) {
	mirror, err := os.MkdirTemp(tempDir, "stride-tsdb-")
	if err != nil {
		return nil, errors.Wrap(err, "make a temporary directory")
	}
	db := &DB{mirror: mirror}
	defer func() {
		if err != nil {
			err = merrors.New(err, db.Close()).Err()
		}
	}()

	hasWAL, err := mirrorDir(dir, mirror)
	if err != nil {
		return nil, err
	}
	if db.db, err = tsdb.Open(mirror, nil, nil, db.options(hasWAL), nil); err != nil {
		return nil, errors.Wrapf(err, "open TSDB data in %s", dir)
	}
	db.db.DisableCompactions()
	if db.mint, db.maxt, err = timeBounds(db.db); err != nil {
		return nil, errors.Wrapf(err, "open TSDB data in %s", dir)
	}
	db.intervals = intervals(db.db, db.maxt)
	return db, nil
}

func (db *DB) options(hasWAL bool) *tsdb.Options {
	opts := tsdb.DefaultOptions()
	opts.BlockQuerierFunc, opts.BlockChunkQuerierFunc = db.indexes.Querier, db.indexes.ChunkQuerier
	opts.RetentionDuration = 0 // Old samples are there to be queried.
	opts.BlockReloadInterval = never
	opts.NoLockfile = true
	// Start timestamps that the log may hold would be lost in chunks that cannot
	// store them, and with them the answers of the functions that use them.
	opts.FloatChunkEncoding = chunkenc.EncXOR2
	opts.EnableHistogramSTEncoding = true
	opts.EnableSTStorage = true
	if !hasWAL {
		opts.WALSegmentSize = -1
	}
	return opts
}

// Querier implements storage.Queryable. mint and maxt are inclusive, in ms.
func (db *DB) Querier(mint, maxt int64) (storage.Querier, error) {
	return db.db.Querier(mint, maxt)
}

// ChunkQuerier implements storage.ChunkQueryable. mint and maxt are inclusive, in ms.
func (db *DB) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return db.db.ChunkQuerier(mint, maxt)
}

// MinTime returns a time in ms that no sample is older than; blocks may start
// later than they claim. It is math.MaxInt64 if there is no sample.
func (db *DB) MinTime() int64 { return db.mint }

// MaxTime returns the time in ms of the newest sample, deleted ones included. It
// is math.MinInt64 if there is no sample.
func (db *DB) MaxTime() int64 { return db.maxt }

// Stats tells the size of a data directory without reading samples.
type Stats struct {
	Blocks      int    // persisted blocks
	BlockSeries uint64 // series over all blocks; one in several blocks counts in each
	HeadSeries  uint64 // series in the head
}

// Stats returns the size of what was opened.
func (db *DB) Stats() Stats {
	s := Stats{HeadSeries: db.db.Head().NumSeries()}
	for _, b := range db.db.Blocks() {
		s.Blocks++
		s.BlockSeries += b.Meta().Stats.NumSeries
	}
	return s
}

// Close releases the data and removes the temporary files. Queriers must be
// closed first.
func (db *DB) Close() error {
	errs := merrors.New()
	if db.db != nil {
		errs.Add(errors.Wrap(db.db.Close(), "close TSDB"))
		errs.Add(errors.Wrap(db.indexes.Close(), "close indexes"))
	}
	errs.Add(errors.Wrap(os.RemoveAll(db.mirror), "remove temporary files"))
	return errs.Err()
}

// timeBounds returns the bounds that MinTime and MaxTime promise.
func timeBounds(db *tsdb.DB) (mint, maxt int64, err error) {
	head := db.Head()
	mint, maxt = math.MaxInt64, math.MinInt64
	if head.NumSeries() > 0 {
		mint = min(head.MinTime(), head.MinOOOTime())
		maxt = max(head.MaxTime(), head.MaxOOOTime())
	}
	for _, b := range db.Blocks() {
		if b.Meta().Stats.NumSeries == 0 {
			continue
		}
		mint = min(mint, b.MinTime())
		// A block ends where its range does, not at its last sample.
		if b.MaxTime()-1 <= maxt {
			continue
		}
		newest, err := newestSample(b)
		if err != nil {
			return 0, 0, errors.Wrapf(err, "block %s", b)
		}
		maxt = max(maxt, newest)
	}
	return mint, maxt, nil
}

// newestSample finds the latest sample of a block from its index alone.
func newestSample(b *tsdb.Block) (newest int64, err error) {
	ir, err := b.Index()
	if err != nil {
		return 0, err
	}
	defer func() { err = merrors.New(err, ir.Close()).Err() }()

	name, value := index.AllPostingsKey()
	p, err := ir.Postings(context.Background(), name, value)
	if err != nil {
		return 0, err
	}
	var (
		builder labels.ScratchBuilder
		chks    []chunks.Meta
	)
	newest = math.MinInt64
	for p.Next() {
		if err := ir.Series(p.At(), &builder, &chks); err != nil {
			return 0, err
		}
		if n := len(chks); n > 0 {
			newest = max(newest, chks[n-1].MaxTime)
		}
	}
	return newest, p.Err()
}
