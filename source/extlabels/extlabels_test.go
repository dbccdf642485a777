package extlabels

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/gendata"
	"github.com/stride-promql/stride/internal/tsdbdir"
)

var end = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// external labels of which one comes before and one behind most labels, and one between them.
var external = labels.FromStrings("a_region", "north", "m_cluster", "eu-1", "zone", "z")

// labelledTwice returns the same data as a storage with external labels, and as a block that was written with these labels.
func labelledTwice(t *testing.T) (shown, written storage.SampleAndChunkQueryable) {
	t.Helper()
	p := gendata.DefaultProfile(end)
	p.Series, p.Duration = 300, 30*time.Minute
	p.Start = end.Add(-p.Duration)
	plain := filepath.Join(t.TempDir(), "plain")
	_, err := gendata.Generate(t.Context(), plain, p, nil)
	require.NoError(t, err)
	inner := open(t, plain)

	q, err := inner.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	var series []storage.Series
	set := q.Select(t.Context(), true, nil, everything)
	for set.Next() {
		b := labels.NewBuilder(set.At().Labels())
		external.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
		series = append(series, labelledSeries{set.At(), b.Labels()})
	}
	require.NoError(t, set.Err())
	dir := t.TempDir()
	_, err = tsdb.CreateBlock(series, dir, (24 * time.Hour).Milliseconds(), promslog.NewNopLogger())
	require.NoError(t, err)
	require.NoError(t, q.Close())
	return New(inner, external), open(t, dir)
}

var everything = labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")

func open(t *testing.T, dir string) *tsdbdir.DB {
	t.Helper()
	db, err := tsdbdir.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

var selectors = []string{
	`{__name__=~".+"}`,
	`{m_cluster="eu-1"}`,
	`{m_cluster="eu-1",zone=~"z|y"}`,
	`{m_cluster!="eu-2",job="api"}`,
	`{m_cluster=~"eu-2|eu-3"}`,
	`{m_cluster="eu-1",zone=""}`,
	`{zone!="z",__name__="up"}`,
	`up`,
	`up{m_cluster!=""}`,
	`request_duration_seconds_bucket{le="+Inf",a_region!~"s.*"}`,
	`{nothing="x",m_cluster="eu-1"}`,
}

func matchersOf(t *testing.T, selector string) []*labels.Matcher {
	t.Helper()
	m, err := parser.NewParser(parser.Options{}).ParseMetricSelector(selector)
	require.NoError(t, err)
	return m
}

// seriesSamples is a series as text.
type seriesSamples struct {
	labels  string
	samples []sample
}

type sample struct {
	t int64
	f uint64 // bits
	h string
}

func samplesOf(t *testing.T, it chunkenc.Iterator) (all []sample) {
	t.Helper()
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		if typ == chunkenc.ValFloat {
			at, f := it.At()
			all = append(all, sample{at, math.Float64bits(f), ""})
			continue
		}
		var fh histogram.FloatHistogram
		at, h := it.AtFloatHistogram(&fh)
		all = append(all, sample{at, 0, h.String()})
	}
	require.NoError(t, it.Err())
	return all
}

func selectSeries(t *testing.T, s storage.Queryable, sorted bool, selector string) (all []seriesSamples) {
	t.Helper()
	q, err := s.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	set := q.Select(t.Context(), sorted, nil, matchersOf(t, selector)...)
	for set.Next() {
		all = append(all, seriesSamples{set.At().Labels().String(), samplesOf(t, set.At().Iterator(nil))})
	}
	require.NoError(t, set.Err())
	require.Empty(t, set.Warnings())
	return all
}

func selectChunks(t *testing.T, s storage.ChunkQueryable, sorted bool, selector string) (all []seriesSamples) {
	t.Helper()
	q, err := s.ChunkQuerier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	set := q.Select(t.Context(), sorted, nil, matchersOf(t, selector)...)
	for set.Next() {
		series := seriesSamples{labels: set.At().Labels().String()}
		it := set.At().Iterator(nil)
		for it.Next() {
			series.samples = append(series.samples, samplesOf(t, it.At().Chunk.Iterator(nil))...)
		}
		require.NoError(t, it.Err())
		all = append(all, series)
	}
	require.NoError(t, set.Err())
	return all
}

// A storage with external labels is one whose series have been written with these labels, in the same order too.
func TestAsIfWritten(t *testing.T) {
	shown, written := labelledTwice(t)
	found := 0
	for _, selector := range selectors {
		for _, sorted := range []bool{false, true} {
			want := selectSeries(t, written, sorted, selector)
			require.Equal(t, want, selectSeries(t, shown, sorted, selector), selector)
			require.Equal(t, want, selectChunks(t, shown, sorted, selector), selector)
			found += len(want)
		}
	}
	require.Greater(t, found, 1000)
}

