package replica

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// samples is a member that gives series, of itself and one other, or goes wrong.
type samples struct {
	*fake
	refuses error // of Querier
	fails   error // of reads
	breaks  error // behind the first series
	takes   time.Duration
	open    int
	reads   int
}

func (s *samples) Querier(int64, int64) (storage.Querier, error) {
	if s.refuses != nil {
		return nil, s.refuses
	}
	s.open++
	return &samplesQuerier{s}, nil
}

type samplesQuerier struct{ *samples }

func (q *samplesQuerier) Select(ctx context.Context, _ bool, _ *storage.SelectHints, _ ...*labels.Matcher) storage.SeriesSet {
	q.reads++
	if q.partly != nil && !remote.RequestFrom(ctx).PartialResponse {
		return storage.ErrSeriesSet(q.partly)
	}
	if q.fails != nil {
		return storage.ErrSeriesSet(q.fails)
	}
	return &samplesSet{of: q.samples, ctx: ctx}
}

func (q *samplesQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	q.reads++
	return []string{q.name}, nil, q.fails
}

func (q *samplesQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	q.reads++
	return []string{q.name}, nil, q.fails
}

func (q *samplesQuerier) Close() error { q.open--; return nil }

type samplesSet struct {
	of  *samples
	ctx context.Context
	n   int
}

func (s *samplesSet) Next() bool {
	s.n++
	if s.n == 1 && s.of.takes > 0 {
		select {
		case <-time.After(s.of.takes):
		case <-s.ctx.Done():
			return false
		}
	}
	return s.n == 1 || s.n == 2 && s.of.breaks == nil
}

func (s *samplesSet) At() storage.Series {
	return storage.NewListSeries(labels.FromStrings("from", s.of.name, "n", string(rune('0'+s.n))), nil)
}

func (s *samplesSet) Err() error {
	if s.n == 1 && s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	if s.n > 1 {
		return s.of.breaks
	}
	return nil
}

func (s *samplesSet) Warnings() annotations.Annotations { return nil }

func sampleGroup(members ...*samples) *Group {
	var engines []remote.RemoteEngine
	for _, m := range members {
		engines = append(engines, m)
	}
	return New("group", engines, Options{Failures: math.MaxInt})
}

// read selects all from a group.
func read(ctx context.Context, t *testing.T, g *Group) (from []string, warnings annotations.Annotations, err error) {
	t.Helper()
	q, err := g.Querier(0, 1000)
	require.NoError(t, err)
	set := q.Select(ctx, false, nil)
	for set.Next() {
		from = append(from, set.At().Labels().Get("from")+set.At().Labels().Get("n"))
	}
	require.False(t, set.Next())
	require.NoError(t, q.Close())
	for _, m := range g.members {
		require.Zero(t, m.inFlight)
		if s, ok := m.engine.(*samples); ok {
			require.Zero(t, s.open)
		}
	}
	return from, set.Warnings(), set.Err()
}

// A member that refuses, or fails before its first series, is replaced by another one.
func TestSamplesFailOver(t *testing.T) {
	boom := errors.New("boom")
	for name, bad := range map[string]samples{"refuses": {refuses: boom}, "fails": {fails: boom}} {
		t.Run(name, func(t *testing.T) {
			for range 10 {
				bad, good := bad, &samples{fake: &fake{name: "good"}}
				bad.fake = &fake{name: "bad"}
				g := sampleGroup(&bad, good)
				from, _, err := read(t.Context(), t, g)
				require.NoError(t, err)
				require.Equal(t, []string{"good1", "good2"}, from)

				q, err := g.Querier(0, 1000)
				require.NoError(t, err)
				names, _, err := q.LabelNames(t.Context(), nil)
				require.NoError(t, err)
				require.Equal(t, []string{"good"}, names)
				values, _, err := q.LabelValues(t.Context(), "a", nil)
				require.NoError(t, err)
				require.Equal(t, []string{"good"}, values)
				require.NoError(t, q.Close())
			}
		})
	}
}

// Behind the first series it is too late for another member.
func TestSamplesBreakOff(t *testing.T) {
	a := &samples{fake: &fake{name: "a"}, breaks: errors.New("boom")}
	g := sampleGroup(a, &samples{fake: &fake{name: "b"}, breaks: errors.New("boom")})
	from, _, err := read(t.Context(), t, g)
	require.EqualError(t, err, "boom")
	require.Len(t, from, 1)
	require.Equal(t, 1, g.members[0].failures+g.members[1].failures)
}

