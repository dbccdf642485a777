package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/efficientgo/core/errors"

	"github.com/stride-promql/stride/bench/peer"
	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/suite"
)

// cell is one query on one engine while it is measured.
type cell struct {
	engine  Engine
	process *process
	record  record.Cell
}

// fail marks the cell; it takes no further part.
func (c *cell) fail(status record.Status, reason string) {
	if len(reason) > 500 {
		reason = strings.ToValidUTF8(reason[:500], "") + "..."
	}
	c.record.Status, c.record.Reason = status, reason
	if c.process != nil {
		c.process.close()
	}
}

// notStarted marks the cell of a program that cannot run any query.
func (c *cell) notStarted(reason string) {
	c.record.NotStarted = true
	c.fail(record.Failed, reason)
}

func (c *cell) ok() bool { return c.record.Status == record.OK }

// ask asks the cell's program, and marks the cell when that fails.
func (c *cell) ask(req peer.Request) *peer.Response {
	resp, err := c.process.ask(req)
	switch {
	case errors.Is(err, errLate):
		c.fail(record.TimedOut, fmt.Sprintf("took longer than %s and did not stop: %v", req.Timeout, err))
	case err != nil:
		c.fail(record.Failed, err.Error())
	case resp.Timeout:
		c.fail(record.TimedOut, fmt.Sprintf("took longer than %s", req.Timeout))
	case resp.Error != "":
		c.fail(record.Failed, resp.Error)
	default:
		return resp
	}
	return nil
}

// start starts the cell's program and has it open the data. It tells whether that worked.
func (c *cell) start(ctx context.Context, data string, r *Runner) bool {
	if why, missing := r.programs.missing[c.engine.Name]; missing {
		c.notStarted(why)
		return false
	}
	p, err := start(ctx, r.programs.files[c.engine.Name], r.config.Cache, r.config.CPUs)
	if err != nil {
		c.notStarted("start the program: " + err.Error())
		return false
	}
	c.process = p
	workers := r.workers
	if c.engine.OneWorker {
		workers = 1
	}
	opened := c.ask(peer.Request{Op: peer.Open, Dir: data, Workers: workers, Query: &peer.Query{
		Expr: c.record.Expr, Start: c.record.Start, End: c.record.End, Step: c.record.Step,
	}, Timeout: r.config.Timeout})
	if opened == nil {
		c.record.NotStarted = true
	}
	return opened != nil
}

// sample is what a request measured.
func (c *cell) sample(op peer.Op, timeout time.Duration) *record.Sample {
	resp := c.ask(peer.Request{Op: op, Timeout: timeout})
	if resp == nil || resp.Sample == nil {
		return nil
	}
	if resp.Decoded > 0 {
		c.record.Decoded = resp.Decoded
	}
	return resp.Sample
}

// measure runs a query on all engines in turn, each in a process of its own, and gives a cell for each.
func (r *Runner) measure(ctx context.Context, d suite.Dataset, q suite.Query, dir string) ([]record.Cell, error) {
	cells := r.cells(d, q)
	defer func() {
		for _, c := range cells {
			if c.process != nil {
				c.process.close()
			}
		}
	}()
	for _, c := range cells {
		if why := c.engine.cannotRead(d); why != "" {
			c.record.Status, c.record.Reason = record.Unsupported, why
			continue
		}
		c.start(ctx, dir, r)
	}
	active := func() []*cell {
		return slices.DeleteFunc(slices.Clone(cells), func(c *cell) bool { return !c.ok() })
	}
	for _, c := range active() {
		c.record.Cold = c.sample(peer.Run, r.config.Timeout)
	}
	if err := r.check(active(), slices.Contains(q.Tags, suite.Ties)); err != nil {
		return nil, err
	}
	r.rounds(ctx, active)
	const memoryRounds = 3
	for range memoryRounds {
		for _, c := range active() {
			if s := c.sample(peer.Memory, r.config.Timeout); s != nil {
				c.record.Memory = append(c.record.Memory, *s)
			}
		}
	}
	out := make([]record.Cell, len(cells))
	for i, c := range cells {
		out[i] = c.record
	}
	return out, ctx.Err()
}

