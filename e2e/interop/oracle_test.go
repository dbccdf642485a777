package interop

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/client"
	"github.com/stride-promql/stride/cmd/stride/extlabels"
	"github.com/stride-promql/stride/cmd/stride/livedata"
)

// dataEnd is where the data ends.
var dataEnd = time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)

// regions are the values of the external label by which the data directories differ.
var regions = []string{"eu", "us"}

// dataset is a data directory for each region, and all of them as one storage.
type dataset struct {
	dirs   []string
	merged storage.Queryable
}

// Thanos' queriers evaluate rate and its like over running totals of counters instead of their samples where they read raw data, so that
// the extrapolation to zero after a reset is another one, and they drop stale markers there. Where Thanos evaluates, the data is steady.
const (
	everything = "default"
	steady     = "steady"
)

// generate makes the data with the program that users have.
func generate(t *testing.T, profile string) *dataset {
	t.Helper()
	d := &dataset{}
	var all []storage.Queryable
	for i, region := range regions {
		dir := filepath.Join(t.TempDir(), region)
		out, err := exec.Command(binary(t, "stride"), "generate", "--out", dir, "--profile", profile, "--series", "400", "--duration", "3h", "--end", dataEnd.Format(time.RFC3339), "--seed", fmt.Sprint(i+1)).CombinedOutput()
		require.NoError(t, err, string(out))
		live := livedata.New(dir, slog.New(slog.DiscardHandler), nil)
		require.NoError(t, live.Load())
		t.Cleanup(live.Close)
		d.dirs = append(d.dirs, dir)
		all = append(all, extlabels.New(live, labels.FromStrings("region", region)))
	}
	d.merged = storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		var qs []storage.Querier
		for _, q := range all {
			querier, err := q.Querier(mint, maxt)
			if err != nil {
				return nil, err
			}
			qs = append(qs, querier)
		}
		return storage.NewMergeQuerier(qs, nil, storage.ChainedSeriesMerge), nil
	})
	return d
}

// answers compares what a server says to queries, range and instant, with Prometheus' engine over all of the data.
func (d *dataset) answers(t *testing.T, url string, queries []string) {
	t.Helper()
	oracle := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e8, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{}),
	})
	asked, err := client.New(url, nil)
	require.NoError(t, err)
	defer asked.Close()
	start, step := dataEnd.Add(-90*time.Minute), time.Minute
	compared, samples := 0, 0
	for _, expr := range queries {
		for _, q := range []client.Query{{Expr: expr, Instant: true, Start: dataEnd, End: dataEnd}, {Expr: expr, Start: start, End: dataEnd, Step: step}} {
			var want promql.Query
			if q.Instant {
				want, err = oracle.NewInstantQuery(t.Context(), d.merged, nil, expr, dataEnd)
			} else {
				want, err = oracle.NewRangeQuery(t.Context(), d.merged, nil, expr, start, dataEnd, step)
			}
			require.NoError(t, err, expr)
			res := want.Exec(t.Context())
			require.NoError(t, res.Err, expr)
			got, err := asked.Query(t.Context(), q)
			if err != nil {
				t.Errorf("%s (instant: %t): %v", expr, q.Instant, err)
				continue
			}
			compared++
			samples += size(res.Value)
			if diff := difference(res.Value, got.Value); diff != "" {
				t.Errorf("%s (instant: %t): %s", expr, q.Instant, diff)
			}
			want.Close()
		}
	}
	t.Logf("%d answers compared, of %d samples", compared, samples)
}

func size(v parser.Value) (n int) {
	for _, s := range asMatrix(v) {
		n += len(s.Floats) + len(s.Histograms)
	}
	return n
}

// asMatrix is any value as series.
func asMatrix(v parser.Value) promql.Matrix {
	switch v := v.(type) {
	case promql.Matrix:
		return v
	case promql.Vector:
		m := make(promql.Matrix, len(v))
		for i, s := range v {
			m[i].Metric = s.Metric
			if s.H != nil {
				m[i].Histograms = []promql.HPoint{{T: s.T, H: s.H}}
			} else {
				m[i].Floats = []promql.FPoint{{T: s.T, F: s.F}}
			}
		}
		return m
	case promql.Scalar:
		return promql.Matrix{{Floats: []promql.FPoint{{T: v.T, F: v.V}}}}
	}
	return nil
}

// tolerance is how far values may be apart: sums are made in another order.
const tolerance = 1e-9

// difference says in what two values differ first, "" if in nothing.
func difference(want, got parser.Value) string {
	w, g := asMatrix(want), asMatrix(got)
	byLabels := map[string]promql.Series{}
	for _, s := range g {
		byLabels[s.Metric.String()] = s
	}
	if len(w) != len(g) || len(byLabels) != len(g) {
		return fmt.Sprintf("%d series instead of %d", len(g), len(w))
	}
	for _, s := range w {
		o, ok := byLabels[s.Metric.String()]
		if !ok {
			return fmt.Sprintf("%s is missing", s.Metric)
		}
		if len(s.Floats) != len(o.Floats) || len(s.Histograms) != len(o.Histograms) {
			return fmt.Sprintf("%s has %d floats and %d histograms instead of %d and %d", s.Metric, len(o.Floats), len(o.Histograms), len(s.Floats), len(s.Histograms))
		}
		for i, p := range s.Floats {
			if q := o.Floats[i]; p.T != q.T || !near(p.F, q.F) {
				return fmt.Sprintf("%s is %g at %d instead of %g at %d", s.Metric, q.F, q.T, p.F, p.T)
			}
		}
		for i, p := range s.Histograms {
			if q := o.Histograms[i]; p.T != q.T || !nearHistogram(p.H, q.H) {
				return fmt.Sprintf("%s is %s at %d instead of %s at %d", s.Metric, q.H, q.T, p.H, p.T)
			}
		}
	}
	return ""
}

func near(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b))
}

func nearHistogram(a, b *histogram.FloatHistogram) bool {
	if !near(a.Count, b.Count) || !near(a.Sum, b.Sum) {
		return false
	}
	x, y := buckets(a), buckets(b)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i].Lower != y[i].Lower || x[i].Upper != y[i].Upper || !near(x[i].Count, y[i].Count) {
			return false
		}
	}
	return true
}

// buckets are those that are not empty.
func buckets(h *histogram.FloatHistogram) (all []histogram.Bucket[float64]) {
	for it := h.AllBucketIterator(); it.Next(); {
		if b := it.At(); b.Count != 0 {
			all = append(all, b)
		}
	}
	return all
}

// TestMain builds Stride from the checkout.
func TestMain(m *testing.M) {
	cmd := exec.Command("go", "build", "-o", ".cache/peers/stride", "./cmd/stride")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building stride:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