func TestLabelsAsIfWritten(t *testing.T) {
	shown, written := labelledTwice(t)
	s, err := shown.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	w, err := written.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() {
		require.NoError(t, s.Close())
		require.NoError(t, w.Close())
	}()
	ctx := t.Context()
	names, _, err := w.LabelNames(ctx, nil)
	require.NoError(t, err)
	require.Subset(t, names, []string{"a_region", "m_cluster", "zone", "job"})
	for _, selector := range append(selectors, "") {
		var matchers []*labels.Matcher
		if selector != "" {
			matchers = matchersOf(t, selector)
		}
		for _, limit := range []int{0, 2, 1000} {
			hints := &storage.LabelHints{Limit: limit}
			want, _, err := w.LabelNames(ctx, hints, matchers...)
			require.NoError(t, err)
			got, _, err := s.LabelNames(ctx, hints, matchers...)
			require.NoError(t, err)
			require.ElementsMatch(t, want, got, "%s %d", selector, limit)
		}
		for _, name := range append(names, "nothing") {
			want, _, err := w.LabelValues(ctx, name, nil, matchers...)
			require.NoError(t, err)
			got, _, err := s.LabelValues(ctx, name, nil, matchers...)
			require.NoError(t, err)
			require.ElementsMatch(t, want, got, "%s %s", selector, name)
		}
	}
}

// Prometheus on data written with the labels is the reference: sums add in the order of series, topk picks by it.
func TestQueriesAsIfWritten(t *testing.T) {
	shown, written := labelledTwice(t)
	stride := engine.New(engine.Opts{Workers: 2})
	prometheus := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute})
	for _, expr := range []string{
		`up`, `sum(memory_usage_bytes)`, `sum by (m_cluster, job) (memory_usage_bytes)`, `topk(3, up)`, `count by (zone) ({__name__=~".+"})`,
		`sum by (a_region) (rate(http_requests_total{m_cluster="eu-1"}[5m]))`, `up * on (m_cluster, instance) group_left (version) build_info`,
		`absent(up{m_cluster="us-1"})`, `histogram_quantile(0.9, sum by (le, zone) (rate(request_duration_seconds_bucket[5m])))`,
		`sum by (m_cluster) (rate(rpc_duration_seconds[5m]))`, `group without (instance) ({m_cluster="eu-1",job="api"})`,
	} {
		want := exec(t, prometheus, written, expr)
		require.Equal(t, want, exec(t, stride, shown, expr), expr)
		require.NotEqual(t, "", want)
	}
}

func exec(t *testing.T, e promql.QueryEngine, s storage.Queryable, expr string) string {
	t.Helper()
	q, err := e.NewInstantQuery(t.Context(), s, nil, expr, end.Add(-time.Minute))
	require.NoError(t, err)
	defer q.Close()
	res := q.Exec(t.Context())
	require.NoError(t, res.Err, expr)
	return res.Value.String()
}

// labelsOnly is a storage of series without samples, which come in the order in which they were given.
type labelsOnly []labels.Labels

func (s labelsOnly) Querier(int64, int64) (storage.Querier, error) { return labelsQuerier{s}, nil }

func (s labelsOnly) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) { return nil, errClosed }

type labelsQuerier struct{ series labelsOnly }

func (q labelsQuerier) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return &labelsSet{series: q.series}
}

func (labelsQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q labelsQuerier) LabelValues(_ context.Context, name string, _ *storage.LabelHints, _ ...*labels.Matcher) (values []string, _ annotations.Annotations, _ error) {
	for _, l := range q.series {
		if l.Has(name) {
			values = append(values, l.Get(name))
		}
	}
	return values, nil, nil
}
func (labelsQuerier) Close() error { return nil }

type labelsSet struct {
	series labelsOnly
	at     int
}

func (s *labelsSet) Next() bool {
	s.at++
	return s.at <= len(s.series)
}
func (s *labelsSet) At() storage.Series              { return &storage.SeriesEntry{Lset: s.series[s.at-1]} }
func (*labelsSet) Err() error                        { return nil }
func (*labelsSet) Warnings() annotations.Annotations { return nil }

func labelsOf(t *testing.T, s storage.Queryable, sorted bool, selector string) ([]string, error) {
	t.Helper()
	q, err := s.Querier(0, 0)
	require.NoError(t, err)
	set := q.Select(t.Context(), sorted, nil, matchersOf(t, selector)...)
	var all []string
	for set.Next() {
		all = append(all, set.At().Labels().String())
	}
	require.False(t, set.Next())
	return all, set.Err()
}

