package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/stride-promql/stride/remote"
)

// query is one query of a group.
type query struct {
	group *Group
	text  string
	end   int64 // ms
	ask   func(context.Context, remote.RemoteEngine) (promql.Query, error)
}

var _ remote.Streamer = (*query)(nil)

// attempt is what one member gives: its columns until the end, or an error.
type attempt struct {
	member  *member
	hedge   bool
	begun   chan struct{} // closed once the first columns, or the end, are there
	done    chan struct{}
	cancel  context.CancelFunc
	columns []*remote.Columns
	trailer remote.Trailer
	err     error
}

// start asks a member. What it answers is held back until it is whole, because another one begins from the start.
func (q *query) start(ctx context.Context, m *member, hedge, last bool) *attempt {
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{member: m, hedge: hedge, begun: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
	m.begin()
	go func() {
		defer close(a.done)
		began := time.Now()
		first := true
		begin := func() {
			if first {
				first = false
				m.answered(time.Since(began))
				close(a.begun)
			}
		}
		defer func() {
			if p := recover(); p != nil {
				a.err = fmt.Errorf("panic: %v", p)
			}
			m.end(a.err != nil && ctx.Err() == nil && !isQuerys(a.err), last)
		}()
		a.err = a.receive(ctx, q, begin)
		switch {
		case a.err == nil || isQuerys(a.err):
			begin()
		case first && ctx.Err() != nil:
			m.outrun(time.Since(began))
		}
	}()
	return a
}

func (a *attempt) receive(ctx context.Context, q *query, begin func()) error {
	sent, err := q.ask(ctx, a.member.engine)
	if err != nil {
		return err
	}
	s, ok := sent.(remote.Streamer)
	if !ok {
		sent.Close()
		return errors.New("a member of a replica group has to answer as a stream")
	}
	stream, err := s.Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		c, err := stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			a.trailer = stream.Trailer()
			return nil
		}
		if err != nil {
			return err
		}
		a.columns = append(a.columns, c)
		begin()
	}
}

// Stream implements remote.Streamer.
func (q *query) Stream(ctx context.Context) (remote.ColumnStream, error) {
	members, err := q.group.candidates(q.end)
	if err != nil {
		return nil, err
	}
	q.group.budget.earn()
	var (
		running []*attempt
		errs    []error
		next    int
	)
	stop := func(keep *attempt) {
		for _, a := range running {
			if a != keep {
				a.cancel()
				<-a.done
			}
		}
	}
	begin := func(hedge bool) bool {
		if next == len(members) {
			return false
		}
		running = append(running, q.start(ctx, members[next], hedge, len(q.group.members) == 1))
		next++
		return true
	}
	begin(false)
	if q.group.opts.Strategy == Race && len(members) > 1 {
		begin(true)
	}
	for {
		winner, failed := q.first(ctx, running, func() bool {
			return len(running) == 1 && q.group.opts.Strategy == Hedge && next < len(members) && q.group.budget.spend() && begin(true)
		}, func() []*attempt { return running })
		switch {
		case winner != nil:
			if len(running) > 1 {
				q.group.opts.Metrics.hedged(winner, running)
			}
			stop(winner)
			running = []*attempt{winner}
			select {
			case <-winner.done:
			case <-ctx.Done():
				winner.cancel()
				<-winner.done
				return nil, ctx.Err()
			}
			winner.cancel()
			if winner.err == nil {
				return &stream{columns: winner.columns, trailer: winner.trailer}, nil
			}
			if isQuerys(winner.err) {
				return nil, winner.err
			}
			failed = winner
		case failed == nil:
			stop(nil)
			return nil, ctx.Err()
		}
		// Another one takes its place, from the start.
		failed.cancel()
		errs = append(errs, remote.EngineError(failed.member.engine.Name(), failed.err))
		for i, a := range running {
			if a == failed {
				running = append(running[:i], running[i+1:]...)
				break
			}
		}
		if begin(false) {
			q.group.opts.Metrics.failover(failed.member)
		} else if len(running) == 0 {
			return nil, &errAll{q.group.name, errs}
		}
	}
}

// first waits for the first attempt that begins to answer, or fails. When the only one is late, hedge is called, once.
func (q *query) first(ctx context.Context, running []*attempt, hedge func() bool, now func() []*attempt) (winner, failed *attempt) {
	timer := time.NewTimer(running[0].member.late())
	defer timer.Stop()
	for {
		// At most two run at once.
		a := running[0]
		b := a
		if len(running) > 1 {
			b = running[1]
		}
		pick := func(x *attempt) (*attempt, *attempt) {
			select {
			case <-x.begun:
				return x, nil
			default:
				return nil, x
			}
		}
		select {
		case <-a.begun:
			return a, nil
		case <-b.begun:
			return b, nil
		case <-a.done:
			return pick(a)
		case <-b.done:
			return pick(b)
		case <-ctx.Done():
			return nil, nil
		case <-timer.C:
			if hedge() {
				running = now()
			}
		}
	}
}

// stream is a whole answer.
type stream struct {
	columns []*remote.Columns
	trailer remote.Trailer
}

// Next implements remote.ColumnStream.
func (s *stream) Next(context.Context) (*remote.Columns, error) {
	if len(s.columns) == 0 {
		return nil, io.EOF
	}
	c := s.columns[0]
	s.columns[0] = nil
	s.columns = s.columns[1:]
	return c, nil
}

// Trailer implements remote.ColumnStream.
func (s *stream) Trailer() remote.Trailer { return s.trailer }

// Close implements remote.ColumnStream.
func (*stream) Close() error { return nil }

// Exec implements promql.Query; it is not called, Stream takes its place.
func (q *query) Exec(context.Context) *promql.Result {
	return &promql.Result{Err: errors.New("a query of a replica group is streamed")}
}

// Close implements promql.Query.
func (*query) Close() {}

// Statement implements promql.Query.
func (*query) Statement() parser.Statement { return nil }

// Stats implements promql.Query.
func (*query) Stats() *stats.Statistics { return nil }

// Cancel implements promql.Query.
func (*query) Cancel() {}

// String implements promql.Query.
func (q *query) String() string { return q.text }
