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
	engine remote.RemoteEngine
	opts   Options

	mu       sync.Mutex
	inFlight int
	ewma     float64 // seconds until an answer begins, of late
	last     time.Time
	recent   [64]float64
	count    int // answers that began
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

func newMember(e remote.RemoteEngine, opts Options) *member { return &member{engine: e, opts: opts} }

// halfLife is the time in which a slow answer is half forgotten, so that a member that was slow is tried again.
const halfLife = 10 * time.Second

// quick is the least time that a score knows, in seconds, so that requests in flight count also for members that are not known yet.
const quick = 1e-3

// score is the time that a request may take to be answered, about: less is better.
func (m *member) score(now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(quick, m.ewma*math.Exp2(-float64(now.Sub(m.last))/float64(halfLife))) * float64(m.inFlight+1)
}

// begin notes that the member was asked.
func (m *member) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight++
	m.opts.Metrics.pick(m)
}

// decay is the weight of a new answer in the mean of the time that answers take to begin.
const decay = 0.2

// answered notes that an answer has begun.
func (m *member) answered(after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := after.Seconds()
	if m.count == 0 {
		m.ewma = s
	} else {
		m.ewma += decay * (s - m.ewma)
	}
	m.last = time.Now()
	m.recent[m.count%len(m.recent)] = s
	m.count++
}

// outrun notes that no answer had begun when another member's did.
func (m *member) outrun(after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ewma = max(m.ewma, after.Seconds())
	m.last = time.Now()
}

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
		m.opts.Metrics.eject(m)
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
