package replica

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/stride-promql/stride/remote"
)

// answer is what a member gives piece by piece: columns, series or one list.
type answer[T any] interface {
	// Next gives the next piece, or io.EOF behind the last one.
	Next(context.Context) (T, error)
	Close() error
}

// opener gets a member to answer. It is made where the member is asked, and called by the goroutine that waits for the first piece.
type opener[T any] func(context.Context) (answer[T], error)

// attempt is the answer of one member. Until ready is closed another goroutine waits for its next piece; then it is used by one goroutine.
type attempt[T any] struct {
	member  *member
	warning error // that of a member which lacks data, or nil
	hedge   bool  // another one was to answer already
	began   time.Time
	since   time.Time // when the piece was asked for that is waited for, or was last
	cancel  context.CancelFunc
	over    bool // the member knows how it ended
	relief  *relief
	life    life

	ready  chan struct{}
	answer answer[T]
	first  T
	early  bool  // the first piece is there, and was not given
	err    error // once there is one it stays; io.EOF is the end of the answer
}

// start asks a member.
func start[T any](ctx context.Context, m *member, open opener[T]) *attempt[T] {
	ctx, cancel := context.WithCancel(ctx)
	now := time.Now()
	a := &attempt[T]{member: m, began: now, since: now, cancel: cancel, ready: make(chan struct{})}
	m.begin()
	go func() {
		defer close(a.ready)
		a.err = a.open(ctx, open)
		if a.err == nil {
			a.first, a.err = a.next(ctx)
			a.early = a.err == nil
		}
		if !a.failed() {
			m.answered(time.Since(now))
			if signals, begun, _ := a.life.now(); !begun {
				m.showed(time.Since(now), signals)
			}
		}
	}()
	return a
}

// open gets the member to answer.
func (a *attempt[T]) open(ctx context.Context, open opener[T]) (err error) {
	defer recovered(&err)
	got, err := open(ctx)
	if err == nil {
		a.answer = got
		a.listen()
	}
	return err
}

// next gives the next piece.
func (a *attempt[T]) next(ctx context.Context) (piece T, err error) {
	if a.early {
		piece, a.first, a.early = a.first, piece, false
		return piece, nil
	}
	if a.err == nil {
		defer func() { a.err = err }()
		defer recovered(&err)
		return a.answer.Next(ctx)
	}
	return piece, a.err
}

// failed tells whether the member's answer broke off, or never began. The end is told from an error by being io.EOF itself: an error of
// the member may wrap that.
func (a *attempt[T]) failed() bool {
	return a.err != nil && a.err != io.EOF && !remote.Blameless(a.err)
}

// end tells the member how it ended, the first time.
func (a *attempt[T]) end(o outcome) {
	if !a.over {
		a.over = true
		a.member.end(a.began, o)
	}
}

// close waits until the member has noticed that it is cancelled, and lets go of the answer.
func (a *attempt[T]) close() (err error) {
	defer recovered(&err)
	<-a.ready
	if a.answer == nil {
		return nil
	}
	return a.answer.Close()
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}
