package selection

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/remote"
)

const keepTwo = `
- {action: keep, source_labels: [a, b], separator: "/", regex: "1/2|2/1"}
`

func matcher(typ labels.MatchType, name, value string) *labels.Matcher {
	return labels.MustNewMatcher(typ, name, value)
}

// Matchers of all values of a label that are kept would pass {a="1", b="1"} as well.
func TestNoCrossProduct(t *testing.T) {
	s := newSource(labels.FromStrings("a", "1", "b", "1"), labels.FromStrings("a", "1", "b", "2"), labels.FromStrings("a", "2", "b", "1"), labels.FromStrings("a", "2", "b", "2"))
	sel := selector(t, keepTwo)
	for _, m := range [][]*labels.Matcher{
		nil, {matcher(labels.MatchEqual, "a", "1")}, {matcher(labels.MatchEqual, "a", "3")}, {matcher(labels.MatchNotEqual, "b", "1"), matcher(labels.MatchEqual, "job", "a")},
		{matcher(labels.MatchEqual, "a", "1"), matcher(labels.MatchEqual, "b", "1")}, {matcher(labels.MatchEqual, "own", "")},
	} {
		requireExact(t, s, sel, m...)
	}
}

func TestValuesAreQuoted(t *testing.T) {
	s := newSource(labels.FromStrings("tenant", "a.c"), labels.FromStrings("tenant", "abc"), labels.FromStrings("tenant", "x|y"), labels.FromStrings("tenant", "x"))
	sel := selector(t, `[{action: keep, source_labels: [tenant], regex: "a\\.c|x\\|y"}]`)
	requireExact(t, s, sel)
	q, err := Of(s, nil, sel).Querier(0, 1)
	require.NoError(t, err)
	s.asked = nil
	q.Select(t.Context(), true, nil, matcher(labels.MatchEqual, "job", "a"))
	require.Equal(t, `[job="a" tenant=~"a\\.c|x\\|y"]`, fmt.Sprint(s.asked[0]))
}

// Stores refuse selectors of external labels alone.
func TestSelectorsOfExternalLabels(t *testing.T) {
	s := newSource(labels.FromStrings("a", "1"), labels.FromStrings("a", "2"))
	q, err := Of(s, nil, nil).Querier(0, 1)
	require.NoError(t, err)
	require.Len(t, labelsOf[storage.Series](t, q.Select(t.Context(), true, nil, matcher(labels.MatchEqual, "a", "1"))), 2)
	require.Equal(t, `[a="1" __name__=~".*"]`, fmt.Sprint(s.asked[0]))
	require.Empty(t, labelsOf[storage.Series](t, q.Select(t.Context(), true, nil, matcher(labels.MatchEqual, "a", "3"), matcher(labels.MatchEqual, "job", "a"))))
	require.Len(t, s.asked, 1, "nobody is asked for what cannot be there")
}

// Any rules over any data sets select exactly the data sets that they keep. The names of external labels are those of no series.
func TestRandomRules(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	exact, filtered := 0, 0
	for range 400 {
		var sets []labels.Labels
		for range 1 + rng.Intn(12) {
			set := randomSet(rng)
			if !slices.ContainsFunc(sets, func(l labels.Labels) bool { return labels.Equal(l, set) }) {
				sets = append(sets, set)
			}
		}
		rules := []string{
			keepTwo, `[{action: drop, source_labels: [a], regex: "1"}]`, `[{action: keep, source_labels: [b]}]`, `[]`, `[{action: drop}]`,
			`[{action: hashmod, source_labels: [a, b, c], target_label: __shard, modulus: 3}, {action: keep, source_labels: [__shard], regex: "1"}]`,
			`[{action: hashmod, source_labels: [a], target_label: __shard, modulus: 2}, {action: keep, source_labels: [__shard], regex: "0"}]`,
		}
		s, sel := newSource(sets...), selector(t, rules[rng.Intn(len(rules))])
		s.since = sinceThen(rng, s, sel)
		var m []*labels.Matcher
		if rng.Intn(2) > 0 {
			m = append(m, matcher(labels.MatchType(rng.Intn(4)), string(rune('a'+rng.Intn(3))), fmt.Sprint(rng.Intn(4))))
		}
		requireExact(t, s, sel, m...)
		if c := Of(s, nil, sel).cut(); len(c.matchers) > 0 && c.shapes == nil {
			exact++
		} else if c.shapes != nil {
			filtered++
		}
	}
	require.Greater(t, exact, 20)
	require.Greater(t, filtered, 20)
}

