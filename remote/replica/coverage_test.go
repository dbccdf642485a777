package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// needing is a query that says what it needs.
type needing struct {
	remote.Text
	times remote.Intervals
}

func (n *needing) Needs() remote.Intervals { return n.times }

func between(start, end int64) *needing {
	return &needing{remote.Text{Query: "up"}, remote.Intervals{{Start: start, End: end}}}
}

// A member that lacks data of the times that are needed is not picked, and no answer hides what another member has.
func TestCoverageOfMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := &fake{name: "whole", coverage: covers(remote.Interval{Start: 0, End: 5000}), delay: after(time.Second)}
		gap := &fake{name: "gap", coverage: covers(remote.Interval{Start: 0, End: 400}, remote.Interval{Start: 600, End: 9000})}
		g := newGroup(Options{}, gap, whole)
		require.Equal(t, remote.Intervals{{Start: 0, End: 9000}}, g.Coverage()[0].Intervals)
		for range 10 {
			who, err := ask(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, "whole", who)
		}
		require.Zero(t, gap.asked.Load())
		for range 10 { // the query ends at 1000, but looks at what is later
			who, err := askFor(t.Context(), t, g, between(4000, 7000))
			require.NoError(t, err)
			require.Equal(t, "gap", who)
		}
		short := &fake{name: "short", coverage: covers(remote.Interval{Start: 300, End: 9000})}
		_, err := ask(t.Context(), t, newGroup(Options{}, gap, short))
		require.EqualError(t, err, "no member of replica group group answered: "+
			"remote engine gap: it lacks data from 1970-01-01T00:00:00.401Z to 1970-01-01T00:00:00.599Z; "+
			"remote engine short: it lacks data from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.299Z")
		require.Zero(t, short.asked.Load())
	})
}

// What members lack of other times leaves them what they are: either can answer.
func TestOtherTimesDoNotMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			bad := &fake{name: "bad", coverage: covers(remote.Interval{Start: 0, End: 5000}), err: func() error { return errors.New("boom") }}
			good := &fake{name: "good", coverage: covers(remote.Interval{Start: 2000, End: 9000})}
			who, err := askFor(t.Context(), t, newGroup(Options{}, bad, good), between(3000, 4000))
			require.NoError(t, err)
			require.Equal(t, "good", who)
		}
	})
}

// Live members differ by what they have not announced yet: each is as good as the others.
func TestLiveEdge(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, last time.Duration // ago
		live        bool
	}{
		{"seconds apart", 10 * time.Second, 2 * time.Second, true},
		{"one says that it is live", 15 * time.Second, math.MinInt64, true},
		{"one has ended", 10 * time.Minute, 2 * time.Second, false},
		{"both have ended", 10 * time.Minute, 590 * time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ends := func(ago time.Duration) []remote.Coverage {
					if ago < 0 {
						return covers(remote.Interval{Start: 0, End: remote.Always.End})
					}
					return covers(remote.Interval{Start: 0, End: time.Now().Add(-ago).UnixMilli()})
				}
				first, last := &fake{name: "first", coverage: ends(c.first)}, &fake{name: "last", coverage: ends(c.last)}
				g := newGroup(Options{}, first, last)
				for range 50 {
					_, err := askFor(t.Context(), t, g, between(0, time.Now().UnixMilli()))
					require.NoError(t, err)
				}
				require.Positive(t, last.asked.Load())
				require.Equal(t, c.live, first.asked.Load() > 0)
			})
		})
	}
}

