package server_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote/server"
)

// read are all samples of a selection, as texts.
func read(t *testing.T, q storage.Queryable, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	t.Helper()
	querier, err := q.Querier(0, math.MaxInt64)
	require.NoError(t, err)
	defer querier.Close()
	set := querier.Select(t.Context(), sorted, hints, ms...)
	var out []string
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		out = append(out, s.Labels().String())
		it = s.Iterator(it)
		for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
			switch typ {
			case chunkenc.ValFloat:
				ts, v := it.At()
				out = append(out, fmt.Sprintf("%d@%d %x", it.AtST(), ts, math.Float64bits(v)))
			default:
				ts, h := it.AtFloatHistogram(nil)
				// Where chunks begin, which is not the same everywhere, nothing is known of resets.
				out = append(out, fmt.Sprintf("%d@%d %s %t %t", it.AtST(), ts, h, h.CounterResetHint == histogram.CounterReset, h.CounterResetHint == histogram.GaugeType))
			}
		}
		require.NoError(t, it.Err())
	}
	return out, set.Warnings(), set.Err()
}

// Samples arrive as they are stored, of any kind and number.
func TestSelect(t *testing.T) {
	st := promqltest.LoadedStorage(t, `load 15s
  reqs_total{pod="1",cluster="a"} 0+1.5x2000
  reqs_total{pod="2",cluster="a"} 5 stale NaN Inf _ 7
  gauge{cluster="a"} -1-0.25x300
  hist{cluster="a"} {{schema:1 count:5 sum:2 buckets:[1 2 2]}}+{{schema:1 count:5 sum:2 buckets:[1 2 2]}}x300
  reset{cluster="a"} {{schema:1 count:5 sum:2 buckets:[1 2 2]}} {{schema:1 count:3 sum:2 buckets:[1 1 1]}} {{schema:1 count:5 sum:2 buckets:[1 2 2] counter_reset_hint:gauge}}
  mixed{cluster="a"} 1 2 {{schema:0 count:1 sum:1 buckets:[1]}} 3
`)
	defer st.Close()
	app := st.Appender(t.Context())
	for i := range 300 {
		for k := range 20 { // more than fits into one message
			_, err := app.AppendHistogram(0, labels.FromStrings("__name__", "wide", "n", fmt.Sprint(k)), int64(2000+i)*15_000, nil, tsdbutil.GenerateTestFloatHistogram(int64(i)))
			require.NoError(t, err)
		}
	}
	require.NoError(t, app.Commit())
	c := serve(t, &selector{&fake{}, st}, server.Options{})
	all := labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")
	for _, hints := range []*storage.SelectHints{nil, {Start: 60_000, End: 600_000, Step: 15_000, Func: "rate"}, {Start: 0, End: math.MaxInt64, Limit: 2}} {
		for _, ms := range [][]*labels.Matcher{{all}, {all, labels.MustNewMatcher(labels.MatchEqual, "cluster", "a")}, {labels.MustNewMatcher(labels.MatchEqual, "none", "x")}} {
			want, _, err := read(t, st, true, hints, ms...)
			require.NoError(t, err)
			got, warnings, err := read(t, c, true, hints, ms...)
			require.NoError(t, err)
			require.Empty(t, warnings)
			for i := range min(len(want), len(got)) {
				require.Equal(t, want[i], got[i])
			}
			require.Equal(t, len(want), len(got))
		}
	}
}

// Start timestamps arrive, too.
func TestSelectStartTimestamps(t *testing.T) {
	var floats, hists []chunks.Sample
	for i := range 200 {
		floats = append(floats, stSample{int64(i/50*1000) + 1, int64(i+1) * 1000, float64(i), nil})
		hists = append(hists, stSample{int64(i/50*1000) + 1, int64(i+1) * 1000, 0, tsdbutil.GenerateTestHistogram(int64(i))})
	}
	st := &listStorage{series: []storage.Series{storage.NewListSeries(labels.FromStrings("a", "f"), floats), storage.NewListSeries(labels.FromStrings("a", "h"), hists)}}
	c := serve(t, &selector{&fake{}, st}, server.Options{})
	want, _, err := read(t, st, true, nil)
	require.NoError(t, err)
	got, _, err := read(t, c, true, nil)
	require.NoError(t, err)
	require.Equal(t, want[:201], got[:201])
	require.Len(t, got, len(want))
}

