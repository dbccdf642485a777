package replica

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// of each kind of reading, in a bubble of time.
func ofEach(t *testing.T, run func(t *testing.T, read reader)) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { run(t, read) }) })
	}
}

// labelsOf asks a group for label names and values, and gives who answered.
func labelsOf(ctx context.Context, t testing.TB, g *Group) []string {
	t.Helper()
	q, err := g.Querier(0, 1000)
	require.NoError(t, err)
	defer closed(t, g, q)
	names, _, err := q.LabelNames(ctx, nil, matchers()...)
	require.NoError(t, err)
	values, _, err := q.LabelValues(ctx, "a", nil, matchers()...)
	require.NoError(t, err)
	return append(names, values...)
}

// Another member is asked when the first is late, within the budget, or as if there were none when it hangs.
func TestSamplesHedge(t *testing.T) {
	ofEach(t, func(t *testing.T, read reader) {
		m := NewMetrics(prometheus.NewPedanticRegistry())
		paused, well := newSamples("paused", each(takes(time.Hour))), newSamples("well", at(1, takes(10*time.Millisecond)))
		g := sampleGroup(Options{Metrics: m}, chunked{paused}, chunked{well})
		for range 50 {
			began := time.Now()
			names, warnings, err := read(t.Context(), t, g)
			require.NoError(t, err)
			require.Empty(t, warnings)
			require.Equal(t, five, names)
			require.LessOrEqual(t, time.Since(began), 60*time.Millisecond)
			began = time.Now()
			require.Equal(t, []string{"well", "well"}, labelsOf(t.Context(), t, g))
			require.LessOrEqual(t, time.Since(began), 120*time.Millisecond)
		}
		asked := paused.asked.Load()
		require.Positive(t, asked)
		require.LessOrEqual(t, asked, int64(25), "all but the budget went to who answers")
		require.EqualValues(t, asked, testutil.ToFloat64(m.won.WithLabelValues("well")))

		g = sampleGroup(Options{Budget: 1e-9}, chunked{paused}, chunked{well})
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				began := time.Now()
				q, err := g.Querier(0, 1000)
				require.NoError(t, err)
				defer q.Close()
				names, _, err := readAll(t, q.Select(t.Context(), false, nil), func(storage.Series) {})
				require.NoError(t, err)
				require.Equal(t, five, names)
				require.LessOrEqual(t, time.Since(began), 6*time.Second)
			})
		}
		wg.Wait()
		require.Greater(t, paused.asked.Load()-asked, int64(10), "more than the budget's")
		require.True(t, g.members[0].ejected(time.Now()))
	})
}

// A slow member costs nobody anything in the end.
func TestSamplesOfSlowMembers(t *testing.T) {
	ofEach(t, func(t *testing.T, read reader) {
		fast, slow := newSamples("fast", at(1, takes(100*time.Millisecond))), newSamples("slow", at(1, takes(time.Hour)))
		g := sampleGroup(Options{}, chunked{slow}, chunked{fast})
		var late int
		for i := range 200 {
			began := time.Now()
			names, _, err := read(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, five, names)
			if i >= 20 && time.Since(began) > 130*time.Millisecond {
				late++
			}
		}
		require.LessOrEqual(t, late, 1)
		require.Positive(t, slow.asked.Load())
	})
}

// With Race two members are asked at once. The first that gives a series goes on, and the other one is cancelled.
func TestSamplesRace(t *testing.T) {
	ofEach(t, func(t *testing.T, read reader) {
		slow, fast := newSamples("slow", each(takes(time.Hour))), newSamples("fast", at(1, takes(time.Millisecond)))
		g := sampleGroup(Options{Strategy: Race}, chunked{slow}, chunked{fast})
		for range 10 {
			began := time.Now()
			names, _, err := read(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, five, names)
			require.Equal(t, []string{"fast", "fast"}, labelsOf(t.Context(), t, g))
			require.Equal(t, 3*time.Millisecond, time.Since(began))
		}
		require.EqualValues(t, 30, slow.asked.Load())
		require.EqualValues(t, 30, fast.asked.Load())
	})
}

