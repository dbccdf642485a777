package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stride-promql/stride/remote"
)

// attempt is the answer of one member. Until ready is closed its own goroutine waits for the first columns; then it is used by one goroutine.
type attempt struct {
	member  *member
	warning error // that of a member which lacks data, or nil
	hedge   bool  // another one was to answer already
	began   time.Time
	cancel  context.CancelFunc
	over    bool // the member knows how it ended

	ready  chan struct{}
	took   time.Duration // until then
	stream remote.ColumnStream
	first  *remote.Columns
	err    error // once there is one it stays; io.EOF is the end of the answer
}

// start asks a member.
func start(ctx context.Context, q *query, m *member) *attempt {
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{member: m, began: time.Now(), cancel: cancel, ready: make(chan struct{})}
	m.begin()
	go func() {
		defer close(a.ready)
		a.err = a.open(ctx, q)
		if a.err == nil {
			a.first, a.err = a.next(ctx)
		}
		a.took = time.Since(a.began)
		if !a.failed() {
			m.answered(a.took)
		}
	}()
	return a
}

// open gets the member to answer.
func (a *attempt) open(ctx context.Context, q *query) (err error) {
	defer recovered(&err)
	sent, err := q.ask(ctx, a.member.engine)
	if err != nil {
		return err
	}
	s, ok := sent.(remote.Streamer)
	if !ok {
		sent.Close()
		return errors.New("a member of a replica group has to answer as a stream")
	}
	if a.stream, err = s.Stream(ctx); err != nil {
		a.stream = nil
		sent.Close()
	}
	return err
}

// next gives the next columns.
func (a *attempt) next(ctx context.Context) (c *remote.Columns, err error) {
	if c = a.first; c != nil {
		a.first = nil
		return c, nil
	}
	if a.err == nil {
		defer func() { a.err = err }()
		defer recovered(&err)
		return a.stream.Next(ctx)
	}
	return nil, a.err
}

// failed tells whether the member's answer broke off, or never began. The end is told from an error by being io.EOF itself: an error of
// the member may wrap that.
func (a *attempt) failed() bool { return a.err != nil && a.err != io.EOF && !isQuerys(a.err) }

// end tells the member how it ended, the first time.
func (a *attempt) end(o outcome) {
	if !a.over {
		a.over = true
		a.member.end(a.began, o)
	}
}

// close waits until the member has noticed that it is cancelled, and lets go of the answer.
func (a *attempt) close() (err error) {
	defer recovered(&err)
	<-a.ready
	if a.stream == nil {
		return nil
	}
	return a.stream.Close()
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}