// A live member that others are well ahead of answers only when these have failed, and says so; it is as good as any for times that it holds.
func TestBehindLiveMembers(t *testing.T) {
	for _, strategy := range []Strategy{Hedge, Race} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour)
			now := time.Now().UnixMilli()
			ends := func(ago time.Duration) []remote.Coverage {
				return covers(remote.Interval{Start: 0, End: now - ago.Milliseconds()})
			}
			stale := &fake{name: "stale", coverage: ends(110 * time.Second)}
			fresh := &fake{name: "fresh", coverage: ends(time.Second), delay: after(time.Second)}
			g := newGroup(Options{Strategy: strategy, Failures: 1 << 30}, stale, fresh)
			for range 5 {
				who, err := askFor(t.Context(), t, g, between(now-60_000, now))
				require.NoError(t, err)
				require.Equal(t, "fresh", who)
			}
			require.Zero(t, stale.asked.Load())

			fresh.err = func() error { return errors.New("boom") }
			q, err := g.NewInstantQuery(t.Context(), nil, between(now-60_000, now), time.UnixMilli(now))
			require.NoError(t, err)
			s, err := q.(remote.Streamer).Stream(t.Context())
			require.NoError(t, err)
			for err == nil {
				_, err = s.Next(t.Context())
			}
			require.Equal(t, io.EOF, err)
			require.Len(t, s.Trailer().Annotations, 1)
			for _, err := range s.Trailer().Annotations {
				require.ErrorContains(t, err, "remote engine stale answered for replica group group, of which results may be missing: its data may end before what was asked for")
			}
			require.NoError(t, s.Close())

			who, err := askFor(t.Context(), t, g, between(0, now-300_000))
			require.NoError(t, err)
			require.Equal(t, "stale", who)
			stale.coverage, fresh.coverage = ends(110*time.Second), covers(remote.Interval{Start: 0, End: remote.Always.End})
			fresh.err = nil
			who, err = askFor(t.Context(), t, g, between(now-60_000, now))
			require.NoError(t, err)
			require.Equal(t, "fresh", who, "its end is not known, but after the other one's")

			// Where each has what another one lacks, each is as good as the others.
			a, b := labels.FromStrings("cluster", "a"), labels.FromStrings("cluster", "b")
			old, young := ends(110 * time.Second)[0].Intervals, ends(time.Second)[0].Intervals
			stale.coverage = []remote.Coverage{{Labels: a, Intervals: old}, {Labels: b, Intervals: young}}
			fresh.coverage = []remote.Coverage{{Labels: a, Intervals: young}, {Labels: b, Intervals: old}}
			who, err = askFor(t.Context(), t, g, between(now-60_000, now))
			require.NoError(t, err)
			require.NotEmpty(t, who)
			idle(t, g)
		})
	}
}

// Who lacks data answers when nobody else does, the one that lacks least first, where the query allows that, and never without a warning.
func TestLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		partial := remote.WithRequest(t.Context(), remote.Request{PartialResponse: true})
		boom := func() error { return errors.New("boom") }
		whole := &fake{name: "whole", coverage: covers(remote.Interval{Start: 0, End: 9000}), err: boom, delay: after(time.Minute)}
		much := &fake{name: "much", coverage: covers(remote.Interval{Start: 500, End: 9000})}
		little := &fake{name: "little", coverage: covers(remote.Interval{Start: 100, End: 9000})}
		g := newGroup(Options{Strategy: Race}, much, whole, little)
		annotated := func(ctx context.Context) (annotations.Annotations, error) {
			q, err := g.NewRangeQuery(ctx, nil, between(0, 1000), time.UnixMilli(0), time.UnixMilli(1000), time.Second)
			require.NoError(t, err)
			s, err := q.(remote.Streamer).Stream(ctx)
			require.NoError(t, err)
			defer s.Close()
			for err == nil {
				_, err = s.Next(ctx)
			}
			return s.Trailer().Annotations, err
		}
		_, err := annotated(t.Context())
		require.EqualError(t, err, "no member of replica group group answered: remote engine whole: boom; "+
			"remote engine little: it lacks data from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.099Z; "+
			"remote engine much: it lacks data from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.499Z")
		require.Zero(t, much.asked.Load()+little.asked.Load())

		const warning = "PromQL warning: remote engine little answered for replica group group, of which results may be missing: " +
			"it lacks data from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.099Z, but others failed: remote engine whole: boom"
		a, err := annotated(partial)
		require.ErrorContains(t, err, "EOF")
		require.Len(t, a, 1)
		for _, err := range a {
			require.EqualError(t, err, warning)
			require.ErrorIs(t, err, annotations.PromQLWarning)
		}
		require.Zero(t, much.asked.Load())
		whole.err = nil
		a, err = annotated(partial)
		require.ErrorContains(t, err, "EOF")
		require.Empty(t, a)
		require.EqualValues(t, 1, little.asked.Load())
	})
}

