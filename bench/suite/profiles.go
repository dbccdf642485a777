package suite

import (
	"time"

	"github.com/stride-promql/stride/internal/gendata"
)

// end is the time of the end of all data: midnight, to which blocks of all sizes are aligned.
var end = time.Date(2023, 11, 15, 0, 0, 0, 0, time.UTC)

// specs are the data sets, in the order in which they are shown.
var specs = []spec{
	{
		name:    SmokeDataset,
		about:   "10 pods with counters, gauges, classic and native histograms, scraped every 15s for an hour",
		profile: calm(profile{pods: 10, each: everything, duration: time.Hour}),
	},
	{
		name: "medium",
		about: "256 pods in 32 namespaces scraped every 15s for 6h, half of the scrapes up to 20ms late: 20 http_requests_total, " +
			"10 memory_usage_bytes, a classic histogram of 10 buckets and 8 others of each; processes restart every 4h, " +
			"a tenth of the pods is replaced in the last quarter of an hour; one block",
		profile: func() gendata.Profile {
			p := calm(profile{pods: 256, each: services, duration: 6 * time.Hour})
			p.PodLifetime = 5*time.Hour + 45*time.Minute
			return p
		}(),
	},
	{
		name:    "wide",
		about:   "20,000 pods with 50 series like those of medium, scraped every 30s for 10m: 1M series",
		profile: punctual(calm(profile{pods: 20_000, each: services, duration: 10 * time.Minute, interval: 30 * time.Second})),
	},
	{
		name:  "long",
		about: "20 pods with 50 series like those of medium, scraped each minute for 30d, in blocks of 54h as a server compacts them",
		profile: func() gendata.Profile {
			p := punctual(calm(profile{pods: 20, each: services, duration: 30 * 24 * time.Hour, interval: time.Minute}))
			p.RestartEvery, p.DownEvery, p.PauseEvery = 36*time.Hour, 72*time.Hour, 72*time.Hour
			p.BlockRange = 54 * time.Hour
			return p
		}(),
	},
	{
		name:  "churn",
		about: "20 places for pods with 50 series like those of medium, in which a pod lives for 36m, scraped every 15s for 12h: 20,000 series of which 1000 are there at a time",
		profile: func() gendata.Profile {
			p := calm(profile{pods: 20, each: services, duration: 12 * time.Hour})
			p.PodLifetime = 36 * time.Minute
			return p
		}(),
	},
	{
		name:    "native",
		about:   "42 pods with 8 native histograms each of exponential buckets, of custom buckets and of floats (gauges), scraped every 15s for 3h",
		profile: calm(profile{pods: 42, each: content{native: 24}, duration: 3 * time.Hour}),
	},
	{
		name:  "sparse",
		about: "40 pods with 50 series like those of medium, scraped every 15s for 6h, but for outages of up to an hour, pauses of up to a quarter of one, and every tenth scrape",
		profile: func() gendata.Profile {
			p := calm(profile{pods: 40, each: services, duration: 6 * time.Hour})
			p.OutageEvery, p.PauseEvery, p.DownEvery = 2*time.Hour, time.Hour, time.Hour
			p.Missed = 0.1
			return p
		}(),
	},
	{
		name:  "medium-xor2",
		about: "40 pods with series like those of medium and 6 native histograms each, scraped every 15s for 6h, with start timestamps, in XOR2 and ST histogram chunks",
		profile: func() gendata.Profile {
			p := calm(profile{pods: 40, each: everything, duration: 6 * time.Hour})
			p.StartTimestamps, p.XOR2 = true, true
			return p
		}(),
	},
	{
		name:    "head",
		about:   "40 pods with series like those of medium, scraped every 15s for 3h, none of it compacted: a write-ahead log and the chunks of a head",
		profile: calm(profile{pods: 40, each: services, duration: 3 * time.Hour}),
		head:    true,
	},
}

// content is how many series of each kind a pod has. up, target_info and build_info come on top.
type content struct {
	counters, memory, gauges int // gauges are the others
	classic                  int // histograms
	native                   int
}

var (
	services   = content{counters: 22, memory: 10, gauges: 3, classic: 1}
	everything = content{counters: 22, memory: 4, gauges: 3, classic: 1, native: 6}
)

// classicParts is the number of series of a classic histogram.
const classicParts = 12

// perPod is the number of series that a pod always has.
const perPod = 3

func (c content) series() int {
	return perPod + c.counters + c.memory + c.gauges + c.classic*classicParts + c.native
}

type profile struct {
	pods     int
	each     content
	duration time.Duration
	interval time.Duration // 15s unless given
}

// calm is a fleet in which little happens: that engines agree where much does is for tests to show.
func calm(from profile) gendata.Profile {
	p := gendata.DefaultProfile(end)
	c := from.each
	p.Series, p.SeriesPerTarget = from.pods*c.series(), c.series()
	p.Mix = gendata.Mix{
		Counters:          float64(c.counters),
		Gauges:            float64(c.memory + c.gauges),
		ClassicHistograms: float64(c.classic * classicParts),
		NativeHistograms:  float64(c.native),
	}
	p.MemoryGauges = c.memory
	p.Namespaces = 32
	p.Start, p.Duration = end.Add(-from.duration), from.duration
	if from.interval > 0 {
		p.Interval = from.interval
	}
	p.PodLifetime = 0
	p.RestartEvery, p.DownEvery, p.PauseEvery = 4*time.Hour, 12*time.Hour, 12*time.Hour
	p.Special = 0 // sums over time would be NaN
	p.BlockRange = 6 * time.Hour
	return p
}

// punctual lets no scrape be late, as a server's are that has little to do.
func punctual(p gendata.Profile) gendata.Profile {
	p.Jitter = 0
	return p
}
