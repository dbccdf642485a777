package difftest

import (
	"fmt"
	"math/rand/v2"

	"github.com/prometheus/prometheus/util/teststorage"
)

// classicData has classic histograms, good and broken ones.
func classicData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "classic_histograms", Interval: 30 * second, options: []teststorage.Option{withXOR2}}
	const n = 120
	bounds := []string{"0.1", "0.5", "1", "2.5", "+Inf"}
	buckets := func(name, path string, les []string, monotonic bool) {
		total := make([]float64, n)
		for _, le := range les {
			f := growing(r, 4, 0)
			base := append([]float64(nil), total...)
			s := floats(epoch, d.Interval, n, func(i int) float64 {
				v := base[i] + f(i)
				if !monotonic && r.IntN(6) == 0 {
					v -= float64(r.IntN(9))
				}
				return v
			})
			for i := range s {
				total[i] = s[i].F
			}
			d.add(ClassicBucket, name, s, "path", path, "le", le)
		}
	}
	buckets("req_bucket", "/good", bounds, true)
	buckets("req_bucket", "/also", bounds, true)
	buckets("req_bucket", "/uneven", bounds, false)
	buckets("req_bucket", "/noinf", bounds[:4], true)
	buckets("req_bucket", "/single", []string{"+Inf"}, true)
	buckets("req_bucket", "/negative", []string{"-1", "0", "1", "+Inf"}, true)
	buckets("req_bucket", "/twice", []string{"1", "1.0", "2", "+Inf"}, true)
	buckets("req_bucket", "/bad", []string{"0.5", "abc", "NaN", "+Inf"}, true)
	d.add(ClassicBucket, "req_bucket", floats(epoch, d.Interval, n, growing(r, 4, 0)), "path", "/nole")
	for _, path := range []string{"/good", "/also", "/uneven"} {
		d.add(Counter, "req_count", floats(epoch, d.Interval, n, growing(r, 9, 0.01)), "path", path)
		d.add(Counter, "req_sum", floats(epoch, d.Interval, n, growing(r, 90, 0.01)), "path", path)
	}
	// Native histograms under the name of the classic buckets.
	d.add(Mixed, "both", walk(r, newHistogramWalk(r, 1), epoch, d.Interval, n, 5, 0.02, false), "path", "/good")
	for _, le := range []string{"1", "+Inf"} {
		d.add(Mixed, "both", floats(epoch, d.Interval, n, growing(r, 5, 0)), "path", "/good", "le", le)
		d.add(Mixed, "both", floats(epoch, d.Interval, n, growing(r, 5, 0)), "path", "/also", "le", le)
	}
	d.add(NativeHistogram, "req", walk(r, newCustomWalk(r, 0.1, 0.5, 1, 2.5), epoch, d.Interval, n, 5, 0.02, false), "path", "/good")
	return d
}

// metadataData has type and unit labels, and names that need quoting.
func metadataData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "metadata", Interval: 30 * second, options: nil}
	const n = 120
	for _, id := range []string{"0", "1", "2"} {
		counter := func() []Sample { return floats(epoch, d.Interval, n, growing(r, 9, 0.02)) }
		d.add(Counter, "transfer", counter(), "__type__", "counter", "__unit__", "bytes", "id", id)
		d.add(Gauge, "transfer_rate", floats(epoch, d.Interval, n, wandering(r, 5, 2)), "__type__", "gauge", "__unit__", "bytes", "id", id)
		d.add(Counter, "untyped", counter(), "id", id)
		d.add(Counter, "typed_by_other", counter(), "__type__", "gaugehistogram", "id", id)
		d.add(NativeHistogram, "wait", walk(r, newHistogramWalk(r, 0), epoch, d.Interval, n, 4, 0.02, false), "__type__", "histogram", "__unit__", "seconds", "id", id)
		// Equal but for the type, or the unit.
		d.add(Counter, "twin_total", counter(), "__type__", "counter", "id", id)
		d.add(Counter, "twin_total", punched(r, counter(), 0.1), "__type__", "gauge", "id", id)
		d.add(Gauge, "unit_twin", floats(epoch, d.Interval, 50, wandering(r, 5, 2)), "__unit__", "seconds", "id", id)
		d.add(Gauge, "unit_twin", floats(epoch+70*d.Interval, d.Interval, 50, wandering(r, 5, 2)), "__unit__", "ms", "id", id)
		d.add(Counter, "http.server.requests", counter(), "service.name", "s"+id, "id", id)
		d.add(Gauge, "温度", floats(epoch, d.Interval, n, wandering(r, 20, 2)), "raum name", "r"+id, "id", id)
	}
	return d
}

// infoData has info metrics whose labels change and series they describe.
func infoData(r *rand.Rand) *Dataset {
	d := &Dataset{Name: "info", Interval: 30 * second, options: []teststorage.Option{withXOR2}}
	const n = 120
	one := func(int) float64 { return 1 }
	for _, job := range []string{"api", "db"} {
		for _, instance := range []string{"a", "b", "c"} {
			d.add(Counter, "calls_total", floats(epoch, d.Interval, n, growing(r, 9, 0.02)), "job", job, "instance", instance, "verb", "get")
			d.add(Counter, "calls_total", floats(epoch, d.Interval, n, growing(r, 9, 0.02)), "job", job, "instance", instance, "verb", "put")
			d.add(Gauge, "threads", punched(r, floats(epoch, d.Interval, n, wandering(r, 9, 2)), 0.03), "job", job, "instance", instance)
			if instance == "c" {
				continue // described by nothing but build_info
			}
			// A new version every 30 samples, with or without a stale marker between.
			for v := range 4 {
				s := floats(epoch+int64(v)*30*d.Interval, d.Interval, 30, one)
				if v%2 == 0 {
					s = append(s, stale(Sample{T: epoch + int64(v+1)*30*d.Interval}))
				}
				d.add(Info, "target_info", s, "job", job, "instance", instance, "version", fmt.Sprint(v), "env", []string{"prod", "dev"}[v%2])
			}
		}
	}
	for _, instance := range []string{"a", "b", "c"} {
		d.add(Info, "build_info", floats(epoch, d.Interval, n, one), "job", "api", "instance", instance, "go", "1.26", "branch", "b"+instance)
	}
	d.add(NativeHistogram, "call_seconds", walk(r, newHistogramWalk(r, 0), epoch, d.Interval, n, 4, 0.02, false), "job", "api", "instance", "a")
	d.add(NativeHistogram, "call_seconds", walk(r, newHistogramWalk(r, 2), epoch, d.Interval, n, 4, 0.02, true), "job", "api", "instance", "b")
	return d
}
