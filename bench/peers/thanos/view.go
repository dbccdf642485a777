package main

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/efficientgo/core/errors"
	"github.com/prometheus/prometheus/tsdb"
)

// view is a data set opened as a server would have it. It works on a copy in which files of blocks are links,
// because a TSDB writes to its directory.
type view struct {
	*tsdb.DB
	copied string
}

// openView opens the data directory dir, which is not written to.
func openView(dir string) (_ *view, err error) {
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
	db, err := tsdb.Open(copied, nil, nil, opts, nil)
	if err != nil {
		return nil, errors.Wrap(err, "open data set")
	}
	db.DisableCompactions()
	return &view{DB: db, copied: copied}, nil
}

// Close closes the storage and removes the copy.
func (s *view) Close() error {
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