func TestOrder(t *testing.T) {
	x := labels.FromStrings("x", "1")
	ab, a := labels.FromStrings("a", "1", "b", "2"), labels.FromStrings("a", "1")
	for _, tc := range []struct {
		inner labelsOnly
		want  []string
	}{
		{labelsOnly{a, ab}, []string{`{a="1", b="2", x="1"}`, `{a="1", x="1"}`}}, // sorted stays sorted
		{labelsOnly{ab, a}, []string{`{a="1", b="2", x="1"}`, `{a="1", x="1"}`}}, // what is not is left as it is
		{labelsOnly{labels.FromStrings("a", "0"), a, ab, labels.FromStrings("a", "2")}, []string{`{a="0", x="1"}`, `{a="1", b="2", x="1"}`, `{a="1", x="1"}`, `{a="2", x="1"}`}},
		{labelsOnly{a, ab, labels.FromStrings("a", "0")}, []string{`{a="1", x="1"}`, `{a="1", b="2", x="1"}`, `{a="0", x="1"}`}},
		{labelsOnly{a, labels.FromStrings("a", "1", "b", "0"), ab, labels.FromStrings("a", "1", "b", "2", "c", "3"), labels.FromStrings("a", "1", "y", "0")}, []string{
			`{a="1", b="0", x="1"}`, `{a="1", b="2", c="3", x="1"}`, `{a="1", b="2", x="1"}`, `{a="1", x="1"}`, `{a="1", x="1", y="0"}`,
		}},
		{labelsOnly{labels.FromStrings("b", "1"), a, ab}, []string{`{b="1", x="1"}`, `{a="1", x="1"}`, `{a="1", b="2", x="1"}`}},
		{nil, nil},
	} {
		got, err := labelsOf(t, New(tc.inner, x), false, `{x="1"}`)
		require.NoError(t, err)
		require.Equal(t, tc.want, got)
	}
}

// Series are not read before they are needed.
func TestStreams(t *testing.T) {
	inner := &labelsSet{}
	for _, n := range []string{"1", "2", "3", "4", "5"} {
		inner.series = append(inner.series, labels.FromStrings("a", n))
	}
	none := func() (bool, error) { return false, nil }
	set := newSeriesSet(inner, true, labels.FromStrings("x", "1"), none, func(_ storage.Series, l labels.Labels) storage.Series { return labelledSeries{labels: l} })
	require.Zero(t, inner.at)
	require.True(t, set.Next())
	require.Equal(t, 2, inner.at)
	require.Equal(t, `{a="1", x="1"}`, set.At().Labels().String())
	require.True(t, set.Next())
	require.Equal(t, 3, inner.at)
}

func TestHiddenLabels(t *testing.T) {
	x := labels.FromStrings("x", "1")
	own := labels.FromStrings("a", "1", "x", "own")
	got, err := labelsOf(t, New(labelsOnly{own, labels.FromStrings("a", "2")}, x), false, `{x="1"}`)
	require.NoError(t, err)
	require.Equal(t, []string{`{a="1", x="1"}`, `{a="2", x="1"}`}, got)
	got, err = labelsOf(t, New(labelsOnly{own}, x), false, `{x="own"}`)
	require.NoError(t, err)
	require.Empty(t, got)

	// In order, though what is hidden was not.
	got, err = labelsOf(t, New(labelsOnly{own, labels.FromStrings("a", "0")}, x), true, `{x="1"}`)
	require.NoError(t, err)
	require.Equal(t, []string{`{a="0", x="1"}`, `{a="1", x="1"}`}, got)

	_, err = labelsOf(t, New(labelsOnly{labels.FromStrings("a", "1"), labels.FromStrings("a", "0"), own}, x), true, `{x="1"}`)
	require.EqualError(t, err, `several series become {a="1", x="1"}, because the external labels {x="1"} hide labels of their own: rename the labels of the series or the external labels`)
}

var errClosed = errors.New("closed")

type closedStorage struct{}

func (closedStorage) Querier(int64, int64) (storage.Querier, error)           { return nil, errClosed }
func (closedStorage) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) { return nil, errClosed }

func TestErrors(t *testing.T) {
	none := func() (bool, error) { return false, nil }
	set := newSeriesSet(storage.ErrSeriesSet(errClosed), true, external, none, func(s storage.Series, _ labels.Labels) storage.Series { return s })
	require.False(t, set.Next())
	require.ErrorIs(t, set.Err(), errClosed)
	set = newSeriesSet(storage.EmptySeriesSet(), true, external, func() (bool, error) { return false, errClosed }, func(s storage.Series, _ labels.Labels) storage.Series { return s })
	require.False(t, set.Next())
	require.ErrorIs(t, set.Err(), errClosed)

	broken := New(closedStorage{}, external)
	_, err := broken.Querier(0, 0)
	require.ErrorIs(t, err, errClosed)
	_, err = broken.ChunkQuerier(0, 0)
	require.ErrorIs(t, err, errClosed)
}

// TestHead reads a head, whose series are not sorted.
func TestHead(t *testing.T) {
	s := promqltest.LoadedStorage(t, "load 1m\n  up{job=\"b\"} 1x10\n  up{job=\"a\"} 1x10\n")
	got := selectSeries(t, New(s, external), false, `up{zone="z"}`)
	require.Len(t, got, 2)
	got = selectSeries(t, New(s, external), true, `up{zone="z"}`)
	require.Equal(t, `{__name__="up", a_region="north", job="a", m_cluster="eu-1", zone="z"}`, got[0].labels)
}