// A member that lacks one label set of several lacks data.
func TestLacksLabelSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := append(covers(remote.Always), remote.Coverage{Labels: labels.FromStrings("cluster", "b"), Intervals: remote.Intervals{remote.Always}})
		one, two := &fake{name: "one", coverage: both[:1]}, &fake{name: "two", coverage: both, delay: after(time.Second)}
		g := newGroup(Options{}, one, two)
		for range 10 {
			who, err := ask(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, "two", who)
		}
	})
}

// What is announced stays the same slice until a member announces something else: who plans queries knows it by that.
func TestCoverageIsKept(t *testing.T) {
	a := &fake{name: "a", coverage: covers(remote.Interval{Start: 0, End: 10})}
	b := &fake{name: "b", coverage: covers(remote.Interval{Start: 5, End: 20})}
	g := newGroup(Options{}, a, b)
	before := g.Coverage()
	require.Same(t, &before[0], &g.Coverage()[0])
	require.Equal(t, covers(remote.Interval{Start: 0, End: 20}), before)
	b.coverage = covers(remote.Interval{Start: 5, End: 30})
	require.Equal(t, covers(remote.Interval{Start: 0, End: 30}), g.Coverage())
	a.coverage = covers(remote.Interval{Start: 0, End: 10})
	a.coverage[0].Grows = true
	require.True(t, g.Coverage()[0].Grows, "what one has may grow")
	require.Equal(t, covers(remote.Interval{Start: 0, End: 20}), before)
}

// What a group has and what each member lacks, for lists in any order, is what comes out label set by label set.
func TestHoldings(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	now := time.UnixMilli(0).Add(liveEdge + time.Hour) // nothing is live
	for range 2000 {
		of := make([][]remote.Coverage, 1+rnd.IntN(3))
		for m := range of {
			for range rnd.IntN(6) {
				var some []remote.Interval
				for range rnd.IntN(3) {
					start := int64(rnd.IntN(30))
					some = append(some, remote.Interval{Start: start, End: start + int64(rnd.IntN(10))})
				}
				of[m] = append(of[m], remote.Coverage{Labels: labels.FromStrings("set", fmt.Sprint(rnd.IntN(4))), Intervals: remote.Union(some...)})
			}
		}
		h := newHoldings(of)
		start := int64(rnd.IntN(40))
		needs := remote.Union(remote.Interval{Start: start, End: start + int64(rnd.IntN(10))}, remote.Interval{Start: 2, End: 4})
		sets := map[string]bool{}
		for _, c := range h.all {
			require.False(t, sets[c.Labels.String()])
			sets[c.Labels.String()] = true
		}
		for m := range of {
			var lacks []remote.Interval
			for at := int64(0); at < 60; at++ {
				for set := range sets {
					has := func(of []remote.Coverage) bool {
						for _, c := range of {
							if c.Labels.String() == set && c.Intervals.Contains(remote.Interval{Start: at, End: at}) {
								return true
							}
						}
						return false
					}
					any := false
					for _, o := range of {
						any = any || has(o)
					}
					require.Equal(t, any, has(h.all))
					if any && !has(of[m]) && needs.Contains(remote.Interval{Start: at, End: at}) {
						lacks = append(lacks, remote.Interval{Start: at, End: at})
					}
				}
			}
			require.ElementsMatch(t, remote.Union(lacks...), h.lacks[m].of(needs, now))
		}
	}
}