// A member that refuses, or fails, is replaced by another one, which goes on behind the last series that was given: none is lost or comes twice.
func TestSamplesFailOver(t *testing.T) {
	for n := range 7 {
		for name, what := range map[string]func(context.Context) error{
			"fails":                     booms,
			"panics":                    func(context.Context) error { panic("boom") },
			"says that this is the end": func(context.Context) error { return io.EOF },
		} {
			t.Run(fmt.Sprintf("%s at series %d", name, n), func(t *testing.T) {
				ofEach(t, func(t *testing.T, read reader) {
					m := NewMetrics(prometheus.NewPedanticRegistry())
					bad, good := newSamples("bad", at(n, what)), newSamples("good", nil)
					if n == 0 {
						bad.refuses = errBoom
					}
					g := sampleGroup(Options{Failures: math.MaxInt, Metrics: m}, chunked{bad}, good)
					for range 10 {
						g.members[1].outrun(time.Minute, 0)
						names, _, err := read(t.Context(), t, g)
						require.NoError(t, err)
						require.Equal(t, five, names)
					}
					if n < 2 {
						require.Equal(t, []string{"good", "good"}, labelsOf(t.Context(), t, g))
					}
					require.GreaterOrEqual(t, g.members[0].failures, 10)
					require.Zero(t, g.members[1].failures)
					require.EqualValues(t, g.members[0].failures, testutil.ToFloat64(m.failovers.WithLabelValues("bad")))
				})
			})
		}
	}
}

// Where all members fail, the error names each, and what was given before stands.
func TestSamplesBreakOff(t *testing.T) {
	ofEach(t, func(t *testing.T, read reader) {
		a, b := newSamples("a", at(3, booms)), newSamples("b", at(4, booms))
		g := sampleGroup(Options{}, chunked{a}, chunked{b})
		for range 10 {
			names, _, err := read(t.Context(), t, g)
			require.ErrorContains(t, err, "no member of replica group group answered: ")
			require.ErrorContains(t, err, "remote engine a: boom")
			require.ErrorContains(t, err, "remote engine b: boom")
			require.Contains(t, []int{2, 3}, len(names))
			require.Equal(t, five[:len(names)], names)
		}
	})
}

// A member that begins to give series and then fails is left out in time, like one that does not begin.
func TestHalfDeadMembersOfSamplesAreEjected(t *testing.T) {
	ofEach(t, func(t *testing.T, read reader) {
		bad, good := newSamples("bad", at(2, booms)), newSamples("good", at(1, takes(20*time.Millisecond)))
		g := sampleGroup(Options{}, chunked{bad}, chunked{good})
		for range 100 {
			names, _, err := read(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, five, names)
		}
		require.EqualValues(t, 3, bad.asked.Load())
	})
}

// A member that hangs in the middle is passed over: another one goes on, and the first one is cancelled.
func TestSamplesHangInTheMiddle(t *testing.T) {
	for n := 2; n <= 6; n++ {
		ofEach(t, func(t *testing.T, read reader) {
			m := NewMetrics(prometheus.NewPedanticRegistry())
			bad, good := newSamples("bad", at(n, takes(time.Hour))), newSamples("good", each(takes(time.Millisecond)))
			g := sampleGroup(Options{Strategy: Race, Metrics: m, Budget: 1e-9}, chunked{bad}, chunked{good})
			began := time.Now()
			names, _, err := read(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, five, names)
			require.Greater(t, time.Since(began), 5*time.Second)
			require.Less(t, time.Since(began), 5100*time.Millisecond)
			require.EqualValues(t, 1, bad.asked.Load())
			require.EqualValues(t, 2, good.asked.Load())
			require.Equal(t, 1, g.members[0].failures)
			require.True(t, slower(g.members[0].usual(), g.members[1].usual()), "the other one is preferred now")
			require.EqualValues(t, 1, testutil.ToFloat64(m.won.WithLabelValues("good")))
			require.Zero(t, testutil.ToFloat64(m.lost.WithLabelValues("bad")), "it was waited for, not asked second")
		})
	}
}

// A member that hangs and comes back goes on, if the other one has nothing yet; and so it does where the other one fails.
func TestSamplesComeBack(t *testing.T) {
	for name, c := range map[string]struct {
		other    func(context.Context, int) error
		failures int
	}{
		"the other one is slower": {at(1, takes(20*time.Second)), 0},
		"the other one fails":     {at(1, booms), 1},
		"the other one breaks":    {at(4, booms), 1},
	} {
		t.Run(name, func(t *testing.T) {
			ofEach(t, func(t *testing.T, read reader) {
				slow, other := newSamples("slow", at(4, takes(15*time.Second))), newSamples("other", c.other)
				g := sampleGroup(Options{Failures: math.MaxInt}, chunked{slow}, chunked{other})
				g.members[1].outrun(time.Minute, 0)
				began := time.Now()
				names, _, err := read(t.Context(), t, g)
				require.NoError(t, err)
				require.Equal(t, five, names)
				require.Equal(t, 15*time.Second, time.Since(began))
				require.EqualValues(t, 1, slow.asked.Load())
				require.EqualValues(t, 1, other.asked.Load())
				require.Zero(t, g.members[0].failures)
				require.Equal(t, c.failures, g.members[1].failures)
			})
		})
	}
}

