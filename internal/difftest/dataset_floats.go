package difftest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/teststorage"
)

const (
	second = int64(1000)
	minute = 60 * second
	// epoch is an ordinary time, for data sets that do not start at zero.
	epoch = int64(1_700_000_000_000)
)

// floats returns n samples at regular times whose values come from f.
func floats(start, interval int64, n int, f func(i int) float64) []Sample {
	out := make([]Sample, n)
	for i := range out {
		out[i] = Sample{T: start + int64(i)*interval, F: f(i)}
	}
	return out
}

// growing is a counter that grows by up to step a sample and restarts with
// probability reset.
func growing(r *rand.Rand, step, reset float64) func(int) float64 {
	v := math.Floor(r.Float64() * 100)
	return func(int) float64 {
		if r.Float64() < reset {
			v = 0
		}
		v += math.Floor(r.Float64() * step)
		return v
	}
}

// wandering is a gauge that moves around a mean.
func wandering(r *rand.Rand, mean, width float64) func(int) float64 {
	v := mean
	return func(int) float64 {
		v += (r.Float64() - 0.5) * width
		return v
	}
}

// punched removes runs of samples, some of which start with a stale marker.
func punched(r *rand.Rand, in []Sample, probability float64) []Sample {
	out := make([]Sample, 0, len(in))
	for i := 0; i < len(in); i++ {
		if r.Float64() >= probability {
			out = append(out, in[i])
			continue
		}
		if r.IntN(2) == 0 {
			out = append(out, stale(in[i]))
		}
		i += r.IntN(30)
	}
	return out
}

// stale returns the stale marker of the sample's type at its time.
func stale(p Sample) Sample {
	nan := math.Float64frombits(value.StaleNaN)
	switch {
	case p.H != nil:
		h := p.H.Copy()
		h.Sum = nan
		p.H = h
	case p.FH != nil:
		h := p.FH.Copy()
		h.Sum = nan
		p.FH = h
	default:
		p.F = nan
	}
	return p
}

func counterData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "counters", Interval: 15 * second}
	for _, job := range []string{"api", "web"} {
		for _, instance := range []string{"0", "1", "2"} {
			for _, code := range []string{"200", "500"} {
				s := floats(epoch, d.Interval, 240, growing(r, 50, 0.01))
				d.add(Counter, "http_requests_total", s, "job", job, "instance", instance, "code", code)
			}
			s := floats(epoch, d.Interval, 240, growing(r, 3, 0.05))
			d.add(Counter, "http_errors_total", punched(r, s, 0.03), "job", job, "instance", instance, "code", "500")
			// Not named like a counter, fractional, and restarting often.
			f := growing(r, 1e6, 0.03)
			d.add(Counter, "bytes_sent", floats(epoch+7, d.Interval, 240, func(i int) float64 { return f(i) / 3 }), "job", job, "instance", instance)
		}
		d.add(Counter, "idle_total", floats(epoch, d.Interval, 240, func(int) float64 { return 7 }), "job", job)
	}
	return d
}

func gaugeData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "gauges", Interval: 30 * second, options: []teststorage.Option{withXOR2}}
	odd := []float64{
		math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e308, -1e308, 1.7e308,
		5e-324, 1e-300, 1, -1, 0.1, math.MaxInt64, 1 << 53, 2.5, -2.5,
	}
	for _, room := range []string{"a", "b", "c"} {
		for _, host := range []string{"x", "y"} {
			d.add(Gauge, "temperature", floats(0, d.Interval, 200, wandering(r, 20, 3)), "room", room, "host", host)
			d.add(Gauge, "load", punched(r, floats(0, d.Interval, 200, wandering(r, 0, 1)), 0.05), "room", room, "host", host)
		}
		d.add(Gauge, "odd", floats(0, d.Interval, 200, func(int) float64 { return odd[r.IntN(len(odd))] }), "room", room)
		d.add(Gauge, "huge", floats(0, d.Interval, 200, func(int) float64 { return (r.Float64() + 0.7) * 1e308 }), "room", room)
		d.add(Gauge, "sparse", punched(r, floats(0, 6*d.Interval, 33, wandering(r, 1e9, 1)), 0.2), "room", room)
	}
	// Terms that cancel each other, which shows a lost compensation.
	d.add(Gauge, "cancelling", floats(0, d.Interval, 200, func(i int) float64 { return []float64{1e17, 1, -1e17, 3}[i%4] }), "room", "a")
	d.add(Gauge, "cancelling", floats(0, d.Interval, 200, func(i int) float64 { return []float64{-1e17, 0.25, 1e17}[i%3] }), "room", "b")
	d.add(Gauge, "flat", floats(0, d.Interval, 200, func(int) float64 { return 42 }), "room", "a")
	return d
}

