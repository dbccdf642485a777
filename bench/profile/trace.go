package profile

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/efficientgo/core/errors"
	"golang.org/x/exp/trace"
)

// Cores is what the cores did while an execution was traced. Times are summed over cores.
type Cores struct {
	Wall time.Duration
	// Busy is the time in which a core ran a goroutine, by core. Collecting is the part of all of it in which that was one of the
	// garbage collector's own.
	Busy       map[int64]time.Duration
	Collecting time.Duration
}

// ReadTrace reads an execution trace.
func ReadTrace(file string) (*Cores, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.Wrap(err, "read trace")
	}
	defer f.Close() //nolint:errcheck // It was only read.
	r, err := trace.NewReader(f)
	if err != nil {
		return nil, errors.Wrapf(err, "%s is not a trace", file)
	}
	c := &Cores{Busy: map[int64]time.Duration{}}
	type running struct {
		since trace.Time
		core  trace.ProcID
	}
	var (
		first, last trace.Time
		now         = map[trace.GoID]running{}
		collectors  = map[trace.GoID]bool{}
	)
	for {
		e, err := r.ReadEvent()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errors.Wrapf(err, "read %s", file)
		}
		if first == 0 {
			first = e.Time()
		}
		last = e.Time()
		if e.Kind() != trace.EventStateTransition || e.StateTransition().Resource.Kind != trace.ResourceGoroutine {
			continue
		}
		t := e.StateTransition()
		id := t.Resource.Goroutine()
		for frame := range t.Stack.Frames() {
			if frame.Func == "runtime.gcBgMarkWorker" {
				collectors[id] = true
			}
		}
		from, to := t.Goroutine()
		if from == trace.GoRunning {
			if begun, ok := now[id]; ok {
				d := e.Time().Sub(begun.since)
				c.Busy[int64(begun.core)] += d
				if collectors[id] {
					c.Collecting += d
				}
				delete(now, id)
			}
		}
		if to == trace.GoRunning {
			now[id] = running{e.Time(), e.Proc()}
		}
	}
	c.Wall = last.Sub(first)
	return c, nil
}

// Print writes how much of the time each core worked.
func (c *Cores) Print(w io.Writer) {
	fmt.Fprintf(w, "traced for %s\n", c.Wall.Round(time.Microsecond))
	var cores []int64
	all := time.Duration(0)
	for k, d := range c.Busy {
		cores = append(cores, k)
		all += d
	}
	slices.Sort(cores)
	for _, k := range cores {
		fmt.Fprintf(w, "  core %d worked %5.1f%% of it, and waited the rest\n", k, 100*c.Busy[k].Seconds()/max(c.Wall.Seconds(), 1e-9))
	}
	fmt.Fprintf(w, "  %.1f%% of the work was collecting garbage\n", 100*c.Collecting.Seconds()/max(all.Seconds(), 1e-9))
}
