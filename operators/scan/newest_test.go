package scan

import (
	"math"
	"math/rand"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
)

// newest finds what a search from the first sample on finds, wherever samples and steps lie.
func TestNewest(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	stale := math.Float64frombits(value.StaleNaN)
	for range 2000 {
		times, values := make([]int64, rng.Intn(60)), make([]float64, 0, 60)
		at := int64(rng.Intn(50))
		for i := range times {
			at += 1 + int64(rng.Intn(1+rng.Intn(40)))
			times[i] = at
			values = append(values, float64(i))
			if rng.Intn(10) == 0 {
				values[i] = stale
			}
		}
		ref, interval, lookback := int64(rng.Intn(100)), int64(rng.Intn(200)), int64(1+rng.Intn(60))
		dst := make([]float64, 1+rng.Intn(64))
		before := -1
		for before+1 < len(times) && times[before+1] <= ref-interval && rng.Intn(8) > 0 {
			before++
		}
		next, set := newest(dst, times, values, before, ref, interval, lookback)
		for k := range dst {
			last := -1
			for i := range times {
				if times[i] <= ref+int64(k)*interval {
					last = i
				}
			}
			has := last >= 0 && times[last] > ref+int64(k)*interval-lookback && !value.IsStaleNaN(values[last])
			require.Equal(t, has, set>>uint(k)&1 != 0)
			if has {
				require.Equal(t, values[last], dst[k])
			}
			if k == len(dst)-1 {
				require.Equal(t, last, next)
			}
		}
	}
}

func BenchmarkNewest(b *testing.B) {
	rng := rand.New(rand.NewSource(3))
	times, values := make([]int64, 1440), make([]float64, 1440)
	for i := range times {
		times[i] = int64(i)*15000 + int64(rng.Intn(2)*rng.Intn(20)) // half of the scrapes are late
	}
	dst := make([]float64, 64)
	b.ReportAllocs()
	for b.Loop() {
		i := -1
		for at := int64(0); at < 640; at += 64 {
			i, _ = newest(dst, times, values, i, at*30000, 30000, 300000)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/640, "ns/step")
}