// Members that are all slower than one that hangs give all in the end, and so does one beside which others lack data.
func TestSlowSamples(t *testing.T) {
	ofEach(t, func(t *testing.T, read reader) {
		partial := remote.WithRequest(t.Context(), remote.Request{PartialResponse: true})
		slow := func(d time.Duration) func(context.Context, int) error {
			return func(ctx context.Context, n int) error { return takes(d * time.Duration(n-1))(ctx) }
		}
		a, b, lacks := newSamples("a", slow(20*time.Second)), newSamples("b", slow(30*time.Second)), newSamples("lacks", nil)
		lacks.coverage = covers(remote.Interval{Start: 500, End: remote.Always.End})
		for _, g := range []*Group{sampleGroup(Options{}, chunked{a}, chunked{b}), sampleGroup(Options{}, chunked{a}), sampleGroup(Options{}, chunked{a}, chunked{lacks})} {
			names, warnings, err := read(partial, t, g)
			require.NoError(t, err)
			require.Empty(t, warnings)
			require.Equal(t, five, names)
		}
	})
}

// The time that whoever reads takes is nobody's fault, nor does it count where a member hangs later.
func TestSlowReaderOfSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newSamples("a", nil), newSamples("b", nil)
		g := sampleGroup(Options{}, a, b)
		read := func() {
			q, err := g.Querier(0, 1000)
			require.NoError(t, err)
			defer closed(t, g, q)
			names, _, err := readAll(t, q.Select(t.Context(), false, nil), func(storage.Series) { time.Sleep(time.Minute) })
			require.NoError(t, err)
			require.Equal(t, five, names)
		}
		read()
		require.EqualValues(t, 1, a.asked.Load()+b.asked.Load())
		a.happens = at(4, takes(time.Hour))
		g.members[1].outrun(time.Minute, 0)
		read()
		require.Equal(t, 5., g.members[0].usual())
	})
}

// Chunks of members that have them come as they are stored.
func TestStoredChunks(t *testing.T) {
	stored := newSamples("a", nil)
	g := sampleGroup(Options{}, chunked{stored})
	q, err := g.ChunkQuerier(0, 1000)
	require.NoError(t, err)
	defer closed(t, g, q)
	_, _, err = readAll(t, q.Select(t.Context(), false, nil), func(s storage.ChunkSeries) {
		it := s.Iterator(nil)
		require.True(t, it.Next())
		require.Same(t, stored.stored.(*chunkenc.XORChunk), it.At().Chunk)
	})
	require.NoError(t, err)
}

// A group of which no member gives samples fails when it is read from, not before.
func TestNoSamples(t *testing.T) {
	for name, read := range readers {
		_, _, err := read(t.Context(), t, newGroup(Options{}, &fake{name: "a"}))
		require.EqualError(t, err, "no member of replica group group answered: remote engine a: it does not give samples", name)
	}
}

// Errors of the query, and its end, are no fault of a member.
func TestSamplesQueryErrors(t *testing.T) {
	ofEach(t, func(t *testing.T, read reader) {
		fails := at(3, func(context.Context) error { return &remote.QueryError{Err: fmt.Errorf("no such thing")} })
		a, b := newSamples("a", fails), newSamples("b", fails)
		g := sampleGroup(Options{}, chunked{a}, chunked{b})
		_, _, err := read(t.Context(), t, g)
		require.EqualError(t, err, "no such thing")
		require.EqualValues(t, 1, a.asked.Load()+b.asked.Load())

		for n := 1; n <= 6; n++ {
			for _, patience := range []time.Duration{time.Millisecond, 5500 * time.Millisecond} {
				a, b := newSamples("a", at(n, takes(time.Hour))), newSamples("b", at(n, takes(time.Hour)))
				g := sampleGroup(Options{}, chunked{a}, chunked{b})
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				names, _, err := read(ctx, t, g)
				require.Equal(t, context.DeadlineExceeded, err)
				require.Len(t, names, n-1)
				require.Zero(t, g.members[0].failures+g.members[1].failures)
				cancel()
			}
		}
	})
}

