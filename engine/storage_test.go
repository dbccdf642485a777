package engine_test

import (
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
)

// storageOpts are the options of both engines in the tests of storages.
func storageOpts() promql.EngineOpts {
	return promql.EngineOpts{
		MaxSamples:               50_000_000,
		Timeout:                  time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnablePerStepStats:       true,
		EnableDelayedNameRemoval: true,
		UseStartTimestamps:       true,
		Parser:                   difftest.Parser(),
	}
}

// storageModes are the ways to read a storage.
var storageModes = []struct {
	name    string
	samples bool // through sample iterators
	set     func(*engine.Opts)
}{
	{"default", false, func(*engine.Opts) {}},
	{"workers=4,batch=1x3", false, func(o *engine.Opts) { o.Workers, o.BatchSeries, o.BatchSteps = 4, 1, 3 }},
	{"chunk-access=off", true, func(o *engine.Opts) { o.Workers, o.DisableChunkAccess = 2, true }},
}

// storageEngine makes an engine that reads storages in the i-th mode.
func storageEngine(i int) *engine.Engine {
	o := engine.Opts{EngineOpts: storageOpts(), PoisonBatches: true}
	storageModes[i].set(&o)
	return engine.New(o)
}

func instantAt(t int64) difftest.Times { return difftest.Times{Instant: true, Start: t, End: t} }

func rangeOf(start, end, step int64) difftest.Times {
	return difftest.Times{Start: start, End: end, Step: step}
}

// ask runs a query. A panic is part of the outcome.
func ask(t testing.TB, e promql.QueryEngine, q storage.Queryable, query string, times difftest.Times) (o *difftest.Outcome) {
	t.Helper()
	o = &difftest.Outcome{}
	defer func() {
		if p := recover(); p != nil {
			o.Panic = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	opts := promql.NewPrometheusQueryOpts(true, 0, nil)
	var (
		run promql.Query
		err error
	)
	if times.Instant {
		run, err = e.NewInstantQuery(t.Context(), q, opts, query, timestamp.Time(times.Start))
	} else {
		run, err = e.NewRangeQuery(t.Context(), q, opts, query, timestamp.Time(times.Start), timestamp.Time(times.End), time.Duration(times.Step)*time.Millisecond)
	}
	require.NoError(t, err)
	res := run.Exec(t.Context())
	o.Value, o.Err, o.Samples = res.Value, res.Err, run.Stats().Samples
	o.Warnings, o.Infos = res.Warnings.AsStrings(query, 0, 0)
	slices.Sort(o.Warnings)
	slices.Sort(o.Infos)
	return o
}

// difference says in what an outcome differs from the one wanted.
func difference(t testing.TB, want, got *difftest.Outcome, query string, times difftest.Times) *difftest.Difference {
	t.Helper()
	expr, err := difftest.Parser().ParseExpr(query)
	require.NoError(t, err)
	return difftest.NewComparer(expr, times, difftest.DefaultTolerance, true).Compare(want, got)
}

// requireSame demands of the engine, in all modes, what Prometheus answers over the sample queriers of the same storage.
// It tells whether there was an answer with samples.
func requireSame(t *testing.T, q storage.Queryable, query string, times difftest.Times) bool {
	t.Helper()
	return requireSameAs(t, q, q, query, times)
}

// requireSameAs is requireSame with another storage for Prometheus.
func requireSameAs(t *testing.T, reference, q storage.Queryable, query string, times difftest.Times) bool {
	t.Helper()
	want := ask(t, promql.NewEngine(storageOpts()), reference, query, times)
	require.Empty(t, want.Panic)
	for i, m := range storageModes {
		if d := difference(t, want, ask(t, storageEngine(i), q, query, times), query, times); d != nil {
			t.Errorf("%s\n%s, %s:\n%s", query, times, m.name, d)
		}
	}
	return !want.Empty()
}

// requireAllSame compares every query at all times, and demands that it has an answer at one of them.
func requireAllSame(t *testing.T, q storage.Queryable, queries []string, times ...difftest.Times) {
	t.Helper()
	for _, query := range queries {
		answered := false
		for _, tm := range times {
			if requireSame(t, q, query, tm) {
				answered = true
			}
		}
		require.True(t, answered, "no samples from %s", query)
	}
}

// appendFloats appends n samples of a series, from start on and interval ms apart.
func appendFloats(t testing.TB, app storage.AppenderV2, name string, start, interval int64, n int, f func(i int) float64, lbls ...string) {
	t.Helper()
	l := labels.FromStrings(append([]string{"__name__", name}, lbls...)...)
	for i := range n {
		_, err := app.Append(0, l, 0, start+int64(i)*interval, f(i), nil, nil, storage.AppendV2Options{})
		require.NoError(t, err)
	}
}

// samplesOnly is a storage without chunk queriers.
type samplesOnly struct{ storage.Queryable }

// floatSample is a sample of a storage.NewListSeries.
type floatSample struct {
	t int64
	f float64
}

func (s floatSample) T() int64                      { return s.t }
func (s floatSample) ST() int64                     { return 0 }
func (s floatSample) F() float64                    { return s.f }
func (s floatSample) H() *histogram.Histogram       { return nil }
func (s floatSample) FH() *histogram.FloatHistogram { return nil }
func (s floatSample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s floatSample) Copy() chunks.Sample           { return s }