func duplicateData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "duplicates", Interval: 20 * second, options: []teststorage.Option{withXOR2}}
	for _, name := range []string{"cpu_user_seconds_total", "cpu_system_seconds_total", "cpu_idle"} {
		for _, cpu := range []string{"0", "1", "2", "3"} {
			kind := Counter
			if name == "cpu_idle" {
				kind = Gauge
			}
			d.add(kind, name, punched(r, floats(epoch, d.Interval, 150, growing(r, 5, 0.02)), 0.02), "cpu", cpu)
		}
	}
	// The same labels under two names that never live at the same time.
	d.add(Gauge, "phase_one", floats(epoch, d.Interval, 60, wandering(r, 5, 1)), "cpu", "0")
	d.add(Gauge, "phase_two", floats(epoch+90*d.Interval, d.Interval, 60, wandering(r, 5, 1)), "cpu", "0")
	return d
}

func tieData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "ties", Interval: 60 * second}
	for i := range 24 {
		group := string(rune('a' + i%4))
		s := floats(0, d.Interval, 60, func(int) float64 { return float64(r.IntN(3)) })
		d.add(Gauge, "level", punched(r, s, 0.05), "group", group, "id", fmt.Sprint(i%12), "zone", string(rune('x'+i/12)))
	}
	for i := range 4 {
		d.add(Gauge, "limit", floats(0, d.Interval, 60, func(j int) float64 { return float64(j % (i + 2)) }), "group", string(rune('a'+i)))
	}
	// Parameters of aggregations that change from step to step.
	d.add(Gauge, "k", floats(0, d.Interval, 60, func(i int) float64 { return float64(i%6) - 1 }))
	d.add(Gauge, "ratio", floats(0, d.Interval, 60, func(i int) float64 { return float64(i%9)/4 - 1 }))
	return d
}

func churnData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "churn", Interval: 15 * second, options: []teststorage.Option{withXOR2}}
	for _, app := range []string{"front", "back", "cache"} {
		at := epoch
		for pod := 0; pod < 6; pod++ {
			n := 3 + r.IntN(40)
			node := fmt.Sprintf("n%d", r.IntN(2))
			s := floats(at, d.Interval, n, growing(r, 20, 0))
			m := floats(at, d.Interval, n, wandering(r, 100, 10))
			at += int64(n) * d.Interval
			if r.IntN(3) > 0 {
				s = append(s, stale(Sample{T: at}))
				m = append(m, stale(Sample{T: at}))
			}
			// Some pods overlap with their predecessor, some come later.
			at += int64(r.IntN(8)-4) * d.Interval
			pod := fmt.Sprintf("%s-%d", app, pod)
			d.add(Counter, "pod_cpu_total", s, "app", app, "pod", pod, "node", node)
			d.add(Gauge, "pod_memory", m, "app", app, "pod", pod, "node", node)
		}
		d.add(Gauge, "app_limit", floats(epoch, d.Interval, 200, func(int) float64 { return 90 + 10*r.Float64() }), "app", app)
	}
	return d
}

func irregularData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "irregular", Interval: 10 * second}
	jittered := func(f func(int) float64) []Sample {
		t, out := epoch, make([]Sample, 0, 300)
		for i := range 300 {
			out = append(out, Sample{T: t, F: f(i)})
			switch r.IntN(20) {
			case 0:
				t += 1 + r.Int64N(50) // a burst
			case 1:
				t += r.Int64N(6 * minute) // an outage, at times longer than the lookback
			default:
				t += d.Interval/2 + r.Int64N(d.Interval)
			}
		}
		return out
	}
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		d.add(Counter, "events_total", jittered(growing(r, 9, 0.02)), "id", id, "site", "s"+id[:1])
		d.add(Gauge, "height", jittered(wandering(r, -3, 2)), "id", id, "site", "s"+id[:1])
	}
	d.add(Gauge, "lonely", []Sample{{T: epoch + 10*minute, F: 3}}, "id", "1")
	d.add(Counter, "pair_total", []Sample{{T: epoch + 10*minute, F: 3}, {T: epoch + 12*minute, F: 8}}, "id", "1")
	return d
}