// A querier that is closed early leaves nobody at work, and waits for those who are.
func TestSamplesClosedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := func(context.Context) error { time.Sleep(time.Minute); return nil }
		for series := range 3 {
			quick, slow := newSamples("quick", nil), newSamples("slow", each(deaf))
			g := sampleGroup(Options{Strategy: Race}, quick, slow)
			q, err := g.Querier(0, 1000)
			require.NoError(t, err)
			set := q.Select(t.Context(), false, nil)
			began := time.Now()
			for range series {
				require.True(t, set.Next())
			}
			_, _, err = q.LabelNames(t.Context(), nil)
			require.NoError(t, err)
			require.Zero(t, time.Since(began))
			closed(t, g, q)
			require.Equal(t, time.Minute, time.Since(began))
		}
	})
}

// Samples come from a member that has them all or, where that is allowed, with a warning. Warnings of members that failed later are not lost.
func TestSamplesOfMembersThatLackSome(t *testing.T) {
	whole, late := newSamples("whole", nil), newSamples("late", nil)
	late.coverage = covers(remote.Interval{Start: 500, End: remote.Always.End})
	g := sampleGroup(Options{Failures: math.MaxInt}, late, whole)
	for range 10 {
		names, warnings, err := read(t.Context(), t, g)
		require.NoError(t, err)
		require.Empty(t, warnings)
		require.Equal(t, five, names)
	}
	require.Zero(t, late.asked.Load())
	whole.happens, whole.warns = at(3, booms), fmt.Errorf("some are missing")
	_, _, err := read(t.Context(), t, g)
	require.ErrorContains(t, err, "remote engine whole: boom; remote engine late: it lacks data from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.499Z")
	names, warnings, err := read(remote.WithRequest(t.Context(), remote.Request{PartialResponse: true}), t, g)
	require.NoError(t, err)
	require.Equal(t, five, names)
	require.Len(t, warnings, 2)
	require.Contains(t, warnings, "some are missing")
	delete(warnings, "some are missing")
	for _, err := range warnings {
		require.ErrorContains(t, err, "remote engine late answered for replica group group")
	}
}

// A member may leave out sources of its own only when no other one is left that may have all.
func TestWholeSamplesComeFirst(t *testing.T) {
	ofEach(t, func(t *testing.T, read reader) {
		partly := func(ctx context.Context, n int) error {
			if n == 3 && !remote.RequestFrom(ctx).PartialResponse {
				return errBoom
			}
			return nil
		}
		partial := remote.WithRequest(t.Context(), remote.Request{PartialResponse: true})
		a, b := newSamples("a", partly), newSamples("b", partly)
		b.happens = nil
		g := sampleGroup(Options{Failures: math.MaxInt}, chunked{a}, chunked{b})
		for range 20 {
			g.members[1].outrun(time.Minute, 0)
			names, _, err := read(partial, t, g)
			require.NoError(t, err)
			require.Equal(t, five, names)
		}
		require.Equal(t, 20, g.members[0].failures)
		b.happens = partly
		_, _, err := read(t.Context(), t, g)
		require.ErrorContains(t, err, "remote engine b: boom")
		a.asked.Store(0)
		b.asked.Store(0)
		names, _, err := read(partial, t, g)
		require.NoError(t, err)
		require.Equal(t, five, names)
		require.EqualValues(t, 2, a.asked.Load()+b.asked.Load())
	})
}

// Whatever members do, as long as one of them is well the series are right.
func TestSamplesWhateverMembersDo(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		ofEach(t, func(t *testing.T, read reader) {
			var members []remote.RemoteEngine
			for i := range 3 {
				bad := map[int]func(context.Context) error{}
				if i > 0 {
					for range random.IntN(3) {
						bad[1+random.IntN(6)] = []func(context.Context) error{booms, takes(time.Hour)}[random.IntN(2)]
					}
				}
				for n := 1; n <= 6; n++ {
					if bad[n] == nil {
						bad[n] = takes(time.Duration(random.IntN(9)) * []time.Duration{time.Microsecond, time.Millisecond, time.Second}[random.IntN(3)])
					}
				}
				members = append(members, chunked{newSamples(string(rune('a'+i)), func(ctx context.Context, n int) error { return bad[n](ctx) })})
			}
			g := sampleGroup(Options{Strategy: []Strategy{Hedge, Race}[random.IntN(2)]}, members...)
			for range 3 {
				names, _, err := read(t.Context(), t, g)
				require.NoError(t, err)
				require.Equal(t, five, names)
			}
		})
	}
}
