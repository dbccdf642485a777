// Package promqlpeer makes a peer program of anything that is a promql.QueryEngine, over a TSDB.
package promqlpeer

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/efficientgo/core/errors"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Storage is a data set opened as a server would have it. It works on a copy in which files of blocks are links,
// because a TSDB writes to its directory.
type Storage struct {
	*tsdb.DB
	copied string
}

// OpenStorage opens the data directory dir, which is not written to.
func OpenStorage(dir string) (_ *Storage, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, errors.Wrap(err, "copy data set")
	}
	copied, err := os.MkdirTemp("", "tsdb-")
	if err != nil {
		return nil, errors.Wrap(err, "copy data set")
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(copied)
		}
	}()
	if err := link(dir, copied); err != nil {
		return nil, errors.Wrap(err, "copy data set")
	}
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0 // The data is as old as it is.
	opts.NoLockfile = true
	opts.FloatChunkEncoding = chunkenc.EncXOR
	db, err := tsdb.Open(copied, nil, nil, opts, nil)
	if err != nil {
		return nil, errors.Wrap(err, "open data set")
	}
	db.DisableCompactions()
	return &Storage{DB: db, copied: copied}, nil
}

// Close closes the storage and removes the copy.
func (s *Storage) Close() error {
	err := s.DB.Close()
	if e := os.RemoveAll(s.copied); err == nil {
		err = e
	}
	return err
}

// link makes dst look like src: files of blocks, which never change, are links, others copies.
func link(src, dst string) error {
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o777)
		}
		switch filepath.Base(filepath.Dir(path)) {
		case "wal", "wbl", "chunks_head":
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(to, b, 0o666)
		}
		return os.Symlink(path, to)
	})
}
