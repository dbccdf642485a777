package replica

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// samples is a member that gives series named a, b, c and so on, each of one sample, with its own name as the value of a stored chunk, or goes wrong.
// The nth of them is given, or is not, as happens tells; n is 1 for the first, for lists of labels as well, and count+1 for the end.
type samples struct {
	*fake
	refuses error // of Querier
	count   int
	happens func(ctx context.Context, n int) error // nil: nothing
	signs   int                                    // of life, that come before the third series; 0: it gives none
	warns   error
	open    atomic.Int64
	stored  chunkenc.Chunk
}

var errBoom = errors.New("boom")

// newSamples is a member of five series.
func newSamples(name string, happens func(ctx context.Context, n int) error) *samples {
	c := chunkenc.NewXORChunk()
	a, err := c.Appender()
	if err != nil {
		panic(err)
	}
	a.Append(0, 1, 1)
	return &samples{fake: &fake{name: name}, count: 5, happens: happens, stored: c}
}

// at is what goes wrong at the nth series, or every list.
func at(n int, what func(context.Context) error) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		if i == n {
			return what(ctx)
		}
		return nil
	}
}

func booms(context.Context) error { return errBoom }

// takes is what takes a while, unless the context ends.
func takes(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func each(what func(context.Context) error) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error { return what(ctx) }
}

func (s *samples) querier() (*samplesQuerier, error) {
	if s.refuses != nil {
		return nil, s.refuses
	}
	s.open.Add(1)
	return &samplesQuerier{s}, nil
}

func (s *samples) Querier(int64, int64) (storage.Querier, error) { return s.querier() }

// chunked is samples that also gives stored chunks.
type chunked struct{ *samples }

func (c chunked) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) {
	q, err := c.querier()
	return chunkedQuerier{q}, err
}

type samplesQuerier struct{ *samples }

func (q *samplesQuerier) set(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers []*labels.Matcher) *memberSet {
	q.asked.Add(1)
	if !sorted {
		panic("members are asked for sorted series")
	}
	if hints != nil {
		hints.Func = q.name
	}
	slices.Reverse(matchers) // storages sort them in place
	return &memberSet{of: q.samples, ctx: ctx}
}

func (q *samplesQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return sampleSet{q.set(ctx, sorted, hints, matchers)}
}

type chunkedQuerier struct{ *samplesQuerier }

func (q chunkedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return chunkSet{q.set(ctx, sorted, hints, matchers)}
}

func (q *samplesQuerier) LabelValues(ctx context.Context, _ string, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return q.LabelNames(ctx, nil, matchers...)
}

func (q *samplesQuerier) LabelNames(ctx context.Context, _ *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	slices.Reverse(matchers)
	set := memberSet{of: q.samples, ctx: ctx}
	q.asked.Add(1)
	set.Next()
	return []string{q.name}, set.Warnings(), set.err
}

func (q *samplesQuerier) Close() error { q.open.Add(-1); return nil }

type memberSet struct {
	of  *samples
	ctx context.Context
	n   int
	err error

	sign func(remote.Sign)
}

func (s *memberSet) OnSign(sign func(remote.Sign)) bool {
	s.sign = sign
	return s.of.signs > 0
}

func (s *memberSet) Next() bool {
	s.n++
	if s.of.signs > 0 && s.n == 1 {
		s.sign(remote.Begun)
	}
	if s.n == 3 {
		for range s.of.signs {
			time.Sleep(remote.SignEvery)
			s.sign(remote.Alive)
		}
	}
	if s.of.happens != nil {
		s.of.running.Add(1)
		defer s.of.running.Add(-1)
		s.err = s.of.happens(s.ctx, s.n)
	}
	return s.err == nil && s.n <= s.of.count
}

func (s *memberSet) labels() labels.Labels { return labels.FromStrings("n", string(rune('a'+s.n-1))) }

func (s *memberSet) Err() error { return s.err }

func (s *memberSet) Warnings() annotations.Annotations {
	if s.of.warns == nil {
		return nil
	}
	return annotations.New().Add(s.of.warns)
}

type sampleSet struct{ *memberSet }

func (s sampleSet) At() storage.Series {
	return &storage.SeriesEntry{Lset: s.labels(), SampleIteratorFn: s.of.stored.Iterator}
}

type chunkSet struct{ *memberSet }

func (s chunkSet) At() storage.ChunkSeries {
	return &storage.ChunkSeriesEntry{Lset: s.labels(), ChunkIteratorFn: func(chunks.Iterator) chunks.Iterator {
		return storage.NewListChunkSeriesIterator(chunks.Meta{Chunk: s.of.stored})
	}}
}

func sampleGroup(opts Options, members ...remote.RemoteEngine) *Group {
	return New("group", members, opts)
}

// reader selects all from a group, and gives the names of series.
type reader func(context.Context, testing.TB, *Group) ([]string, annotations.Annotations, error)

var readers = map[string]reader{"samples": read, "chunks": readChunks}

func read(ctx context.Context, t testing.TB, g *Group) ([]string, annotations.Annotations, error) {
	t.Helper()
	q, err := g.Querier(0, 1000)
	require.NoError(t, err)
	defer closed(t, g, q)
	set := q.Select(ctx, false, &storage.SelectHints{End: 1000}, matchers()...)
	return readAll(t, set, func(s storage.Series) { require.Equal(t, chunkenc.ValFloat, s.Iterator(nil).Next()) })
}

func readChunks(ctx context.Context, t testing.TB, g *Group) ([]string, annotations.Annotations, error) {
	t.Helper()
	q, err := g.ChunkQuerier(0, 1000)
	require.NoError(t, err)
	defer closed(t, g, q)
	set := q.Select(ctx, false, &storage.SelectHints{End: 1000}, matchers()...)
	return readAll(t, set, func(s storage.ChunkSeries) { require.True(t, s.Iterator(nil).Next()) })
}

func matchers() []*labels.Matcher {
	return []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "a", "b"), labels.MustNewMatcher(labels.MatchEqual, "c", "d")}
}

func readAll[T labelled](t testing.TB, set seriesSet[T], check func(T)) (names []string, warnings annotations.Annotations, err error) {
	t.Helper()
	for set.Next() {
		check(set.At())
		names = append(names, set.At().Labels().Get("n"))
	}
	for range 2 {
		require.False(t, set.Next())
	}
	return names, set.Warnings(), set.Err()
}

// closed closes a querier, and checks that nothing is left.
func closed(t testing.TB, g *Group, q io.Closer) {
	t.Helper()
	require.NoError(t, q.Close())
	idle(t, g)
	for _, m := range g.members {
		if s, ok := m.engine.(interface{ opened() int64 }); ok {
			require.Zero(t, s.opened())
		}
	}
}

func (s *samples) opened() int64 { return s.open.Load() }

// five are the names of all series.
var five = []string{"a", "b", "c", "d", "e"}
