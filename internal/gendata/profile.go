// Package gendata makes sample data such as a Prometheus server scrapes from a
// fleet of pods: counters that reset, gauges with gaps, classic and native
// histograms, pods that are replaced, targets that go down. The data follows
// from a seed alone, so that tests, benchmarks and demos can name it by its
// Profile instead of storing it.
//
// Series are numbered by slot. A slot is one place in the exposition of one pod
// replica; the pods that follow one another there give it one label set each.
// What a slot holds depends on the profile's other fields but not on the number
// of slots, so a larger data set contains the smaller ones.
package gendata

import (
	"time"

	"github.com/efficientgo/core/errors"
)

// Profile describes a data set. A zero duration or share switches off what it
// governs; DefaultProfile has some of everything but outages.
type Profile struct {
	Seed uint64

	// Series is the number of slots, and so of series at any one time. Replaced
	// pods make the number over all the time larger.
	Series int
	// SeriesPerTarget is about how many of them one pod exposes: kinds are rounded
	// to whole metrics, and up, target_info and build_info come on top of Mix.
	SeriesPerTarget int
	// Mix shares out a pod's series among the kinds.
	Mix Mix
	// MemoryGauges is how many of a pod's gauges are memory_usage_bytes, one for
	// each container, before the gauge metrics take turns. 0 lets all take turns.
	MemoryGauges int
	// Namespaces is the number of namespaces among which pods are shared out. 0
	// stands for six.
	Namespaces int

	// Start is the time before the first sample, End's distance from it is
	// Duration. Samples lie in [Start, Start+Duration). Both count in whole ms.
	Start    time.Time
	Duration time.Duration
	// Interval is the time between two scrapes of a target. Targets are offset
	// against one another inside it.
	Interval time.Duration
	// Jitter is by how much a scrape may be late; half of them are. It must be
	// less than Interval.
	Jitter time.Duration

	// PodLifetime is the mean time after which a pod is replaced: its series end
	// with stale markers and those of another pod begin a few scrapes later.
	PodLifetime time.Duration
	// RestartEvery is the mean time after which a process restarts in its pod,
	// which resets its counters and histograms.
	RestartEvery time.Duration
	// DownEvery is the mean time between moments at which a target cannot be
	// scraped for a while: up is 0 and its other series are stale.
	DownEvery time.Duration
	// PauseEvery is the mean time between moments at which a target stops
	// exposing one of its series for a while.
	PauseEvery time.Duration
	// OutageEvery is the mean time between moments at which nothing scrapes a
	// target for a while: its samples are missing, and no stale markers tell so.
	OutageEvery time.Duration
	// Missed is the share of scrapes that did not happen and left no trace.
	Missed float64
	// Special is the share of gauge samples that are NaN, +Inf or -Inf.
	Special float64

	// BlockRange is the time that one block covers, to whose multiples blocks are
	// aligned. 0 chooses two hours for up to a day, which is what a server writes
	// first, and 18 hours, to which it compacts them, beyond.
	BlockRange time.Duration
	// StartTimestamps gives samples of counters and histograms the time at which
	// their process started.
	StartTimestamps bool
	// XOR2 stores floats in blocks as XOR2 chunks. Samples with a start timestamp
	// are stored so in any case.
	XOR2 bool
}

// minPodScrapes keeps a pod's end behind its start.
const minPodScrapes = 16

// Mix holds the weights of the kinds of series. Only their proportions count.
type Mix struct {
	Counters          float64
	Gauges            float64
	ClassicHistograms float64 // _bucket, _sum and _count series, not histograms
	NativeHistograms  float64
}

// DefaultProfile returns six hours of 1000 series scraped every 15 s up to end,
// with everything that a Profile can switch off but outages.
func DefaultProfile(end time.Time) Profile {
	const duration = 6 * time.Hour
	return Profile{
		Seed:            1,
		Series:          1000,
		SeriesPerTarget: 50,
		Mix:             Mix{Counters: 0.4, Gauges: 0.2, ClassicHistograms: 0.3, NativeHistograms: 0.1},
		Start:           end.Add(-duration),
		Duration:        duration,
		Interval:        15 * time.Second,
		Jitter:          20 * time.Millisecond,
		PodLifetime:     4 * time.Hour,
		RestartEvery:    2 * time.Hour,
		DownEvery:       3 * time.Hour,
		PauseEvery:      5 * time.Hour,
		Missed:          0.002,
		Special:         0.001,
	}
}

// Validate reports the first field that does not make sense.
func (p Profile) Validate() error {
	switch {
	case p.Series < 1:
		return errors.Newf("number of series is %d: must be at least 1", p.Series)
	case p.SeriesPerTarget < 1:
		return errors.Newf("series per target is %d: must be at least 1", p.SeriesPerTarget)
	case min(p.Mix.Counters, p.Mix.Gauges, p.Mix.ClassicHistograms, p.Mix.NativeHistograms) < 0:
		return errors.New("mix has a negative weight")
	case p.Mix.total() == 0:
		return errors.New("mix has no weight above 0")
	case p.Interval < time.Millisecond:
		return errors.Newf("scrape interval is %s: must be at least 1ms", p.Interval)
	case p.Duration < p.Interval:
		return errors.Newf("duration %s is shorter than the scrape interval %s", p.Duration, p.Interval)
	case p.Jitter < 0 || p.Jitter >= p.Interval:
		return errors.Newf("jitter is %s: must be at least 0 and less than the scrape interval %s", p.Jitter, p.Interval)
	case min(p.MemoryGauges, p.Namespaces) < 0:
		return errors.New("number of memory gauges or namespaces is negative")
	case min(p.PodLifetime, p.RestartEvery, p.DownEvery, p.PauseEvery, p.OutageEvery, p.BlockRange) < 0:
		return errors.New("a time between events or the block range is negative")
	case p.PodLifetime > 0 && p.PodLifetime < minPodScrapes*p.Interval:
		return errors.Newf("pod lifetime is %s: must be 0 or at least %d scrape intervals of %s", p.PodLifetime, minPodScrapes, p.Interval)
	case p.BlockRange > 0 && p.BlockRange < time.Minute:
		return errors.Newf("block range is %s: must be at least 1m", p.BlockRange)
	case p.Missed < 0 || p.Missed > 1 || p.Special < 0 || p.Special > 1:
		return errors.New("a share lies outside 0 to 1")
	}
	return nil
}

func (m Mix) total() float64 {
	return m.Counters + m.Gauges + m.ClassicHistograms + m.NativeHistograms
}

func (p Profile) start() int64    { return p.Start.UnixMilli() }
func (p Profile) end() int64      { return p.start() + p.Duration.Milliseconds() }
func (p Profile) interval() int64 { return p.Interval.Milliseconds() }

func (p Profile) namespaces() int {
	if p.Namespaces == 0 {
		return len(namespaces)
	}
	return p.Namespaces
}

// blockRange returns the length of a block in ms.
func (p Profile) blockRange() int64 {
	switch {
	case p.BlockRange > 0:
		return p.BlockRange.Milliseconds()
	case p.Duration <= 24*time.Hour:
		return (2 * time.Hour).Milliseconds()
	default:
		return (18 * time.Hour).Milliseconds()
	}
}
