package replica

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stride-promql/stride/remote"
)

// member is an engine of a group, and how it did lately.
type member struct {
	engine   remote.RemoteEngine
	opts     Options
	counters *counters // nil without metrics

	mu       sync.Mutex
	inFlight int
	ewma     float64 // seconds until an answer begins, of late
	last     time.Time
	headers  times     // until requests were let in, of nodes that say so
	firsts   times     // until answers began, of others
	losses   int       // in a row, to members that answered first
	failures int       // in a row
	times    int       // ejected in a row
	asked    time.Time // since when requests wait of a member that has never answered
	until    time.Time
}

// outcome is how a request to a member ended.
type outcome int

const (
	cancelled outcome = iota // it says nothing of the member
	whole                    // the answer is whole, or an error of the query
	failed                   // by the member's fault
)

func newMember(e remote.RemoteEngine, opts Options) *member {
	return &member{engine: e, opts: opts, counters: opts.Metrics.add(e.Name())}
}

// halfLife is the time in which a slow answer is half forgotten, so that a member that was slow is tried again.
const halfLife = 10 * time.Second

// quick is the least time that a score knows, in seconds, so that requests in flight count also for members that are not known yet.
const quick = 1e-3

// remembered is the mean of the time that answers take to begin, as far as it is not forgotten.
func (m *member) remembered(now time.Time) float64 {
	return m.ewma * math.Exp2(-float64(now.Sub(m.last))/float64(halfLife))
}

// score is the time that a request may take to be answered, about: less is better.
func (m *member) score(now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	likely := max(quick, m.remembered(now))
	if m.ewma == 0 && m.inFlight > 0 {
		likely = max(likely, now.Sub(m.asked).Seconds())
	}
	return likely * float64(m.inFlight+1)
}

// usual is the time that answers took to begin when the member was last asked, in seconds; 0 is unknown.
func (m *member) usual() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ewma
}

// forgotten tells whether a member that was slow is to be tried again, which is done one request at a time: nothing is known of it any more that
// makes it slower than one which usually takes some time.
func (m *member) forgotten(now time.Time, usual float64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inFlight == 0 && m.remembered(now) <= usual
}

// begin notes that the member was asked.
func (m *member) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inFlight == 0 {
		m.asked = time.Now()
	}
	m.inFlight++
	m.counters.pick()
}

// decay is the weight of a new answer in the mean of the time that answers take to begin.
const decay = 0.2

// answered notes that an answer has begun.
func (m *member) answered(after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, now := after.Seconds(), time.Now()
	m.observe(s, now)
	m.losses = 0
}

// observe takes a time into the mean.
func (m *member) observe(seconds float64, now time.Time) {
	if m.ewma == 0 {
		m.ewma = seconds
	} else {
		before := m.remembered(now)
		m.ewma = before + decay*(seconds-before)
	}
	m.last = now
}

// outrun notes that no answer had begun when another member's did, which usually takes some time. How long it would have taken nobody knows: who
// loses twice in a row counts as slow, and who was slow stays so.
func (m *member) outrun(after time.Duration, usual float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	switch m.losses++; {
	case slower(m.ewma, usual):
		m.last = now
	case m.losses > 1:
		m.ewma, m.last = max(after.Seconds(), 3*usual), now
	default:
		m.observe(max(m.ewma, after.Seconds()), now)
	}
}

// slower tells whether a member that usually takes a time is a slow one beside another one: it is asked only to find out whether it still is,
// however many requests the other one answers.
func slower(usual, others float64) bool { return others > 0 && usual > 2*others }

// end notes how a request is over that began at some time. Failures of requests from before the member was left out, or while it was,
// make it no worse.
func (m *member) end(began time.Time, o outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	switch {
	case o == whole:
		m.failures, m.times, m.until = 0, 0, time.Time{}
	case o == cancelled || began.Before(m.until):
	default:
		if m.failures++; m.failures < m.opts.Failures {
			return
		}
		// It stays above the limit: once more, when the time is over, is enough.
		m.times++
		m.until = time.Now().Add(time.Duration(min(m.times, 30)) * m.opts.Ejection)
		m.counters.eject()
	}
}

// ejected tells whether the member is left out. When that time is over it is asked again.
func (m *member) ejected(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until)
}

// showed notes how long it took until a member showed that it works on a request: by its header, or by the first piece of its answer where
// there is none.
func (m *member) showed(after time.Duration, header bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if header {
		m.headers.add(after)
	} else {
		m.firsts.add(after)
	}
}

// late is how long to wait for the header of an answer, or for its first piece where there is none, before another member is asked: as long as
// 19 of 20 took lately.
func (m *member) late(header bool) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if header {
		return max(m.opts.LeastDelay, m.headers.p95())
	}
	return max(m.opts.LeastDelay, m.firsts.p95())
}

func shuffle(m []*member) { rand.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] }) }
