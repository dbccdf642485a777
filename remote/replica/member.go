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

func newMember(e remote.RemoteEngine, opts Options) *member { return &member{engine: e, opts: opts} }

// halfLife is the time in which a slow answer is half forgotten, so that a member that was slow is tried again.
const halfLife = 10 * time.Second

// score is the time that a request may take to be answered, about: less is better.
func (m *member) score(now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ewma * math.Exp2(-float64(now.Sub(m.last))/float64(halfLife)) * float64(m.inFlight+1)
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
	m.failures, m.times = 0, 0
}

// outrun notes that no answer had begun when another member's did.
func (m *member) outrun(after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ewma = max(m.ewma, after.Seconds())
	m.last = time.Now()
}

// end notes that a request is over. failed says that it was the member's fault.
func (m *member) end(failed bool, last bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	if !failed {
		return
	}
	if m.failures++; m.failures < m.opts.Failures || last {
		return
	}
	m.failures = 0
	m.times++
	m.until = time.Now().Add(time.Duration(min(m.times, 30)) * m.opts.Ejection)
	m.opts.Metrics.eject(m)
}

// ejected tells whether the member is left out. When that time is over it is asked again, and once more is enough to leave it
// out for longer.
func (m *member) ejected(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.until) {
		return true
	}
	if m.times > 0 && m.failures == 0 {
		m.failures = m.opts.Failures - 1
	}
	return false
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

func shuffle(m []*member) { rand.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] }) }

// budget bounds extra requests to a share of all requests, with a few to begin with.
type budget struct {
	share float64

	mu     sync.Mutex
	tokens float64
	begun  bool
}

// maxTokens are the most extra requests that can be saved up.
const maxTokens = 10

// earn counts a request.
func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.begun {
		b.begun, b.tokens = true, maxTokens
	}
	b.tokens = min(maxTokens, b.tokens+b.share)
}

// spend takes an extra request, if there is one left.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
