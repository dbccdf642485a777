package api

import (
	"context"
	"errors"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
)

func TestLabels(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	for _, tc := range []struct {
		path   string
		params []string
		want   string
	}{
		{"labels", nil, `["__name__","dup","foo","pod"]`},
		{"labels", []string{"match[]", "test_metric3"}, `["__name__","dup","foo"]`},
		{"labels", []string{"match[]", "test_metric1", "match[]", "requests_total"}, `["__name__","foo","pod"]`},
		{"labels", []string{"match[]", "nothing"}, `[]`},
		{"labels", []string{"start", "100000", "end", "100001", "match[]", "test_metric3"}, `[]`},
		{"labels", []string{"limit", "4"}, `["__name__","dup","foo","pod"]`},
		{"label/foo/values", nil, `["bar","boo"]`},
		{"label/__name__/values", nil, `["latency","requests_total","test_metric1","test_metric2","test_metric3","test_metric4"]`},
		{"label/__name__/values", []string{"start", "0", "end", "6000"}, `["latency","requests_total","test_metric1","test_metric2","test_metric3","test_metric4"]`},
		{"label/foo/values", []string{"match[]", "test_metric2"}, `["boo"]`},
		{"label/foo/values", []string{"match[]", "test_metric2", "match[]", "test_metric3"}, `["bar","boo"]`},
		{"label/foo/values", []string{"match[]", "requests_total"}, `[]`},
		{"label/U__po_64_/values", nil, `["a","b"]`}, // escaped: "pod"
		{"label/nothing/values", nil, `[]`},
		{"label/a%20b%2Fc/values", nil, `[]`},
	} {
		w := get(mux, tc.path, values(t, tc.params...))
		require.Equal(t, 200, w.Code, "%s %v: %s", tc.path, tc.params, w.Body)
		require.Equal(t, success(tc.want), w.Body.String(), "%s %v", tc.path, tc.params)
	}
	require.Equal(t, success(`["__name__","dup","foo"]`), post(mux, "labels", values(t, "match[]", "test_metric3")).Body.String())
}

func TestLabelsLimit(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	const warning = `,"warnings":["results truncated due to limit"]}`
	// Which ones are left is up to the storage.
	for _, path := range []string{"labels", "label/__name__/values"} {
		got := get(mux, path, values(t, "limit", "2")).Body.String()
		require.Regexp(t, `^{"status":"success","data":\["\w+","\w+"\]`+regexp.QuoteMeta(warning)+`$`, got)
	}
	require.Equal(t, success(`["bar","boo"]`), get(mux, "label/foo/values", values(t, "limit", "2")).Body.String())
	got := get(mux, "series", values(t, "match[]", `{foo="bar"}`, "limit", "1")).Body.String()
	require.True(t, strings.HasSuffix(got, warning), got)
	require.Equal(t, 1, strings.Count(got, "__name__"), got)
	require.NotContains(t, get(mux, "series", values(t, "match[]", `{foo="bar"}`, "limit", "3")).Body.String(), "truncated")
}

func TestSeries(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	for _, tc := range []struct {
		params []string
		want   string
	}{
		{[]string{"match[]", "test_metric2"}, `[{"__name__":"test_metric2","foo":"boo"}]`},
		{[]string{"match[]", `test_metric1{foo=~".+o"}`}, `[{"__name__":"test_metric1","foo":"boo"}]`},
		{[]string{"match[]", `test_metric1{foo=~".+o"}`, "match[]", `test_metric1{foo=~".+o"}`}, `[{"__name__":"test_metric1","foo":"boo"}]`},
		{[]string{"match[]", `test_metric1{foo=~".+o"}`, "match[]", "nothing"}, `[{"__name__":"test_metric1","foo":"boo"}]`},
		{[]string{"match[]", "test_metric2", "start", "-2", "end", "-1"}, `[]`},
		{[]string{"match[]", "test_metric2", "start", "100000", "end", "100001"}, `[]`},
		{[]string{"match[]", "test_metric2", "start", "1", "end", "100001"}, `[{"__name__":"test_metric2","foo":"boo"}]`},
	} {
		require.Equal(t, success(tc.want), get(mux, "series", values(t, tc.params...)).Body.String(), "%v", tc.params)
		require.Equal(t, success(tc.want), post(mux, "series", values(t, tc.params...)).Body.String(), "%v", tc.params)
	}
}

