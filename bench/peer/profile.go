package peer

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"time"
)

// profile runs the query again and again while profiles are taken, and writes them into dir.
func profile(e Engine, q Query, dir string, d, timeout time.Duration, traced bool) error {
	repeat := func() error {
		for start := time.Now(); time.Since(start) < d; {
			if err := once(e, q, timeout); err != nil {
				return err
			}
		}
		return nil
	}
	err := toFile(filepath.Join(dir, "cpu.pprof"), func(f *os.File) error {
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
		return repeat()
	})
	if err != nil {
		return err
	}
	runtime.GC()
	if err := toFile(filepath.Join(dir, "heap.pprof"), func(f *os.File) error { return pprof.Lookup("allocs").WriteTo(f, 0) }); err != nil {
		return err
	}
	if !traced {
		return nil
	}
	return toFile(filepath.Join(dir, "trace.out"), func(f *os.File) error {
		if err := trace.Start(f); err != nil {
			return err
		}
		defer trace.Stop()
		return once(e, q, timeout)
	})
}

func once(e Engine, q Query, timeout time.Duration) error {
	r, err := execute(e, q, timeout)
	if err != nil {
		return err
	}
	r.Close()
	return nil
}

func toFile(name string, fn func(*os.File) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = fn(f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
