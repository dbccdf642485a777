package replica

import (
	"sync"
	"time"

	"github.com/stride-promql/stride/remote"
)

// A member that has begun is not asked twice because its query is heavy: it is late when it is silent for stalls, and hangs after hung.
const (
	stalls = 5 * remote.SignEvery
	hung   = 10 * remote.SignEvery
)

// life are the signs of life of one attempt. They come from the goroutine that waits for a piece; any may look at them.
type life struct {
	mu      sync.Mutex
	signals bool // signs will come
	begun   bool
	last    time.Time // the last sign; zero before the first
	watched *relief   // of the goroutine that waits for a piece: what a sign puts off
}

// listen has signs of the answer noted, if it gives any.
func (a *attempt[T]) listen() {
	s, ok := a.answer.(remote.Signaller)
	if !ok || !s.OnSign(a.sign) {
		return
	}
	a.life.mu.Lock()
	defer a.life.mu.Unlock()
	a.life.signals = true
}

// sign notes a sign of life.
func (a *attempt[T]) sign(s remote.Sign) {
	a.life.watched.putOff()
	a.life.mu.Lock()
	defer a.life.mu.Unlock()
	a.life.last = time.Now()
	if s == remote.Begun && !a.life.begun {
		a.life.begun = true
		a.member.showed(time.Since(a.began), true)
	}
}

// now is whether signs come, and whether the member has begun.
func (l *life) now() (signals, begun bool, last time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signals, l.begun, l.last
}

// lateIn is in what time the member is late, which is not positive when it is, and how long it is for it to be late at all.
func (a *attempt[T]) lateIn() (left, limit time.Duration) {
	signals, begun, _ := a.life.now()
	if begun {
		return stalls - a.silence(), stalls
	}
	limit = a.member.late(signals)
	return limit - time.Since(a.since), limit
}

// silence is how long the member has neither given a piece that was asked for nor a sign of life.
func (a *attempt[T]) silence() time.Duration {
	_, _, last := a.life.now()
	if last.Before(a.since) {
		last = a.since
	}
	return time.Since(last)
}

// hangsAfter is the silence by which the member is taken for one that hangs. If it has not begun, that is far longer than the others took lately
// and than what may be a query that takes long to begin.
func (a *attempt[T]) hangsAfter() time.Duration {
	signals, begun, _ := a.life.now()
	if begun {
		return hung
	}
	return max(hung, 20*a.member.late(signals))
}

func (a *attempt[T]) hangs() bool { return a.silence() >= a.hangsAfter() }
