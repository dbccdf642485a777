package gendata

import (
	"math"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Slot returns the series of a slot in order of time: one, or one for each pod
// that was there. They make their samples anew with each iterator and may be
// used concurrently. The profile must be valid.
func (p Profile) Slot(slot int) []storage.Series {
	var res []storage.Series
	for _, s := range p.seriesOf(p.layout(), slot) {
		res = append(res, s)
	}
	return res
}

// seriesOf returns the series of a slot, given what a target exposes.
func (p *Profile) seriesOf(layout []member, slot int) []*series {
	target, m := slot/len(layout), layout[slot%len(layout)]
	t := p.timing(target)
	var res []*series
	for n := int64(0); ; n++ {
		from := t.podStart(n)
		if from == math.MaxInt64 || t.at(from) >= t.end {
			return res
		}
		po := p.pod(target, n)
		res = append(res, &series{
			p: p, timing: t, pod: po, member: m, slot: slot, lset: po.labels(m),
			from: from, to: t.podEnd(n),
		})
	}
}

// series is one label set with the scrapes [from, to) that show it.
type series struct {
	p      *Profile
	timing timing
	pod    pod
	member member
	slot   int
	lset   labels.Labels

	from, to int64
}

var _ storage.Series = (*series)(nil)

// Labels implements storage.Series.
func (s *series) Labels() labels.Labels { return s.lset }

// Iterator implements storage.Series. All samples are made before it returns.
func (s *series) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	var res samples
	w := s.walk()
	for w.next() {
		res = append(res, w.sample())
	}
	return storage.NewListSeriesIterator(res)
}

// walk starts at the first sample of the series.
func (s *series) walk() *walk {
	// The parts of a classic histogram must agree about what was observed.
	family := hash(s.p.Seed, uint64(s.pod.target), s.pod.n, forFamily, uint64(s.member.metric))
	own := hash(s.p.Seed, uint64(s.slot), s.pod.n, forValues)
	w := &walk{series: s, began: s.timing.began(s.from), k: s.from - 1, pauseEvery: s.p.PauseEvery.Milliseconds() / s.p.interval()}
	seconds := s.p.Interval.Seconds()
	switch s.member.kind {
	case kindUp, kindTargetInfo, kindBuildInfo:
		w.pauseEvery = 0
		w.floats = constant{}
	case kindCounter:
		w.floats = newCounter(rng(own), s.member.metric, seconds)
	case kindGauge:
		which, _ := s.pod.gauge(s.member)
		w.floats = &special{process: gauges[which].new(rng(own), seconds), rng: rng(own + 1), share: s.p.Special}
	case kindClassic:
		w.floats = newClassic(rng(family), s.member.part, seconds)
		w.pauseID = family
	case kindNative:
		w.hists = s.newNative(rng(own), seconds)
	}
	if w.pauseID == 0 {
		w.pauseID = own
	}
	return w
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, hash(seed))) }

// floatProcess yields the value of each scrape. It is asked for every scrape in
// turn, also for those that leave no sample, so that gaps do not stop time.
type floatProcess interface {
	next(s scrape) float64
}

// histProcess is the same for native histograms, which are only built if there
// is a sample to write. One of the two results of build is nil; both are new.
type histProcess interface {
	next(s scrape)
	build() (*histogram.Histogram, *histogram.FloatHistogram)
}

// scrape is what a process knows of the moment.
type scrape struct {
	t       int64 // ms
	k       int64 // number of the scrape
	restart bool  // the process began anew since the last scrape
}

// walk goes from sample to sample of a series.
type walk struct {
	*series
	began      int64 // when the process started, if the profile says so
	k          int64
	t          int64
	present    bool // exposed at the last scrape
	stale      bool // the sample is a marker
	v          float64
	floats     floatProcess
	hists      histProcess
	pauseEvery int64
	pauseID    uint64
}

// next finds the next scrape that leaves a sample, if there is one.
func (w *walk) next() bool {
	for {
		w.k++
		w.t = w.timing.at(w.k)
		if w.t >= w.timing.end || w.k > w.to {
			return false
		}
		gone := w.k == w.to
		if !gone {
			s := scrape{t: w.t, k: w.k, restart: w.timing.restart(w.k)}
			if s.restart {
				w.began = w.timing.began(w.k)
			}
			if w.hists != nil {
				w.hists.next(s)
			} else {
				w.v = w.floats.next(s)
			}
		}
		out := w.timing.outcome(w.k)
		if out == missed {
			// If it is the pod's end that nobody noticed, there is no marker: a
			// series may just stop.
			continue
		}
		if out == down && w.member.kind == kindUp && !gone {
			w.v, w.present, w.stale = 0, true, false
			return true
		}
		gone = gone || out == down ||
			away(w.timing.seed, w.pauseID, forPause, w.k, w.pauseEvery, pauseScrapes)
		if gone && !w.present {
			continue
		}
		w.present, w.stale = !gone, gone
		return true
	}
}

// sample returns the sample at which the walk is. It shares nothing with it.
func (w *walk) sample() sample {
	s := sample{t: w.t, v: w.v}
	if w.p.StartTimestamps && w.cumulative() {
		s.st = w.began
	}
	switch {
	case w.hists != nil:
		s.h, s.fh = w.hists.build()
		if w.stale && s.h != nil {
			s.h = &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
		} else if w.stale {
			s.fh = &histogram.FloatHistogram{Sum: math.Float64frombits(value.StaleNaN)}
		}
	case w.stale:
		s.v = math.Float64frombits(value.StaleNaN)
	}
	return s
}

// cumulative tells whether values count from the start of the process.
func (s *series) cumulative() bool {
	switch s.member.kind {
	case kindCounter, kindClassic:
		return true
	case kindNative:
		return nativeNames[s.pod.native(s.member)] != "rpc_queue_seconds"
	}
	return false
}