func randomSet(rng *rand.Rand) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	for _, name := range []string{"a", "b", "c"}[:1+rng.Intn(3)] {
		b.Set(name, fmt.Sprint(rng.Intn(4)))
	}
	return b.Labels()
}

// sinceThen are data sets that a source has got since. Those with all labels of one that is kept, and others, cannot be told from it: labels that
// it has besides could be its series' own.
func sinceThen(rng *rand.Rand, s *source, sel *Selector) (out []labels.Labels) {
	for range rng.Intn(4) {
		set := randomSet(rng)
		if !slices.ContainsFunc(s.announced, func(a remote.Coverage) bool {
			return sel.Rules().Keeps(a.Labels) && labels.Equal(a.Labels, set.MatchLabels(true, namesOf([]labels.Labels{a.Labels})...))
		}) && !s.announces(set) {
			out = append(out, set)
		}
	}
	return out
}

// Data sets that a source has got since it was last asked what it has are not selected, whether rules keep them or not.
func TestSetsThatAreNotAnnouncedYet(t *testing.T) {
	for name, test := range map[string]struct {
		rules            string
		announced, since []labels.Labels
		asked            string // for what all sets are asked
	}{
		"nothing is dropped": {
			`[{action: keep, source_labels: [tenant], regex: "a|b.c"}]`,
			[]labels.Labels{labels.FromStrings("tenant", "a"), labels.FromStrings("tenant", "b.c")},
			[]labels.Labels{labels.FromStrings("tenant", "z"), labels.FromStrings("tenant", "bxc")},
			`[tenant=~"a|b\\.c"]`,
		},
		"one label tells those known apart": {
			`[{action: keep, source_labels: [tenant], regex: a}]`,
			[]labels.Labels{labels.FromStrings("tenant", "a", "env", "p"), labels.FromStrings("tenant", "z", "env", "q")},
			[]labels.Labels{labels.FromStrings("tenant", "y", "env", "p"), labels.FromStrings("tenant", "a", "env", "q")},
			`[env="p" tenant="a"]`,
		},
		"another combination of values": {
			`[{action: keep, source_labels: [tenant, env], separator: /, regex: "a/p|b/q"}]`,
			[]labels.Labels{labels.FromStrings("tenant", "a", "env", "p"), labels.FromStrings("tenant", "b", "env", "q")},
			[]labels.Labels{labels.FromStrings("tenant", "a", "env", "q"), labels.FromStrings("tenant", "c", "env", "p")},
			`[env=~"p|q" tenant=~"a|b"]`,
		},
		"no label is in all of them": {
			`[{action: drop, source_labels: [tenant], regex: z}]`,
			[]labels.Labels{labels.FromStrings("tenant", "a"), labels.FromStrings("env", "p")},
			[]labels.Labels{labels.FromStrings("tenant", "z"), labels.FromStrings("tenant", "y"), labels.FromStrings("zone", "1")},
			`[]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, sel := newSource(test.announced...), selector(t, test.rules)
			require.Equal(t, test.asked, fmt.Sprint(Of(s, nil, sel).cut().matchers))
			requireExact(t, s, sel)
			s.since = test.since
			requireExact(t, s, sel)
			requireExact(t, s, sel, matcher(labels.MatchEqual, "job", "a"))
			for _, l := range test.since {
				s.announced = append(s.announced, remote.Coverage{Labels: l})
			}
			s.since = nil
			requireExact(t, s, sel)
		})
	}

	// Without rules everything is asked for, as it is.
	s := newSource(labels.FromStrings("tenant", "a"))
	s.since = []labels.Labels{labels.FromStrings("tenant", "z")}
	require.Empty(t, Of(s, nil, nil).cut().matchers)
	requireExact(t, s, nil)
	requireExact(t, s, selector(t, "[]"))
}

// Of a data set whose external labels are some of another's, series are told by having all of the other's.
func TestSubsetsAndDoubt(t *testing.T) {
	inner, outer := labels.FromStrings("a", "1"), labels.FromStrings("a", "1", "b", "1")
	requireExact(t, newSource(inner, outer), selector(t, `[{action: drop, source_labels: [b], regex: "1"}]`))
	requireExact(t, newSource(inner, outer), selector(t, `[{action: keep, source_labels: [b], regex: "1"}]`))

	s := newSource(labels.FromStrings("a", "1"), labels.FromStrings("b", "1"))
	s.series = append(s.series, labels.FromStrings("__name__", "up", "b", "1"))
	q, err := Of(s, nil, selector(t, `[{action: keep, source_labels: [a], regex: "1"}]`)).Querier(0, 1)
	require.NoError(t, err)
	set := q.Select(t.Context(), true, nil)
	for set.Next() {
		require.Equal(t, "1", set.At().Labels().Get("a"))
	}
	require.ErrorContains(t, set.Err(), `the series {__name__="up", a="1", b="1"} may be of a data set that is selected, and of one that is not`)
}

func TestAnnouncements(t *testing.T) {
	s := newSource(labels.FromStrings("a", "1", "replica", "x"), labels.FromStrings("a", "1", "replica", "y"), labels.FromStrings("a", "2", "replica", "x"))
	s.announced[0].Intervals = remote.Intervals{{Start: 0, End: 10}}
	s.announced[1].Intervals = remote.Intervals{{Start: 5, End: 20}}
	s.announced[2].Intervals = remote.Intervals{{Start: 7, End: 9}}
	all := Of(s, []string{"replica"}, nil)
	require.Equal(t, []remote.Coverage{
		{Labels: labels.FromStrings("a", "1"), Intervals: remote.Intervals{{Start: 0, End: 20}}}, {Labels: labels.FromStrings("a", "2"), Intervals: remote.Intervals{{Start: 7, End: 9}}},
	}, all.Coverage())
	require.Equal(t, []string{"a"}, all.Labels())
	require.Equal(t, remote.Capabilities{PlanVersion: 3}, all.Capabilities())
	_, err := all.NewInstantQuery(t.Context(), nil, nil, time.Time{})
	require.NoError(t, err)

	s.announced = slices.Clone(s.announced)
	s.announced[0].Grows = true
	require.Equal(t, []bool{true, false}, []bool{all.Coverage()[0].Grows, all.Coverage()[1].Grows})

	// Rules see replica labels.
	one := Of(s, []string{"replica"}, selector(t, `[{action: keep, source_labels: [replica], regex: "y"}]`))
	require.Equal(t, []remote.Coverage{{Labels: labels.FromStrings("a", "1"), Intervals: remote.Intervals{{Start: 5, End: 20}}}}, one.Coverage())
	require.True(t, one.Capabilities().SamplesOnly)
	_, err = one.NewInstantQuery(t.Context(), nil, nil, time.Time{})
	require.ErrorContains(t, err, "not selected")
	_, err = one.NewRangeQuery(t.Context(), nil, nil, time.Time{}, time.Time{}, 1)
	require.ErrorContains(t, err, "store: ")

	// The same slices as long as there are the same data sets.
	before := one.Coverage()
	s.announced = slices.Clone(s.announced)
	require.Same(t, &before[0], &one.Coverage()[0])
	s.announced = s.announced[:1]
	require.Empty(t, one.Coverage())
	require.Empty(t, one.Labels())
	q, err := one.Querier(0, 1)
	require.NoError(t, err)
	require.Empty(t, labelsOf[storage.Series](t, q.Select(t.Context(), true, nil)))
	cq, err := one.ChunkQuerier(0, 1)
	require.NoError(t, err)
	require.Empty(t, labelsOf[storage.ChunkSeries](t, cq.Select(t.Context(), true, nil)))

	// Queries do not go without a source that has not said yet what it has.
	s.announced = nil
	require.Equal(t, s.Coverage(), one.Coverage())
	require.Equal(t, []string{"all"}, one.Labels())
	q, err = all.Querier(0, 1)
	require.NoError(t, err)
	require.IsType(t, sourceQuerier{}, q)
	// Nobody knows what of it rules select.
	_, err = one.Querier(0, 1)
	require.ErrorContains(t, err, "store: it has not said yet which data sets it has")
	_, err = one.ChunkQuerier(0, 1)
	require.ErrorContains(t, err, "store: it has not said yet which data sets it has")
}

func TestStorage(t *testing.T) {
	s := newSource(labels.EmptyLabels())
	for rules, want := range map[string]int{`[{action: keep, source_labels: [a], regex: "1"}]`: 2, `[{action: drop, source_labels: [a], regex: "1"}]`: 0} {
		st := NewStorage(s, labels.FromStrings("a", "1"), selector(t, rules))
		require.Equal(t, want > 0, st.Selected())
		q, err := st.Querier(0, 1)
		require.NoError(t, err)
		require.Len(t, labelsOf[storage.Series](t, q.Select(t.Context(), true, nil)), want)
		cq, err := st.ChunkQuerier(0, 1)
		require.NoError(t, err)
		require.Len(t, labelsOf[storage.ChunkSeries](t, cq.Select(t.Context(), true, nil)), want)
	}
}

func TestRules(t *testing.T) {
	t.Setenv("SHARD", "1")
	r, err := Parse([]byte(`[{action: keep, source_labels: [shard], regex: "$(SHARD)"}]`))
	require.NoError(t, err)
	require.True(t, r.Keeps(labels.FromStrings("shard", "1")))
	require.False(t, r.Keeps(labels.FromStrings("shard", "2")))
	require.True(t, (*Rules)(nil).Keeps(labels.EmptyLabels()))
	for content, want := range map[string]string{
		`[{action: keep, regex: "$(NOT_THERE)"}]`:                  "NOT_THERE",
		`[{action: replace, target_label: a}]`:                     `rule 1: the action "replace" cannot choose data sets`,
		`[{source_labels: [a]}]`:                                   "replace",
		`[{action: hashmod, source_labels: [a], target_label: b}]`: "modulus",
		`[{action: keep, source: [a]}]`:                            "source",
		`[null]`:                                                   "rule 1 is empty",
		`[{action: keep, source_labels: [a], regex: "("}]`:         "missing closing",
	} {
		_, err := Parse([]byte(content))
		require.ErrorContains(t, err, want, content)
	}
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yml")
	write := func(value string) {
		require.NoError(t, os.WriteFile(file, []byte(`[{action: keep, source_labels: [a], regex: "`+value+`"}]`), 0o600))
	}
	write("(")
	_, err := New("", file, nil)
	require.ErrorContains(t, err, file)
	_, err = New("", file+"x", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	synctest.Test(t, func(t *testing.T) {
		write("1")
		log := &syncBuffer{}
		s, err := New("", file, slog.New(slog.NewTextHandler(log, nil)))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Follow(ctx, time.Second)
		}()
		src := newSource(labels.FromStrings("a", "1"), labels.FromStrings("a", "2"))
		e := Of(src, nil, s)
		require.Equal(t, "1", e.Coverage()[0].Labels.Get("a"))
		write("2")
		time.Sleep(1500 * time.Millisecond)
		require.Len(t, e.Coverage(), 1)
		require.Equal(t, "2", e.Coverage()[0].Labels.Get("a"))
		requireExact(t, src, s)
		write("(")
		time.Sleep(time.Second)
		require.Contains(t, log.String(), "those known stay")
		require.Equal(t, "2", e.Coverage()[0].Labels.Get("a"))
		require.Equal(t, 1, strings.Count(log.String(), "other rules now"))
		cancel()
		<-done
	})
	var none *Selector
	none.Follow(t.Context(), 0)
}
