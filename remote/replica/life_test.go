package replica

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// signalling is a member that shows signs of life, as Stride nodes do.
type signalling struct {
	*fake
	header time.Duration        // until the request is let in
	takes  func() time.Duration // until the first columns, from the beginning
	stalls bool                 // it shows nothing behind the header
}

func (s *signalling) NewInstantQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time) (promql.Query, error) {
	return &signallingQuery{fakeQuery{f: s.fake}, s}, nil
}

func (s *signalling) NewRangeQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time, time.Time, time.Duration) (promql.Query, error) {
	return &signallingQuery{fakeQuery{f: s.fake}, s}, nil
}

type signallingQuery struct {
	fakeQuery
	of *signalling
}

func (q *signallingQuery) Stream(ctx context.Context) (remote.ColumnStream, error) {
	s, err := q.fakeQuery.Stream(ctx)
	if err != nil {
		return nil, err
	}
	return &signallingStream{s.(*fakeStream), q.of, nil}, nil
}

type signallingStream struct {
	*fakeStream
	of   *signalling
	sign func(remote.Sign)
}

func (s *signallingStream) OnSign(sign func(remote.Sign)) bool {
	s.sign = sign
	return true
}

func (s *signallingStream) Next(ctx context.Context) (*remote.Columns, error) {
	if s.sent == 0 {
		if err := s.work(ctx); err != nil {
			return nil, err
		}
	}
	return s.fakeStream.Next(ctx)
}

func (s *signallingStream) work(ctx context.Context) error {
	beat := time.NewTicker(remote.SignEvery)
	defer beat.Stop()
	header, done := time.After(s.of.header), time.After(max(s.of.header+1, s.of.takes()))
	for {
		select {
		case <-header:
			s.sign(remote.Begun)
			if s.of.stalls {
				beat.Stop()
			}
		case <-beat.C:
			s.sign(remote.Alive)
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pairOf is a group of two, of which the first one is asked first.
func pairOf(opts Options, first, second *signalling) *Group {
	g := New("group", []remote.RemoteEngine{first, second}, opts)
	g.members[1].outrun(time.Minute, 0)
	return g
}

// exhausted uses up a group's extra requests.
func exhausted(g *Group) *Group {
	g.budget.earn()
	for g.budget.spend() {
	}
	return g
}

// A heavy query is not run twice while the member that has it shows that it works, however quick others were before.
func TestHeavyQueriesRunOnce(t *testing.T) {
	for _, budget := range []float64{1e-9, 1} {
		synctest.Test(t, func(t *testing.T) {
			took := 20 * time.Millisecond
			takes := func() time.Duration { return took }
			a := &signalling{fake: &fake{name: "a"}, header: time.Millisecond, takes: takes}
			b := &signalling{fake: &fake{name: "b"}, header: time.Millisecond, takes: takes}
			g := New("group", []remote.RemoteEngine{a, b}, Options{Budget: budget})
			for range 100 {
				_, err := ask(t.Context(), t, g)
				require.NoError(t, err)
			}
			took = 30 * time.Second
			for range 5 {
				_, err := ask(t.Context(), t, g)
				require.NoError(t, err)
			}
			require.EqualValues(t, 105, a.asked.Load()+b.asked.Load())
			for _, m := range g.members {
				require.Zero(t, m.failures)
			}
			idle(t, g)
		})
	}
}

// A member that has begun and shows nothing any more is late, and later taken to hang, which needs no budget.
func TestStalledMembersAreHedged(t *testing.T) {
	for name, c := range map[string]struct {
		exhausted bool
		after     time.Duration
		failures  int
	}{"within the budget": {false, stalls, 0}, "without a budget": {true, hung, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stuck := &signalling{fake: &fake{name: "stuck"}, header: time.Millisecond, takes: after(time.Hour), stalls: true}
				good := &signalling{fake: &fake{name: "good"}, header: time.Millisecond, takes: after(20 * time.Millisecond)}
				g := pairOf(Options{Budget: 1e-9}, stuck, good)
				if c.exhausted {
					exhausted(g)
				}
				began := time.Now()
				who, err := ask(t.Context(), t, g)
				require.NoError(t, err)
				require.Equal(t, "good", who)
				require.Equal(t, c.after+21*time.Millisecond, time.Since(began))
				require.Equal(t, c.failures, g.members[0].failures)
				idle(t, g)
			})
		})
	}
}

// A header that is late, as where requests queue, has another member asked soon, within the budget, also where queries usually take long; a member
// that says it lives does not hang.
func TestLateHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &signalling{fake: &fake{name: "a"}, header: time.Millisecond, takes: after(10 * time.Second)}
		b := &signalling{fake: &fake{name: "b"}, header: time.Millisecond, takes: after(time.Minute)}
		g := pairOf(Options{}, a, b)
		for range 20 {
			who, err := ask(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, "a", who)
		}
		a.header, b.takes = time.Hour, after(100*time.Millisecond)
		began := time.Now()
		who, err := ask(t.Context(), t, g)
		require.NoError(t, err)
		require.Equal(t, "b", who)
		require.Equal(t, 150*time.Millisecond, time.Since(began))

		a.header = 20 * time.Second
		g = exhausted(pairOf(Options{Budget: 1e-9}, a, b))
		b.asked.Store(0)
		who, err = ask(t.Context(), t, g)
		require.NoError(t, err)
		require.Equal(t, "a", who)
		require.Zero(t, b.asked.Load())
		idle(t, g)
	})
}

// A member whose first queries take long gets no more than its share of those that come meanwhile.
func TestNewMemberThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &signalling{fake: &fake{name: "slow"}, takes: after(time.Minute)}
		quick := &signalling{fake: &fake{name: "quick"}, takes: after(100 * time.Millisecond)}
		g := New("group", []remote.RemoteEngine{slow, quick}, Options{})
		done := make(chan struct{})
		for range 16 {
			go func() {
				defer func() { done <- struct{}{} }()
				for range 50 {
					_, err := ask(t.Context(), t, g)
					require.NoError(t, err)
				}
			}()
		}
		for range 16 {
			<-done
		}
		require.Less(t, slow.asked.Load(), int64(16))
		idle(t, g)
	})
}

// Series that take long to come have nobody else asked either, as long as signs of life come; where they cease another member goes on.
func TestSignsBetweenSeries(t *testing.T) {
	for signs, silent := range map[int]time.Duration{100: 3 * time.Second, 3: time.Hour} {
		ofEach(t, func(t *testing.T, read reader) {
			works := newSamples("works", at(3, takes(silent)))
			works.signs = signs
			other := newSamples("other", nil)
			g := exhausted(sampleGroup(Options{Budget: 1e-9}, chunked{works}, chunked{other}))
			g.members[1].outrun(time.Minute, 0)
			began := time.Now()
			names, _, err := read(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, five, names)
			if signs == 100 {
				require.Equal(t, 100*remote.SignEvery+silent, time.Since(began))
				require.Zero(t, other.asked.Load())
			} else {
				require.Equal(t, 3*remote.SignEvery+hung, time.Since(began))
				require.EqualValues(t, 1, other.asked.Load())
			}
		})
	}
}
