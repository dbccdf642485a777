package replica

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

// starting is a member that says what it has only once it was reached.
type starting struct {
	*fake
	reached bool
}

func (s *starting) Labels() []string {
	if !s.reached {
		return nil
	}
	return s.fake.Labels()
}

func (s *starting) Coverage() []remote.Coverage {
	if !s.reached {
		return []remote.Coverage{{Labels: labels.EmptyLabels(), Intervals: remote.Intervals{remote.Always}}}
	}
	return s.fake.Coverage()
}

func (s *starting) Capabilities() remote.Capabilities {
	if !s.reached {
		return remote.Capabilities{Unheard: true}
	}
	return s.fake.Capabilities()
}

var evaluates = remote.Capabilities{LanguageLevel: "3.16", PlanVersion: 4, LabelHash: "hash"}

// pair are two members of a group, of which the first has been reached, in either order.
func pair(t *testing.T, strategy Strategy, test func(t *testing.T, up, down *starting, g *Group)) {
	t.Helper()
	for name, first := range map[string]int{"up first": 0, "down first": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				members := []*starting{
					{fake: &fake{name: "up", caps: evaluates, coverage: covers(remote.Interval{Start: 0, End: 900})}, reached: true},
					{fake: &fake{name: "down", caps: evaluates, coverage: covers(remote.Interval{Start: 0, End: 900}), err: func() error { return errors.New("unreachable") }}},
				}
				g := New("group", []remote.RemoteEngine{members[first], members[1-first]}, Options{Strategy: strategy})
				test(t, members[0], members[1], g)
				idle(t, g)
			})
		})
	}
}

// A member that was never reached changes nothing of what the others are, and is not asked while one of them answers, however late.
func TestSilentMember(t *testing.T) {
	for _, strategy := range []Strategy{Hedge, Race} {
		pair(t, strategy, func(t *testing.T, up, down *starting, g *Group) {
			up.delay = after(time.Minute)
			require.Equal(t, []string{"cluster"}, g.Labels())
			require.Equal(t, up.Coverage(), g.Coverage())
			require.Equal(t, evaluates, g.Capabilities())
			kept := g.Coverage()
			require.Same(t, &kept[0], &g.Coverage()[0])
			for range 5 {
				for _, partial := range []bool{false, true} {
					who, err := ask(remote.WithRequest(t.Context(), remote.Request{PartialResponse: partial}), t, g)
					require.NoError(t, err)
					require.Equal(t, "up", who)
				}
			}
			require.Zero(t, down.asked.Load())

			// Once it is reached it is a member like the others, with what it has.
			down.reached, down.err, down.coverage = true, nil, covers(remote.Interval{Start: 0, End: 2000})
			down.caps.PlanVersion = 3
			require.Equal(t, down.coverage, g.Coverage())
			require.Equal(t, 3, g.Capabilities().PlanVersion)
			who, err := ask(t.Context(), t, g)
			require.NoError(t, err)
			require.Equal(t, "down", who)
		})
	}
}

// It is asked when all others have failed, and the error is of all of them.
func TestSilentMemberIsAskedLast(t *testing.T) {
	pair(t, Hedge, func(t *testing.T, up, down *starting, g *Group) {
		up.err = func() error { return errors.New("boom") }
		_, err := ask(t.Context(), t, g)
		require.EqualError(t, err, "no member of replica group group answered: remote engine up: boom; remote engine down: unreachable")
		require.EqualValues(t, 1, down.asked.Load())
		down.err = nil
		who, err := ask(t.Context(), t, g)
		require.NoError(t, err)
		require.Equal(t, "down", who)
	})
}

// One that says only while a query runs that it lacks data is one that lacks data.
func TestSilentMemberThatLacksData(t *testing.T) {
	pair(t, Hedge, func(t *testing.T, up, down *starting, g *Group) {
		up.err = func() error {
			down.reached, down.err, down.coverage = true, nil, covers(remote.Interval{Start: 0, End: 499})
			return errors.New("boom")
		}
		_, err := ask(t.Context(), t, g)
		require.EqualError(t, err, "no member of replica group group answered: remote engine up: boom; "+
			"remote engine down: it lacks data from 1970-01-01T00:00:00.5Z to 1970-01-01T00:00:00.9Z")
		require.Zero(t, down.asked.Load())

		down.reached = false
		q, err := g.NewRangeQuery(t.Context(), nil, between(0, 900), time.UnixMilli(0), time.UnixMilli(900), time.Second)
		require.NoError(t, err)
		s, err := q.(remote.Streamer).Stream(remote.WithRequest(context.Background(), remote.Request{PartialResponse: true}))
		require.NoError(t, err)
		defer s.Close()
		for err == nil {
			_, err = s.Next(t.Context())
		}
		require.Len(t, s.Trailer().Annotations, 1)
		for _, err := range s.Trailer().Annotations {
			require.ErrorContains(t, err, "remote engine down answered for replica group group, of which results may be missing: it lacks data from 1970-01-01T00:00:00.5Z")
		}
	})
}

// As long as nobody was reached, the group may have anything, as each of them may.
func TestAllMembersSilent(t *testing.T) {
	pair(t, Hedge, func(t *testing.T, up, down *starting, g *Group) {
		up.reached = false
		require.Equal(t, up.Coverage(), g.Coverage())
		require.Empty(t, g.Labels())
		up.err = func() error { return errors.New("boom") }
		_, err := ask(t.Context(), t, g)
		require.ErrorContains(t, err, "remote engine up: boom")
		require.ErrorContains(t, err, "remote engine down: unreachable")
	})
}

// A group of which nobody has said anything has said nothing either, and one that has leaves what the group is to the others.
func TestUnheardGroup(t *testing.T) {
	a, b := &starting{fake: &fake{name: "a", caps: evaluates}}, &starting{fake: &fake{name: "b", caps: evaluates}}
	g := New("group", []remote.RemoteEngine{a, b}, Options{})
	require.True(t, g.Capabilities().Unheard)
	require.NoError(t, g.LastError(), "they do not say why")
	b.reached = true
	require.Equal(t, evaluates, g.Capabilities())
}