func TestSelectErrors(t *testing.T) {
	boom := errors.New("boom")
	var warned annotations.Annotations
	warned.Add(errors.New("careful"))
	one := storage.NewListSeries(labels.FromStrings("a", "1"), []chunks.Sample{stSample{t: 1}})
	two := storage.NewListSeries(labels.FromStrings("a", "2"), []chunks.Sample{stSample{t: 1}})
	empty := storage.NewListSeries(labels.FromStrings("a", "0"), nil)
	for name, c := range map[string]struct {
		st   listStorage
		opts server.Options
		want string
	}{
		"querier":       {st: listStorage{openErr: boom}, want: "remote engine leaf: boom"},
		"select":        {st: listStorage{series: []storage.Series{empty, one}, err: boom}, want: "remote engine leaf: boom"},
		"close":         {st: listStorage{closeErr: boom}, want: "remote engine leaf: boom"},
		"panic":         {st: listStorage{panics: true}, want: "panic: boom"},
		"order":         {st: listStorage{series: []storage.Series{two, one}}, want: `series are not in order: {a="1"} comes behind {a="2"}`},
		"series twice":  {st: listStorage{series: []storage.Series{one, one}}, want: "series are not in order"},
		"series limit":  {st: listStorage{series: []storage.Series{one, two}}, opts: server.Options{MaxSeries: 1}, want: "more than 1 series"},
		"sample limit":  {st: listStorage{series: []storage.Series{storage.NewListSeries(labels.EmptyLabels(), []chunks.Sample{stSample{t: 1}, stSample{t: 2}})}}, opts: server.Options{MaxSamples: 1}, want: "more than 1 samples"},
		"only warnings": {st: listStorage{series: []storage.Series{empty, one}, warnings: warned}},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := read(t, serve(t, &selector{&fake{}, &c.st}, c.opts), true, nil)
			if c.want == "" {
				require.NoError(t, err)
				require.Contains(t, warnings, "careful")
				return
			}
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "remote engine leaf: ")
		})
	}
}

// A selection ends with its querier, though nobody reads it to its end; until then it does not keep the query's next one from starting.
func TestSelectIsLeft(t *testing.T) {
	var series []storage.Series
	for i := range 100_000 {
		series = append(series, storage.NewListSeries(labels.FromStrings("a", fmt.Sprintf("%0100d", i)), []chunks.Sample{stSample{t: 1}}))
	}
	ended := make(chan error, 10)
	st := &listStorage{series: series, ended: ended}
	c := serve(t, &selector{&fake{}, st}, server.Options{})
	q, err := c.Querier(0, 1)
	require.NoError(t, err)
	for range 3 {
		require.True(t, q.Select(t.Context(), true, nil).Next())
	}
	require.NoError(t, q.Close())
	for range 3 {
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

type stSample struct {
	st, t int64
	f     float64
	h     *histogram.Histogram
}

func (s stSample) ST() int64                     { return s.st }
func (s stSample) T() int64                      { return s.t }
func (s stSample) F() float64                    { return s.f }
func (s stSample) H() *histogram.Histogram       { return s.h }
func (s stSample) FH() *histogram.FloatHistogram { return s.h.ToFloat(nil) }
func (s stSample) Copy() chunks.Sample           { return s }
func (s stSample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValHistogram
	}
	return chunkenc.ValFloat
}

// listStorage gives a list of series.
type listStorage struct {
	series                 []storage.Series
	openErr, err, closeErr error
	warnings               annotations.Annotations
	panics                 bool
	ended                  chan error
}

func (s *listStorage) Querier(int64, int64) (storage.Querier, error) {
	return &listQuerier{listStorage: s}, s.openErr
}

type listQuerier struct {
	storage.LabelQuerier
	*listStorage
	ctx context.Context
}

func (q *listQuerier) Select(ctx context.Context, _ bool, _ *storage.SelectHints, _ ...*labels.Matcher) storage.SeriesSet {
	if q.panics {
		panic("boom")
	}
	q.ctx = ctx
	return &listSet{q: q.listStorage, at: -1}
}

func (q *listQuerier) Close() error {
	if q.ended != nil {
		q.ended <- q.ctx.Err()
	}
	return q.closeErr
}

type listSet struct {
	q  *listStorage
	at int
}

func (s *listSet) Next() bool                        { s.at++; return s.at < len(s.q.series) }
func (s *listSet) At() storage.Series                { return s.q.series[s.at] }
func (s *listSet) Err() error                        { return s.q.err }
func (s *listSet) Warnings() annotations.Annotations { return s.q.warnings }
