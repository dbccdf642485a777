package gendata

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/prometheus/prometheus/model/value"
)

// Products that are added to something are converted to float64 here, so that
// no processor fuses the two and all of them make the same data.

// constant is an info metric, or up while the target answers.
type constant struct{}

func (constant) next(scrape) float64 { return 1 }

// load is the part of the full load at a time of day, between 0.5 and 1.5.
func load(t int64) float64 {
	day := (24 * time.Hour).Milliseconds()
	return 1 + float64(0.5*math.Sin(2*math.Pi*float64(t%day)/float64(day)))
}

// between draws from [lo, hi) so that each order of magnitude is as likely.
func between(r *rand.Rand, lo, hi float64) float64 {
	return lo * math.Exp(r.Float64()*math.Log(hi/lo))
}

// counter grows with the load and falls back to 0 when its process restarts.
type counter struct {
	rng   *rand.Rand
	step  float64 // mean growth from scrape to scrape
	total float64
	parts float64 // its values are multiples of 1/parts
}

func newCounter(r *rand.Rand, metric int, seconds float64) floatProcess {
	switch metric {
	case 1: // CPU time
		return &counter{rng: r, step: seconds * between(r, 0.01, 2), parts: 100}
	case 2: // bytes
		return &counter{rng: r, step: seconds * between(r, 1e4, 1e8), parts: 1, total: r.Float64() * (1 << 45)}
	default: // requests: some so rare that most scrapes see no change
		return &counter{rng: r, step: seconds * between(r, 0.002, 200), parts: 1}
	}
}

func (c *counter) next(s scrape) float64 {
	if s.restart {
		c.total = 0
	}
	noise := 1 + float64(0.3*c.rng.NormFloat64())
	c.total += max(0, float64(c.step*load(s.t)*noise))
	return math.Floor(c.total*c.parts) / c.parts
}

// gauges are the gauge metrics with the label that tells several of a target apart.
var gauges = []struct {
	name, label string
	new         func(r *rand.Rand, seconds float64) floatProcess
}{
	{"memory_usage_bytes", "container", newMemory},
	{"temperature_celsius", "sensor", newTemperature},
	{"queue_length", "queue", newQueue},
	{"cpu_utilization_ratio", "cpu", newUtilization},
}

// special puts NaN and infinities among the values of a gauge.
type special struct {
	process floatProcess
	rng     *rand.Rand
	share   float64
}

func (sp *special) next(s scrape) float64 {
	v := sp.process.next(s)
	if sp.share == 0 {
		return v
	}
	switch u := sp.rng.Float64() / sp.share; {
	case u < 0.5:
		return math.Float64frombits(value.NormalNaN)
	case u < 0.75:
		return math.Inf(1)
	case u < 1:
		return math.Inf(-1)
	}
	return v
}

// memory climbs, is freed, and starts small after a restart, in whole pages.
type memory struct {
	rng         *rand.Rand
	base, inUse float64
}

func newMemory(r *rand.Rand, _ float64) floatProcess {
	return &memory{rng: r, base: between(r, 1<<24, 1<<32)}
}

func (m *memory) next(s scrape) float64 {
	u := m.rng.Float64()
	if s.restart || u < 0.01 {
		m.inUse = 0
	}
	m.inUse += float64(m.base * 0.01 * u)
	return math.Floor((m.base+m.inUse)/4096) * 4096
}

// temperature follows the time of day in tenths of a degree, some below zero.
type temperature struct {
	rng  *rand.Rand
	base float64
}

func newTemperature(r *rand.Rand, _ float64) floatProcess {
	return &temperature{rng: r, base: -20 + float64(80*r.Float64())}
}

func (te *temperature) next(s scrape) float64 {
	v := te.base + float64(10*load(s.t)) + float64(0.3*te.rng.NormFloat64())
	return math.Round(v*10) / 10
}

// queue is a small whole number that is often 0.
type queue struct {
	rng    *rand.Rand
	mean   float64
	length float64
}

func newQueue(r *rand.Rand, _ float64) floatProcess {
	return &queue{rng: r, mean: between(r, 1, 50)}
}

func (q *queue) next(s scrape) float64 {
	change := float64(q.mean*q.rng.NormFloat64()) - float64(0.1*q.length)
	q.length = max(0, math.Round(q.length+change))
	return q.length
}

// utilization uses all bits of its values, as computed ratios do.
type utilization struct {
	rng  *rand.Rand
	last float64
}

func newUtilization(r *rand.Rand, _ float64) floatProcess {
	return &utilization{rng: r, last: r.Float64()}
}

func (u *utilization) next(scrape) float64 {
	u.last = float64(0.9*u.last) + float64(0.1*u.rng.Float64())
	return u.last
}