// Numbers of executions of each engine.
const (
	minRounds  = 6 // what a confidence interval of 95 % of a median takes
	slowRounds = 3 // if an execution takes longer than slow
	maxRounds  = 30
	slow       = 4 * time.Second
)

// rounds runs the query on all engines in turn, each round in another order, for the time there is but a least number of
// rounds in any case.
func (r *Runner) rounds(ctx context.Context, active func() []*cell) {
	start := time.Now()
	for n := 0; n < maxRounds && ctx.Err() == nil; n++ {
		cells := active()
		if len(cells) == 0 {
			return
		}
		least := minRounds
		for _, c := range cells {
			if len(c.record.Warm) > 0 && c.record.Warm[0].Wall > slow {
				least = slowRounds
			}
		}
		if n >= least && time.Since(start) > r.config.CellTime {
			return
		}
		for i := range cells {
			c := cells[(i+n)%len(cells)]
			if s := c.sample(peer.Run, r.config.Timeout); s != nil {
				c.record.Warm = append(c.record.Warm, *s)
			}
		}
	}
}

// check compares the answers of all engines with the reference's.
func (r *Runner) check(cells []*cell, ties bool) error {
	tmp, err := os.MkdirTemp(r.config.Cache, tmpPrefix+"answers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // A cache.
	var want *peer.Answer
	read := func(c *cell) *peer.Answer {
		file := filepath.Join(tmp, c.engine.Name)
		if c.ask(peer.Request{Op: peer.Check, File: file, Timeout: r.config.Timeout}) == nil {
			return nil
		}
		a, err := peer.ReadAnswer(file)
		if err != nil {
			c.fail(record.Failed, err.Error())
			return nil
		}
		_ = os.Remove(file)
		c.record.Series, c.record.Points = len(a.Series), a.Points()
		return a
	}
	for _, c := range cells {
		if c.engine.Reference {
			want = read(c)
		}
	}
	for _, c := range cells {
		if c.engine.Reference || c.engine.NoAnswers {
			continue
		}
		got := read(c)
		switch {
		case got == nil:
		case want == nil:
			c.fail(record.Failed, "there is no answer of the reference to compare with")
		default:
			if diff := difference(want, got, c.engine.Tolerance, ties); diff != "" {
				c.fail(record.Differs, diff)
			}
		}
	}
	return nil
}

// cells are the cells of a query before they are measured.
func (r *Runner) cells(d suite.Dataset, q suite.Query) []*cell {
	end := d.End
	start, last := end-q.Start.Milliseconds(), end-q.End.Milliseconds()
	if q.Step == 0 {
		start = last
	}
	var out []*cell
	for _, e := range r.config.Engines {
		c := record.Cell{
			Dataset: d.Name, Group: q.Group, Query: q.Name, Expr: q.Expr, Tags: q.Tags,
			Start: start, End: last, Step: q.Step.Milliseconds(),
			Engine: e.Name, Status: record.OK,
		}
		c.Key = r.key(e, d, c)
		out = append(out, &cell{engine: e, record: c})
	}
	return out
}

// key identifies what a cell was measured with.
func (r *Runner) key(e Engine, d suite.Dataset, c record.Cell) string {
	return hash(strings.Join([]string{
		r.sums[e.Name], d.Name, d.Version, c.Query, c.Expr, strings.Join(c.Tags, ","), fmt.Sprint(c.Start, c.End, c.Step, e.OneWorker),
		fmt.Sprint(r.workers, r.config.CPUs, r.config.CellTime, r.config.Timeout), r.machine.CPU, fmt.Sprint(r.machine.Cores),
	}, "\x00"))
}