func startTimestampData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "start_timestamps", Interval: 15 * second, options: []teststorage.Option{withStartTimestamps}}
	for i := range 6 {
		f := growing(r, 10, 0.04)
		samples := floats(epoch, d.Interval, 200, f)
		st := epoch - int64(r.IntN(int(minute)))
		for j := range samples {
			if j > 0 && (samples[j].F < samples[j-1].F || r.IntN(40) == 0) {
				// A restart, visible in the value or only in the start timestamp.
				st = samples[j].T - r.Int64N(d.Interval)
				if r.IntN(6) == 0 {
					st -= 2 * d.Interval // overlaps with the sample before
				}
			}
			samples[j].ST = st
			if i == 5 && j%3 == 0 {
				samples[j].ST = 0
			}
		}
		d.add(Counter, "restarts_total", punched(r, samples, 0.02), "id", fmt.Sprint(i), "mod", fmt.Sprint(i%2))
	}
	for i := range 3 {
		h := newHistogramWalk(r, 0)
		samples := make([]Sample, 0, 120)
		st := epoch - minute
		for j := range 120 {
			if r.IntN(20) == 0 {
				h.reset()
				st = epoch + int64(j)*d.Interval - 5*second
			}
			h.observe(1 + r.IntN(8))
			p := Sample{T: epoch + int64(j)*d.Interval, ST: st}
			if i%2 == 0 {
				p.H = h.integer()
			} else {
				p.FH = h.float()
			}
			samples = append(samples, p)
		}
		d.add(NativeHistogram, "latency", samples, "id", fmt.Sprint(i), "mod", fmt.Sprint(i%2))
	}
	for i := range 3 {
		d.add(Gauge, "depth", floats(epoch, d.Interval, 200, wandering(r, 5, 1)), "id", fmt.Sprint(i), "mod", fmt.Sprint(i%2))
	}
	return d
}

// blockData spreads its samples over two blocks and the head, with a deleted
// range and samples that came late.
func blockData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "blocks", Interval: 15 * second, options: []teststorage.Option{func(o *tsdb.Options) {
		o.OutOfOrderTimeWindow = 3 * 60 * minute
	}}}
	const start, n = epoch, 400
	var late []SeriesData
	for i := range 10 {
		id := fmt.Sprint((i * 7) % 10)
		s := floats(start, d.Interval, n, growing(r, 10, 0.01))
		var onTime, behind []Sample
		for _, p := range s {
			if i%3 == 0 && r.IntN(12) == 0 {
				behind = append(behind, p)
			} else {
				onTime = append(onTime, p)
			}
		}
		d.add(Counter, "jobs_total", onTime, "id", id, "queue", fmt.Sprint(i%2))
		late = append(late, SeriesData{Labels: d.Series[len(d.Series)-1].Labels, Samples: behind})
		d.add(Gauge, "backlog", punched(r, floats(start, d.Interval, n, wandering(r, 10, 4)), 0.01), "id", id, "queue", fmt.Sprint(i%2))
	}
	for i := range 4 {
		h := newHistogramWalk(r, int32(i))
		samples := make([]Sample, n)
		for j := range samples {
			if r.IntN(60) == 0 {
				h.reset()
			}
			h.observe(r.IntN(4))
			samples[j] = Sample{T: start + int64(j)*d.Interval, H: h.integer()}
		}
		d.add(NativeHistogram, "duration", samples, "id", fmt.Sprint(i), "queue", fmt.Sprint(i%2))
	}
	d.arrange = func(ctx context.Context, st *teststorage.TestStorage) error {
		third := int64(n/3) * d.Interval
		for i := range int64(2) {
			head := tsdb.NewRangeHead(st.Head(), start+i*third, start+(i+1)*third-1)
			if err := st.CompactHead(head); err != nil {
				return err
			}
		}
		if err := appendSeries(ctx, st, late); err != nil {
			return err
		}
		return st.Delete(ctx, start+20*minute, start+24*minute, labels.MustNewMatcher(labels.MatchEqual, "id", "3"))
	}
	return d
}
