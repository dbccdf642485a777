package gendata

import "math"

// outcome is what became of one scrape of a target.
type outcome uint8

const (
	scraped outcome = iota
	missed          // did not happen: no sample at all
	down            // failed: up is 0, everything else is gone
)

// Purposes for which random bits are drawn, so that none repeats another's.
const (
	forOffset = iota + 1
	forJitter
	forMissed
	forDown
	forRestart
	forPod
	forPause
	forValues
	forFamily
	forOutage
)

// These bound how long a target or a series is away, or not scraped.
const (
	downScrapes   = 12
	pauseScrapes  = 60
	outageScrapes = 240
)

// timing tells when a target is scraped and what happens to it. All of it is
// computed from hashes of the scrape's number, so that any scrape can be looked
// at without those before it. Times are in ms, periods in scrapes.
type timing struct {
	seed, target uint64

	first, interval, jitter, end int64
	missed                       float64

	downEvery, restartEvery, podEvery, outageEvery int64
}

func (p Profile) timing(target int) timing {
	t := timing{
		seed: p.Seed, target: uint64(target),
		interval: p.interval(), jitter: p.Jitter.Milliseconds(), end: p.end(),
		missed:       p.Missed,
		downEvery:    p.DownEvery.Milliseconds() / p.interval(),
		restartEvery: p.RestartEvery.Milliseconds() / p.interval(),
		podEvery:     p.PodLifetime.Milliseconds() / p.interval(),
		outageEvery:  p.OutageEvery.Milliseconds() / p.interval(),
	}
	t.first = p.start() + int64(t.bits(forOffset, 0)%uint64(t.interval))
	return t
}

func (t *timing) bits(purpose, n int64) uint64 {
	return hash(t.seed, t.target, uint64(purpose), uint64(n))
}

// at returns the time of scrape k.
func (t *timing) at(k int64) int64 {
	ts := t.first + k*t.interval
	if t.jitter == 0 {
		return ts
	}
	b := t.bits(forJitter, k)
	if b&1 == 0 {
		return ts
	}
	return ts + int64((b>>1)%uint64(t.jitter+1))
}

func (t *timing) outcome(k int64) outcome {
	if t.missed > 0 && unit(t.bits(forMissed, k)) < t.missed {
		return missed
	}
	if away(t.seed, t.target, forOutage, k, t.outageEvery, outageScrapes) {
		return missed
	}
	if away(t.seed, t.target, forDown, k, t.downEvery, downScrapes) {
		return down
	}
	return scraped
}

// restart reports whether the process began anew before scrape k.
func (t *timing) restart(k int64) bool {
	if t.restartEvery < 1 {
		return false
	}
	window := k / t.restartEvery
	return k%t.restartEvery == int64(t.bits(forRestart, window)%uint64(t.restartEvery))
}

// began returns when a process started that is new at scrape k: halfway to it
// from the scrape before.
func (t *timing) began(k int64) int64 {
	return max(t.at(k)-t.interval/2, t.at(k-1)+1)
}

// podStart returns the first scrape of the target's n-th pod. Lifetimes vary by
// half of their mean.
func (t *timing) podStart(n int64) int64 {
	if n == 0 {
		return 0
	}
	if t.podEvery < 1 {
		return math.MaxInt64
	}
	spread := uint64(max(t.podEvery/2, 1))
	return n*t.podEvery + int64(t.bits(forPod, n)%spread)
}

// podEnd returns the scrape at which the n-th pod is found to be gone, a few
// before the next one is there.
func (t *timing) podEnd(n int64) int64 {
	next := t.podStart(n + 1)
	if next == math.MaxInt64 {
		return next
	}
	return max(next-1-int64(t.bits(forPod, -n-1)%4), t.podStart(n))
}

// away reports whether something that goes away once every so many scrapes, for
// up to longest of them, is away at scrape k. It never is at the very first.
func away(seed, id uint64, purpose, k, every, longest int64) bool {
	if every < 2 {
		return false
	}
	window := k / every
	b := hash(seed, id, uint64(purpose), uint64(window))
	length := 1 + int64(b%uint64(min(longest, every-1)))
	from := 1 + int64((b>>16)%uint64(every-length))
	at := k % every
	return at >= from && at < from+length
}

// hash mixes its arguments with the finalizer of SplitMix64 (Steele, Lea and
// Flood, "Fast splittable pseudorandom number generators", 2014).
func hash(parts ...uint64) uint64 {
	var h uint64
	for _, p := range parts {
		h += p + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// unit maps bits to [0, 1).
func unit(bits uint64) float64 { return float64(bits>>11) / (1 << 53) }