func TestLabelErrors(t *testing.T) {
	mux := newMux(Options{Backend: newBackend(t)})
	const noTime = `cannot parse "x" to a valid timestamp`
	for _, tc := range []struct {
		path   string
		params []string
		text   string
	}{
		{"series", nil, "no match[] parameter provided"},
		{"series", []string{"match[]", `{foo=""}`}, `invalid parameter "match[]": match[] must contain at least one non-empty matcher`},
		{"series", []string{"match[]", `{`}, `invalid parameter "match[]": 1:2: parse error: unexpected end of input inside braces`},
		{"series", []string{"match[]", "a", "start", "x"}, `invalid parameter "start": invalid time value for 'start': ` + noTime},
		{"series", []string{"match[]", "a", "end", "x"}, `invalid parameter "end": invalid time value for 'end': ` + noTime},
		{"series", []string{"match[]", "a", "limit", "-1"}, `invalid parameter "limit": limit must be non-negative`},
		{"labels", []string{"match[]", `{foo=""}`}, `match[] must contain at least one non-empty matcher`},
		{"labels", []string{"start", "x"}, `invalid parameter "start": invalid time value for 'start': ` + noTime},
		{"labels", []string{"limit", "x"}, `invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax`},
		{"label/%FF/values", nil, `invalid label name: "\xff"`},
		{"label/foo/values", []string{"match[]", `{foo=""}`}, `match[] must contain at least one non-empty matcher`},
		{"label/foo/values", []string{"end", "x"}, `invalid parameter "end": invalid time value for 'end': ` + noTime},
	} {
		w := get(mux, tc.path, values(t, tc.params...))
		require.Equal(t, 400, w.Code, "%s %v", tc.path, tc.params)
		require.Equal(t, failure(errorBadData, tc.text), w.Body.String(), "%s %v", tc.path, tc.params)
	}
}

// brokenStorage fails at some place.
type brokenStorage struct {
	open, read error
	closed     *int
}

func (s brokenStorage) Querier(int64, int64) (storage.Querier, error) {
	if s.open != nil {
		return nil, s.open
	}
	return brokenQuerier{s}, nil
}

type brokenQuerier struct{ brokenStorage }

func (q brokenQuerier) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return storage.ErrSeriesSet(q.read)
}

func (q brokenQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, q.read
}

func (q brokenQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, q.read
}

func (q brokenQuerier) Close() error {
	*q.closed++
	return nil
}

func TestBrokenStorage(t *testing.T) {
	for _, s := range []brokenStorage{{open: errors.New("cannot open")}, {read: errors.New("cannot read")}} {
		closed := 0
		s.closed = &closed
		mux := newMux(Options{Backend: &fakeBackend{storage: s}})
		for _, path := range []string{"series", "labels", "label/foo/values"} {
			for _, match := range [][]string{{"match[]", "a"}, {"match[]", "a", "match[]", "b"}} {
				w := get(mux, path, values(t, match...))
				require.Equal(t, 422, w.Code)
				require.Equal(t, failure(errorExec, errors.Join(s.open, s.read).Error()), w.Body.String())
			}
		}
		want := 6
		if s.open != nil {
			want = 0
		}
		require.Equal(t, want, closed)
	}
}

// manySeries is a set of so many series.
type manySeries struct{ left int }

func (s *manySeries) Next() bool {
	s.left--
	return s.left >= 0
}

func (s *manySeries) At() storage.Series {
	return &storage.SeriesEntry{Lset: labels.FromStrings("a", "b"), SampleIteratorFn: func(it chunkenc.Iterator) chunkenc.Iterator { return it }}
}
func (*manySeries) Err() error                        { return nil }
func (*manySeries) Warnings() annotations.Annotations { return nil }

// Nobody waits for series any more when the client is gone.
func TestSeriesCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	many := &manySeries{1000}
	got := listSeries(r, many, 0, nil)
	require.Nil(t, got.err)
	require.Len(t, got.data, 1000)
	cancel()
	many.left = 1000
	got = listSeries(r, many, 0, nil)
	require.Equal(t, errorCanceled, got.err.typ)
	require.Greater(t, many.left, 990)
}
