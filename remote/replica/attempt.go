package replica

import (
	"context"
	"fmt"
	"io"
	"time"
)

// reply is what one member answers.
type reply interface {
	// begin asks the member and waits for the beginning of its answer. io.EOF itself is an answer that is empty and whole.
	begin(ctx context.Context, m *member) error
	// close lets go of the answer.
	close() error
}

// attempt is the answer of one member. Until ready is closed its own goroutine waits for the beginning; then it is used by one goroutine.
type attempt struct {
	member  *member
	warning error // that of a member which lacks data, or nil
	hedge   bool  // another one was to answer already
	began   time.Time
	cancel  context.CancelFunc
	over    bool // the member knows how it ended

	ready chan struct{}
	took  time.Duration // until then
	reply reply
	err   error // once there is one it stays; io.EOF is the end of the answer
}

// start asks a member.
func start(ctx context.Context, m *member, r reply) *attempt {
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{member: m, began: time.Now(), cancel: cancel, ready: make(chan struct{}), reply: r}
	m.begin()
	go func() {
		defer close(a.ready)
		a.err = a.begin(ctx)
		a.took = time.Since(a.began)
		if !a.failed() {
			m.answered(a.took)
		}
	}()
	return a
}

func (a *attempt) begin(ctx context.Context) (err error) {
	defer recovered(&err)
	return a.reply.begin(ctx, a.member)
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
	return a.reply.close()
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}
