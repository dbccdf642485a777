package selection

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// source is a source whose data sets have the same series each, besides external labels, which win over others.
type source struct {
	remote.RemoteEngine
	announced []remote.Coverage
	since     []labels.Labels // data sets that it has got since it announced those
	series    []labels.Labels // of each data set
	asked     [][]*labels.Matcher
}

func newSource(sets ...labels.Labels) *source {
	s := &source{series: []labels.Labels{labels.FromStrings("__name__", "up", "job", "a"), labels.FromStrings("__name__", "up", "job", "b", "own", "x")}}
	for i, set := range sets {
		s.announced = append(s.announced, remote.Coverage{Labels: set, Intervals: remote.Intervals{{Start: int64(i), End: 100}}})
	}
	return s
}

func (s *source) Name() string     { return "store" }
func (s *source) Labels() []string { return []string{"all"} }
func (s *source) Coverage() []remote.Coverage {
	return []remote.Coverage{{Intervals: remote.Intervals{remote.Always}}}
}
func (s *source) Capabilities() remote.Capabilities { return remote.Capabilities{PlanVersion: 3} }
func (s *source) Announced() []remote.Coverage      { return s.announced }
func (s *source) NewInstantQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time) (promql.Query, error) {
	return nil, nil
}

func (s *source) Querier(int64, int64) (storage.Querier, error) { return sourceQuerier{s}, nil }
func (s *source) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) {
	return sourceChunks{sourceQuerier{s}}, nil
}

// all are the series of all data sets that keep keeps.
func (s *source) all(keep func(labels.Labels) bool, matchers ...*labels.Matcher) (out []labels.Labels) {
	has := slices.Clone(s.since)
	for _, a := range s.announced {
		has = append(has, a.Labels)
	}
	for _, external := range has {
		if !keep(external) {
			continue
		}
		for _, l := range s.series {
			b := labels.NewBuilder(l)
			external.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
			if l = b.Labels(); !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(l.Get(m.Name)) }) {
				out = append(out, l)
			}
		}
	}
	slices.SortFunc(out, labels.Compare)
	return out
}

func everything(labels.Labels) bool { return true }

// announces tells whether a data set was there when it was last announced what is.
func (s *source) announces(external labels.Labels) bool {
	return slices.ContainsFunc(s.announced, func(a remote.Coverage) bool { return labels.Equal(a.Labels, external) })
}

type sourceQuerier struct{ *source }

func (q sourceQuerier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	q.asked = append(q.asked, matchers)
	return &set{rest: q.all(everything, matchers...)}
}

func (q sourceQuerier) LabelNames(_ context.Context, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return namesOf(q.all(everything, matchers...)), nil, nil
}

func (q sourceQuerier) LabelValues(_ context.Context, name string, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return valuesOf(q.all(everything, matchers...), name), nil, nil
}
func (sourceQuerier) Close() error { return nil }

type sourceChunks struct{ sourceQuerier }

func (q sourceChunks) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return storage.NewSeriesSetToChunkSet(q.sourceQuerier.Select(ctx, sorted, hints, matchers...))
}

func namesOf(all []labels.Labels) []string {
	found := map[string]bool{}
	for _, l := range all {
		l.Range(func(l labels.Label) { found[l.Name] = true })
	}
	return slices.Sorted(maps.Keys(found))
}

func valuesOf(all []labels.Labels, name string) []string {
	found := map[string]bool{}
	for _, l := range all {
		if l.Has(name) {
			found[l.Get(name)] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

type set struct{ at, rest []labels.Labels }

func (s *set) Next() bool {
	if len(s.rest) == 0 {
		return false
	}
	s.at, s.rest = s.rest[:1], s.rest[1:]
	return true
}

func (s *set) At() storage.Series {
	return &storage.SeriesEntry{Lset: s.at[0], SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator { return chunkenc.NewNopIterator() }}
}
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

// selector has the rules of a text.
func selector(t testing.TB, rules string) *Selector {
	t.Helper()
	s, err := New(rules, "", nil)
	require.NoError(t, err)
	return s
}

func labelsOf[S interface{ Labels() labels.Labels }](t *testing.T, set seriesSet[S]) (out []labels.Labels) {
	t.Helper()
	for set.Next() {
		out = append(out, set.At().Labels())
	}
	require.NoError(t, set.Err())
	return out
}

// requireExact reads what rules select of a source in all ways, and compares with the data sets that are announced and kept.
func requireExact(t *testing.T, s *source, sel *Selector, matchers ...*labels.Matcher) {
	t.Helper()
	want := s.all(func(l labels.Labels) bool { return sel.Rules().Keeps(l) && (sel.Rules().none() || s.announces(l)) }, matchers...)
	e := Of(s, nil, sel)
	q, err := e.Querier(0, 100)
	require.NoError(t, err)
	require.Equal(t, want, labelsOf[storage.Series](t, q.Select(t.Context(), true, nil, matchers...)))
	cq, err := e.ChunkQuerier(0, 100)
	require.NoError(t, err)
	require.Equal(t, want, labelsOf[storage.ChunkSeries](t, cq.Select(t.Context(), true, nil, matchers...)))
	for _, asked := range []storage.LabelQuerier{q, cq} {
		names, _, err := asked.LabelNames(t.Context(), nil, matchers...)
		require.NoError(t, err)
		require.ElementsMatch(t, namesOf(want), names)
		for _, name := range append(namesOf(s.all(everything)), "nothing") {
			values, _, err := asked.LabelValues(t.Context(), name, nil, matchers...)
			require.NoError(t, err)
			require.ElementsMatch(t, valuesOf(want, name), values, name)
		}
	}
}
