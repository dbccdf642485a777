package tsdbdir

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/efficientgo/core/errcapture"
	"github.com/efficientgo/core/errors"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tombstones"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

// Names that Prometheus gives to the parts of a data directory and of a block.
const (
	headChunksDir    = "chunks_head"
	walDir           = "wal"
	wblDir           = wlog.WblDirName
	checkpointPrefix = "checkpoint."
	metaFile         = "meta.json"
	indexFile        = "index"
	blockChunksDir   = "chunks"
)

// checkHoldsData tells a data directory from any other.
func checkHoldsData(dir string) error {
	blocks, err := blockNames(dir)
	if err != nil {
		return err
	}
	wal, err := logParts(filepath.Join(dir, walDir))
	if err != nil {
		return err
	}
	if len(blocks) > 0 || len(wal) > 0 {
		return nil
	}
	if isFile(filepath.Join(dir, metaFile)) && isFile(filepath.Join(dir, indexFile)) {
		return errors.Newf("%s is a single block: give the directory that holds it", dir)
	}
	return errors.Newf("%s holds no TSDB data: expected block directories or wal", dir)
}

// mirrorDir builds in dst what tsdb.Open needs to serve src, and reports whether
// there is a write-ahead log.
//
// The order matters if a server works in src meanwhile. Head chunks come before
// the log, which still holds the samples of any chunk cut in between; the log
// comes before the blocks, so that samples that move from the one to the other
// are seen at least once, and the TSDB skips what of the head a block covers.
func mirrorDir(src, dst string) (hasWAL bool, err error) {
	if err := copyFiles(src, dst, headChunksDir); err != nil {
		return false, err
	}
	for _, log := range []string{walDir, wblDir} {
		parts, err := logParts(filepath.Join(src, log))
		if err != nil {
			return false, err
		}
		if len(parts) == 0 {
			continue
		}
		hasWAL = true
		for _, part := range parts {
			if err := copyFiles(src, dst, filepath.Join(log, part)); err != nil {
				return false, err
			}
		}
		if err := repairTail(filepath.Join(dst, log)); err != nil {
			return false, err
		}
	}
	return hasWAL, mirrorBlocks(src, dst)
}

// mirrorBlocks links the blocks of src into dst, without those that a compaction
// has replaced: after a crash both can be there, and both would count.
func mirrorBlocks(src, dst string) error {
	names, err := blockNames(src)
	if err != nil {
		return err
	}
	var (
		metas    = make(map[string]tsdb.BlockMeta, len(names))
		replaced = map[ulid.ULID]bool{}
	)
	for _, name := range names {
		meta, err := readMeta(filepath.Join(src, name, metaFile))
		if err != nil {
			return errors.Wrapf(err, "corrupt block %s in %s", name, src)
		}
		if resolution := time.Duration(meta.Thanos.Downsample.Resolution) * time.Millisecond; resolution != 0 {
			return errors.Newf("block %s in %s is downsampled to %s: it has aggregates and no samples, and is read from a Thanos store only", name, src, resolution)
		}
		metas[name] = meta.BlockMeta
		for _, parent := range meta.Compaction.Parents {
			replaced[parent.ULID] = true
		}
	}
	for _, name := range names {
		if replaced[metas[name].ULID] {
			continue
		}
		if err := linkBlock(filepath.Join(src, name), filepath.Join(dst, name)); err != nil {
			return errors.Wrapf(err, "corrupt block %s in %s", name, src)
		}
	}
	return nil
}

// blockNames lists the directories that are named like blocks. Blocks that are
// being written or deleted have a suffix and are not among them.
func blockNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, errors.Wrap(err, "list blocks")
	}
	var names []string
	for _, e := range entries {
		if _, err := ulid.ParseStrict(e.Name()); err == nil && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// logParts lists the segments and finished checkpoints of a write-ahead or
// write-behind log, none if dir does not exist.
func logParts(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Wrap(err, "list log segments")
	}
	var parts []string
	for _, e := range entries {
		if _, err := strconv.Atoi(strings.TrimPrefix(e.Name(), checkpointPrefix)); err == nil {
			parts = append(parts, e.Name())
		}
	}
	return parts, nil
}

// linkBlock makes dst a block whose index and chunks are links into src. The
// small files are copied, because they are what a TSDB rewrites.
func linkBlock(src, dst string) error {
	segments, err := os.ReadDir(filepath.Join(src, blockChunksDir))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dst, blockChunksDir), 0o700); err != nil {
		return err
	}
	links := []string{indexFile}
	for _, s := range segments {
		links = append(links, filepath.Join(blockChunksDir, s.Name()))
	}
	for _, l := range links {
		if err := os.Symlink(filepath.Join(src, l), filepath.Join(dst, l)); err != nil {
			return err
		}
	}
	for _, name := range []string{metaFile, tombstones.TombstonesFilename} {
		if err := copyFiles(src, dst, name); err != nil {
			return err
		}
	}
	// tsdb.Open stops at a corrupt block as well, but leaks the head it has made.
	b, err := tsdb.OpenBlock(nil, dst, nil, nil)
	if err != nil {
		return err
	}
	return b.Close()
}

// readMeta fails where tsdb.Open would leave a block out with no more than a
// line in the log.
func readMeta(path string) (meta blockMeta, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return meta, err
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return meta, errors.Wrap(err, metaFile)
	}
	if meta.Version != 1 {
		return meta, errors.Newf("%s: unknown version %d", metaFile, meta.Version)
	}
	return meta, nil
}

// blockMeta is what a block says of itself, and what Thanos adds to it.
type blockMeta struct {
	tsdb.BlockMeta
	Thanos struct {
		Downsample struct {
			Resolution int64 `json:"resolution"` // ms
		} `json:"downsample"`
	} `json:"thanos"`
}

// copyFiles copies a file, or a directory with all below it, from src/name to
// dst/name. A name that does not exist is skipped; a file that goes away while
// its directory is copied is an error.
func copyFiles(src, dst, name string) error {
	root := filepath.Join(src, name)
	if _, err := os.Lstat(root); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return copyFile(path, to)
	})
}

func copyFile(src, dst string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer errcapture.Do(&err, in.Close, "close %s", src)
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer errcapture.Do(&err, out.Close, "close %s", dst)
	_, err = io.Copy(out, in)
	return errors.Wrapf(err, "copy %s", src)
}

// repairTail cuts the last segment of a copied log where its records end to make
// sense: a server may have been writing there. tsdb.Open repairs a log too, but
// after a torn write-ahead log it leaves the out-of-order log unread.
func repairTail(dir string) (err error) {
	_, last, err := wlog.Segments(dir)
	if err != nil || last < 0 {
		return errors.Wrap(err, "read log segments")
	}
	torn, err := readSegment(wlog.SegmentName(dir, last))
	if err != nil || torn == nil {
		return err
	}
	w, err := wlog.New(nil, nil, dir, compression.None)
	if err != nil {
		return errors.Wrap(err, "repair torn log")
	}
	defer errcapture.Do(&err, w.Close, "close repaired log")
	return errors.Wrap(w.Repair(torn), "repair torn log")
}

// readSegment reads all records of a segment and returns as torn what stopped it
// before the end.
func readSegment(path string) (torn, err error) {
	s, err := wlog.OpenReadSegment(path)
	if err != nil {
		return nil, errors.Wrap(err, "read log segment")
	}
	buf := wlog.NewSegmentBufReader(s)
	defer errcapture.Do(&err, buf.Close, "close log segment")
	r := wlog.NewReader(buf)
	for r.Next() {
	}
	return r.Err(), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