// A group of which no member gives samples fails when it is read from, not before.
func TestNoSamples(t *testing.T) {
	g := newGroup(Options{}, &fake{name: "a"})
	_, _, err := read(t.Context(), t, g)
	require.EqualError(t, err, "no member of replica group group answered: remote engine a: it does not give samples")
}

// Errors of the query, and its end, are no fault of a member.
func TestSamplesQueryErrors(t *testing.T) {
	a := &samples{fake: &fake{name: "a"}, fails: &remote.QueryError{Err: errors.New("no such thing")}}
	b := &samples{fake: &fake{name: "b"}, fails: a.fails}
	_, _, err := read(t.Context(), t, sampleGroup(a, b))
	require.EqualError(t, err, "no such thing")
	require.Equal(t, 1, a.reads+b.reads)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.fails, b.fails = context.Canceled, context.Canceled
	g := sampleGroup(a, b)
	_, _, err = read(ctx, t, g)
	require.Equal(t, context.Canceled, err)
	require.Equal(t, 2, a.reads+b.reads)
	require.Zero(t, g.members[0].failures+g.members[1].failures)
}

// Samples come from a member that has them all or, where that is allowed, with a warning.
func TestSamplesOfMembersThatLackSome(t *testing.T) {
	whole := &samples{fake: &fake{name: "whole"}}
	late := &samples{fake: &fake{name: "late", coverage: covers(remote.Interval{Start: 500, End: remote.Always.End})}}
	g := sampleGroup(late, whole)
	for range 10 {
		from, warnings, err := read(t.Context(), t, g)
		require.NoError(t, err)
		require.Empty(t, warnings)
		require.Equal(t, []string{"whole1", "whole2"}, from)
	}
	whole.fails = errors.New("boom")
	_, _, err := read(t.Context(), t, g)
	require.ErrorContains(t, err, "remote engine whole: boom; remote engine late: it lacks data from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.499Z")
	from, warnings, err := read(remote.WithRequest(t.Context(), remote.Request{PartialResponse: true}), t, g)
	require.NoError(t, err)
	require.Equal(t, []string{"late1", "late2"}, from)
	require.Len(t, warnings, 1)
	for _, err := range warnings {
		require.ErrorContains(t, err, "remote engine late answered for replica group group")
	}
}

// A member may leave out sources of its own only when no other one is left that may have all.
func TestWholeSamplesComeFirst(t *testing.T) {
	partial := remote.WithRequest(t.Context(), remote.Request{PartialResponse: true})
	a, b := &samples{fake: &fake{name: "a", partly: errors.New("a store is lost")}}, &samples{fake: &fake{name: "b"}}
	g := sampleGroup(a, b)
	for range 20 {
		from, _, err := read(partial, t, g)
		require.NoError(t, err)
		require.Equal(t, []string{"b1", "b2"}, from)
	}
	b.partly = errors.New("another one is lost")
	_, _, err := read(t.Context(), t, g)
	require.ErrorContains(t, err, "is lost; ")
	a.reads, b.reads = 0, 0
	from, _, err := read(partial, t, g)
	require.NoError(t, err)
	require.Len(t, from, 2)
	require.Equal(t, 2, a.reads+b.reads)
}

// A member that is late is helped out by another one, and a slow one costs nobody anything in the end.
func TestSamplesOfSlowMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast, slow := &samples{fake: &fake{name: "fast"}, takes: 100 * time.Millisecond}, &samples{fake: &fake{name: "slow"}, takes: time.Hour}
		g := sampleGroup(slow, fast)
		var late int
		for i := range 200 {
			began := time.Now()
			from, _, err := read(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, []string{"fast1", "fast2"}, from)
			if i >= 20 && time.Since(began) > 130*time.Millisecond {
				late++
			}
		}
		require.LessOrEqual(t, late, 1)
		require.Positive(t, slow.reads)
	})
}

// Who closes what he reads leaves nothing behind, whatever is under way.
func TestSamplesAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &samples{fake: &fake{name: "a"}, takes: time.Hour}, &samples{fake: &fake{name: "b"}, takes: time.Hour}
		g := sampleGroup(a, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, _, err := read(ctx, t, g)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 2, a.reads+b.reads)
		require.Zero(t, a.open+b.open)
	})
}
