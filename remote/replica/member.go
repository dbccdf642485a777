package replica

import (
	"math"
	"math/rand/v2"
	"slices"
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
	recent   [64]float64
	count    int // answers that began
	losses   int // in a row, to members that answered first
	failures int // in a row
	times    int // ejected in a row
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
	return max(quick, m.remembered(now)) * float64(m.inFlight+1)
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
	m.recent[m.count%len(m.recent)] = s
	m.count++
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

// late is how long to wait for an answer to begin before another member is asked: as long as 19 of 20 took lately.
func (m *member) late() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(m.count, len(m.recent))
	if n == 0 {
		return m.opts.LeastDelay
	}
	sorted := slices.Clone(m.recent[:n])
	slices.Sort(sorted)
	p95 := time.Duration(sorted[min(n-1, n*19/20)] * float64(time.Second))
	return max(m.opts.LeastDelay, p95)
}

// hangs is how long it takes for a member to be taken for one that hangs: far longer than an answer took lately, and than what
// may be a query that takes long to begin.
func (m *member) hangs() time.Duration { return max(5*time.Second, 20*m.late()) }

func shuffle(m []*member) { rand.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] }) }
