package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// store is an engine that gives samples.
type store struct {
	remote.RemoteEngine
	name   string
	series int
	begin  func(context.Context) error // before the first one
	err    error                       // behind the last one
}

func (s *store) Name() string                          { return s.name }
func (*store) Coverage() []remote.Coverage             { return nil }
func (*store) Labels() []string                        { return nil }
func (s *store) Capabilities() (c remote.Capabilities) { return c }

func (s *store) Querier(int64, int64) (storage.Querier, error) {
	return &storeQuerier{storage.NoopQuerier(), s}, nil
}

type storeQuerier struct {
	storage.Querier
	of *store
}

func (q *storeQuerier) Select(ctx context.Context, _ bool, _ *storage.SelectHints, _ ...*labels.Matcher) storage.SeriesSet {
	return &storeSet{SeriesSet: storage.EmptySeriesSet(), ctx: ctx, of: q.of}
}

type storeSet struct {
	storage.SeriesSet
	ctx context.Context
	of  *store
	n   int
	err error
}

func (s *storeSet) Next() bool {
	if s.n == 0 {
		if s.err = s.of.begin(s.ctx); s.err != nil {
			return false
		}
	}
	if s.n++; s.n <= s.of.series {
		return true
	}
	s.err = s.of.err
	return false
}

func (s *storeSet) At() storage.Series {
	return storage.NewListSeries(labels.FromStrings("n", fmt.Sprintf("%06d", s.n), "of", s.of.name), nil)
}
func (s *storeSet) Err() error { return s.err }

func samplesOf(t *testing.T, stores ...*store) storage.SeriesSet {
	t.Helper()
	all := sourceStorage{func() (out []remote.RemoteEngine) {
		for _, s := range stores {
			out = append(out, s)
		}
		return out
	}}
	q, err := all.Querier(0, 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchEqual, "a", "b"))
}

// No source waits to be asked until another one has answered.
func TestSourcesAreAskedAtOnce(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	meet := func(ctx context.Context) error {
		both.Done()
		met := make(chan struct{})
		go func() { both.Wait(); close(met) }()
		select {
		case <-met:
			return nil
		case <-time.After(10 * time.Second):
			both.Add(-1)
			return errors.New("the other one was not asked")
		}
	}
	set := samplesOf(t, &store{name: "a", series: 1000, begin: meet}, &store{name: "b", series: 10, begin: meet})
	n := 0
	for set.Next() {
		n++
	}
	require.NoError(t, set.Err())
	require.Equal(t, 1010, n)
}

func at(context.Context) error { return nil }

// Errors behind some series are those of the query.
func TestReadAheadFails(t *testing.T) {
	set := samplesOf(t, &store{name: "a", series: 500, begin: at, err: errors.New("broken")}, &store{name: "b", series: 5, begin: at})
	for set.Next() {
	}
	require.ErrorContains(t, set.Err(), "remote engine a: broken")
}

// Who stops reading leaves nothing behind: the goroutines end with the querier.
func TestReadAheadStops(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	set := samplesOf(t, &store{name: "a", series: 1 << 20, begin: at})
	require.True(t, set.Next())
	require.NoError(t, set.Err())
	_ = samplesOf(t, &store{name: "b", begin: hang})
}

// A query that ends before all was read is not one whose sources had no more, and a panic is one query's error.
func TestReadAheadIsCutShort(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var r readers
	set := startReading(ctx, &r, func(ctx context.Context) seriesSet[storage.Series] {
		return &storeSet{SeriesSet: storage.EmptySeriesSet(), ctx: ctx, of: &store{name: "a", series: 1 << 20, begin: at}}
	})
	require.True(t, set.Next())
	cancel()
	r.all.Wait()
	for set.Next() {
	}
	require.ErrorIs(t, set.Err(), context.Canceled)

	broken := samplesOf(t, &store{name: "a", series: 1, begin: func(context.Context) error { panic("a bug") }})
	require.False(t, broken.Next())
	require.ErrorContains(t, broken.Err(), "panic: a bug")
}
