package run

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/efficientgo/core/errcapture"
	"github.com/efficientgo/core/errors"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/suite"
	"github.com/stride-promql/stride/internal/tsdbdir"
)

// Data gives the directory of a data set, made now if the cache does not have it.
func Data(ctx context.Context, cache string, d suite.Dataset, progress io.Writer) (dir string, err error) {
	dir = filepath.Join(cache, "data", d.Name+"-"+d.Version)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp := dir + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return "", errors.Wrap(err, "make data set")
	}
	if err := os.MkdirAll(tmp, 0o777); err != nil {
		return "", errors.Wrap(err, "make data set")
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(tmp)
		}
	}()
	percent := int64(-1)
	err = d.Build(ctx, tmp, func(done, total int64) {
		if p := done * 10 / max(total, 1) * 10; p != percent {
			percent = p
			fmt.Fprintf(progress, "making data set %s: %d%%\n", d.Name, p)
		}
	})
	if err != nil {
		return "", err
	}
	return dir, errors.Wrap(os.Rename(tmp, dir), "make data set")
}

// describe says what is in the directory of a data set.
func describe(d suite.Dataset, dir string) (record.Dataset, error) {
	out := record.Dataset{Name: d.Name, Description: d.Description, Fingerprint: d.Version}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		out.Bytes += info.Size()
		return nil
	})
	if err != nil {
		return out, errors.Wrap(err, "look at data set")
	}
	if d.Head {
		err := count(dir, &out)
		return out, err
	}
	db, err := tsdb.OpenDBReadOnly(dir, "", nil)
	if err != nil {
		return out, errors.Wrap(err, "look at data set")
	}
	defer db.Close() //nolint:errcheck // It was only read.
	blocks, err := db.Blocks()
	if err != nil {
		return out, errors.Wrap(err, "look at data set")
	}
	for _, b := range blocks {
		stats := b.Meta().Stats
		out.Series = max(out.Series, int(stats.NumSeries))
		out.Samples += stats.NumSamples
	}
	return out, nil
}

// count counts series and samples one by one, as the head keeps no numbers.
func count(dir string, out *record.Dataset) (err error) {
	db, err := tsdbdir.Open(dir)
	if err != nil {
		return errors.Wrap(err, "look at data set")
	}
	defer errcapture.Do(&err, db.Close, "close data set")
	q, err := db.ChunkQuerier(db.MinTime(), db.MaxTime())
	if err != nil {
		return errors.Wrap(err, "look at data set")
	}
	defer errcapture.Do(&err, q.Close, "close querier")
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*"))
	var it chunks.Iterator
	for set.Next() {
		out.Series++
		for it = set.At().Iterator(it); it.Next(); {
			out.Samples += uint64(it.At().Chunk.NumSamples())
		}
		if err := it.Err(); err != nil {
			return errors.Wrap(err, "look at data set")
		}
	}
	return errors.Wrap(set.Err(), "look at data set")
}

// readAll reads the files of a data set, so that they are in memory whichever engine comes first.
func readAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		if e := f.Close(); err == nil {
			err = e
		}
		return err
	})
	return errors.Wrap(err, "read data set")
}
