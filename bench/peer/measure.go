package peer

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// execute runs the query once, within the timeout.
func execute(e Engine, q Query, timeout time.Duration) (Result, error) {
	ctx := context.Background()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return e.Execute(ctx, q)
}

// rest leaves nothing in the heap but what is in use, pools included, which outlive one collection, and gives all other memory back: an
// execution has to take anew what it needs.
func rest() {
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
}

// measureTime runs the query and measures how long it takes, in time and processor time, and what it allocates. It begins
// with the collector's work done, which serve sees to after each request, and otherwise as a server that has answered such
// queries before: with its pools, and with memory that it has got from the system.
func measureTime(e Engine, q Query, timeout time.Duration) (Sample, Result, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	u0, s0 := processorTime()
	t0 := time.Now()
	r, err := execute(e, q, timeout)
	wall := time.Since(t0)
	u1, s1 := processorTime()
	runtime.ReadMemStats(&after)
	return Sample{
		Wall: wall, User: u1 - u0, System: s1 - s0,
		Allocs: after.Mallocs - before.Mallocs, AllocBytes: after.TotalAlloc - before.TotalAlloc,
	}, r, err
}

// processorTime is what the process has used so far.
func processorTime() (user, system time.Duration) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, 0
	}
	return time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())
}

// measureMemory runs the query and measures the memory it takes.
func measureMemory(e Engine, q Query, timeout time.Duration) (Sample, error) {
	rest()
	if err := ResetPeak(); err != nil {
		return Sample{}, err
	}
	atRest, err := status("VmRSS")
	if err != nil {
		return Sample{}, err
	}
	heap := heapBytes()
	stop, peak := watchHeap()
	r, err := execute(e, q, timeout)
	close(stop)
	highest := <-peak
	if err != nil {
		return Sample{}, err
	}
	defer r.Close()
	top, err := Peak()
	if err != nil {
		return Sample{}, err
	}
	runtime.GC()
	s := Sample{PeakGrowth: max(0, top-atRest), PeakHeap: max(0, highest-heap), LiveHeap: max(0, heapBytes()-heap)}
	runtime.KeepAlive(r)
	return s, nil
}

// ResetPeak makes Peak begin anew. (getrusage's maximum cannot be reset, and begins with that of the parent process.)
func ResetPeak() error {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return fmt.Errorf("cannot reset the peak of resident memory: %w", err)
	}
	return nil
}

// Peak is the most resident memory that the process had since ResetPeak, in bytes.
func Peak() (int64, error) { return status("VmHWM") }

// heapMetric is the bytes in live and not yet collected objects.
const heapMetric = "/memory/classes/heap/objects:bytes"

func heapBytes() int64 {
	s := []metrics.Sample{{Name: heapMetric}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// watchHeap looks at the heap each ms until stop is closed, and then gives the most it saw.
func watchHeap() (stop chan struct{}, peak chan int64) {
	stop, peak = make(chan struct{}), make(chan int64, 1)
	go func() {
		highest := heapBytes()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- max(highest, heapBytes())
				return
			case <-tick.C:
				highest = max(highest, heapBytes())
			}
		}
	}()
	return stop, peak
}

// status is a field of /proc/self/status in bytes.
func status(field string) (int64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	return statusField(string(b), field)
}

func statusField(text, field string) (int64, error) {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no %s", field)
}
