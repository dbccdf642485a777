package run

import (
	"os"
	"path/filepath"

	"github.com/efficientgo/core/errors"
	"golang.org/x/sys/unix"
)

// tmpPrefix begins the names of directories in the cache that only a run needs.
const tmpPrefix = ".tmp-"

// cacheLock keeps other runs out of the cache, also because two runs at once would measure each other. The system takes it away
// from a process that has ended, however it ended.
type cacheLock struct{ f *os.File }

// lockCache locks a cache and removes what a run that was killed has left in it.
func lockCache(dir string) (*cacheLock, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, errors.Wrap(err, "make cache")
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, errors.Wrap(err, "lock cache")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, errors.Wrapf(err, "another run uses the cache %s: wait for its end, or give another with --cache", dir)
	}
	l := &cacheLock{f}
	left, err := filepath.Glob(filepath.Join(dir, tmpPrefix+"*"))
	if err != nil {
		_ = l.close()
		return nil, errors.Wrap(err, "clean cache")
	}
	for _, d := range left {
		if err := os.RemoveAll(d); err != nil {
			_ = l.close()
			return nil, errors.Wrap(err, "clean cache")
		}
	}
	return l, nil
}

func (l *cacheLock) close() error { return l.f.Close() }
