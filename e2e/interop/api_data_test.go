package interop

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"
)

// strangeData is a data directory with what an answer may have trouble with: histograms of both kinds, values that JSON has no numbers for, names
// and values that are not ASCII, series that begin or end in the middle, and one that is a float first and a histogram later. The samples are
// a minute apart, in the hour before dataEnd; they stand in the log that a server writes ahead of blocks.
func strangeData(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0
	db, err := tsdb.Open(dir, nil, nil, opts, nil)
	require.NoError(t, err)
	const steps = 60
	at := func(step int) int64 { return dataEnd.Add(time.Duration(step-steps) * time.Minute).UnixMilli() }
	floats := func(of func(step int) float64, from, to int, ls ...string) {
		app := db.Appender(t.Context())
		for step := from; step <= to; step++ {
			_, err := app.Append(0, labels.FromStrings(ls...), at(step), of(step))
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	histograms := func(of func(step int) (*histogram.Histogram, *histogram.FloatHistogram), from, to int, ls ...string) {
		app := db.Appender(t.Context())
		for step := from; step <= to; step++ {
			h, fh := of(step)
			_, err := app.AppendHistogram(0, labels.FromStrings(ls...), at(step), h, fh)
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	constant := func(v float64) func(int) float64 { return func(int) float64 { return v } }
	counter := func(rate float64) func(int) float64 { return func(step int) float64 { return rate * float64(step%45) } }

	for i, code := range []string{"200", "404", "500"} {
		for instance := range 4 {
			floats(counter(float64(100*i+7*instance+1)/3), 0, steps,
				"__name__", "requests_total", "job", "api", "code", code, "instance", fmt.Sprintf("host-%d", instance))
		}
	}
	for instance := range 4 {
		floats(constant(float64(min(instance, 1))), 0, steps, "__name__", "up", "job", "api", "instance", fmt.Sprintf("host-%d", instance))
	}
	for name, v := range map[string]float64{
		"nan": math.NaN(), "inf": math.Inf(1), "minus_inf": math.Inf(-1), "zero": 0, "minus_zero": math.Copysign(0, -1),
		"tiny": math.SmallestNonzeroFloat64, "small": 1e-7, "huge": math.MaxFloat64, "big": 1e21, "long": 1.0 / 3, "million": 123456789,
	} {
		floats(constant(v), 0, steps, "__name__", "strange", "kind", name)
	}
	floats(constant(1), 0, 30, "__name__", "ends", "why", "the target has gone")
	floats(constant(2), 30, steps, "__name__", "begins")
	floats(constant(3), 0, steps, "__name__", "http.server.duration", "service.name", "shop", "zürich", "a \"quoted\" <b>\\value</b>\t&\n")
	floats(constant(4), 0, steps, "__name__", "temperatur_in_°C", "ort", "München")
	for i, le := range []string{"0.1", "0.5", "1", "+Inf"} {
		floats(counter(float64(1+2*i)), 0, steps, "__name__", "latency_seconds_bucket", "le", le)
	}
	histograms(func(step int) (*histogram.Histogram, *histogram.FloatHistogram) {
		return tsdbutil.GenerateTestHistogram(int64(step)), nil
	},
		0, steps, "__name__", "native", "pod", "a")
	histograms(func(step int) (*histogram.Histogram, *histogram.FloatHistogram) {
		return nil, tsdbutil.GenerateTestFloatHistogram(int64(step))
	}, 0, steps, "__name__", "native", "pod", "b")
	histograms(func(step int) (*histogram.Histogram, *histogram.FloatHistogram) {
		return tsdbutil.GenerateTestCustomBucketsHistogram(int64(step)), nil
	}, 0, steps, "__name__", "custom", "pod", "a")
	histograms(func(int) (*histogram.Histogram, *histogram.FloatHistogram) { return &histogram.Histogram{}, nil }, 0, steps, "__name__", "no_buckets")
	floats(constant(5), 0, 30, "__name__", "changes")
	histograms(func(step int) (*histogram.Histogram, *histogram.FloatHistogram) {
		return tsdbutil.GenerateTestHistogram(int64(step)), nil
	},
		31, steps, "__name__", "changes")
	require.NoError(t, db.Close())
	return dir
}
