// Package crowd runs many heavy queries at once on an engine with a Limiter, and looks at what the process takes.
package crowd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/stride-promql/stride/bench/peer"
	"github.com/stride-promql/stride/bench/peers/promqlpeer"
	"github.com/stride-promql/stride/engine"
)

// Config says how many queries, and how much memory they may take.
type Config struct {
	Dir      string // data set, see suite's medium
	End      int64  // of the data, ms
	Queries  int
	Limit    int64 // accounted bytes
	GoMemory int64 // GOMEMLIMIT
}

// Result is what came of it.
type Result struct {
	Right, Refused int
	Wrong          []string // answers and errors that should not be
	PeakAccounted  int64
	PeakResident   int64 // VmHWM
	Naive          int64 // bytes that the queries would hold together if all ran at once without a limit
}

// heavy are queries whose operators hold a column for each series.
var heavy = []string{
	`quantile by (namespace) (0.9, http_requests_total)`,
	`sum by (namespace) (http_requests_total / on (pod, instance, handler, method, status) http_requests_total offset 1m)`,
	`sum(topk by (namespace) (50, http_requests_total))`,
	`max by (job) (sum by (pod, handler, status, method) (rate(http_requests_total[5m])))`,
	`count(http_requests_total and on (pod) memory_usage_bytes)`,
}

// Run runs the queries.
func Run(ctx context.Context, c Config, progress io.Writer) (*Result, error) {
	storage, err := promqlpeer.OpenStorage(c.Dir)
	if err != nil {
		return nil, err
	}
	defer storage.Close() //nolint:errcheck // A copy.
	limiter := engine.NewLimiter(c.Limit)
	limited := engine.New(engine.Opts{EngineOpts: promqlpeer.Options(), Limiter: limiter})
	free := engine.New(engine.Opts{EngineOpts: promqlpeer.Options()})

	want, need := map[string]string{}, map[string]int64{}
	for _, q := range heavy {
		fmt.Fprintf(progress, "alone: %s\n", q)
		if want[q], need[q], err = run(ctx, free, storage, q, c.End); err != nil {
			return nil, err
		}
	}
	debug.SetMemoryLimit(c.GoMemory)
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	if err := peer.ResetPeak(); err != nil {
		return nil, err
	}
	res := &Result{}
	stop, watched := make(chan struct{}), make(chan int64)
	go func() { watched <- watch(limiter, stop) }()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		done atomic.Int64
	)
	for i := range c.Queries {
		q := heavy[i%len(heavy)]
		res.Naive += need[q]
		wg.Go(func() {
			got, _, err := run(ctx, limited, storage, q, c.End)
			fmt.Fprintf(progress, "\r%d of %d", done.Add(1), c.Queries)
			mu.Lock()
			defer mu.Unlock()
			var refused *engine.LimitError
			switch {
			case errors.As(err, &refused):
				res.Refused++
			case err != nil:
				res.Wrong = append(res.Wrong, fmt.Sprintf("%s: %v", q, err))
			case got != want[q]:
				res.Wrong = append(res.Wrong, q+": another answer than alone")
			default:
				res.Right++
			}
		})
	}
	wg.Wait()
	fmt.Fprintln(progress)
	close(stop)
	res.PeakAccounted = <-watched
	res.PeakResident, err = peer.Peak()
	return res, err
}

// watch looks at how many bytes are accounted for, and gives the most.
func watch(l *engine.Limiter, stop chan struct{}) int64 {
	most := int64(0)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return most
		case <-tick.C:
			used, _ := l.Used()
			most = max(most, used)
		}
	}
}

// run runs a query over the last five hours, with a point for each 5 s, and gives its answer as text and the bytes that it held.
func run(ctx context.Context, e *engine.Engine, s *promqlpeer.Storage, query string, end int64) (string, int64, error) {
	to := time.UnixMilli(end)
	q, err := e.NewRangeQuery(ctx, s, nil, query, to.Add(-5*time.Hour), to, 5*time.Second)
	if err != nil {
		return "", 0, err
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return "", 0, res.Err
	}
	m, err := res.Matrix()
	if err != nil {
		return "", 0, err
	}
	return rounded(m), q.(engine.ExplainableQuery).Analyze().PeakBytes(), nil
}

// rounded is a matrix as text, in which the last digits of values do not show.
func rounded(m promql.Matrix) string {
	out := []byte(nil)
	for _, s := range m {
		out = fmt.Appendf(out, "%s", s.Metric)
		for _, p := range s.Floats {
			out = fmt.Appendf(out, " %d:%.10g", p.T, p.F)
		}
	}
	return string(out)
}
