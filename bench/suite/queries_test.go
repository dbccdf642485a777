package suite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

var queryParser = parser.NewParser(parser.Options{EnableExperimentalFunctions: true})

func (q Query) at() string { return q.Dataset + "/" + q.Name }

// tagged returns what follows the prefix in those tags that begin with it.
func (q Query) tagged(prefix string) (res []string) {
	for _, t := range q.Tags {
		if rest, ok := strings.CutPrefix(t, prefix); ok {
			res = append(res, rest)
		}
	}
	return res
}

func TestQueries(t *testing.T) {
	profiles := map[string]spec{}
	for _, s := range specs {
		profiles[s.name] = s
	}
	seen, asked := map[string]bool{}, map[string]string{}
	for _, q := range Queries() {
		require.False(t, seen[q.at()], "two queries are %s", q.at())
		seen[q.at()] = true
		_, err := queryParser.ParseExpr(q.Expr)
		require.NoError(t, err, q.at())

		same := fmt.Sprint(q.Dataset, q.Expr, q.Start, q.End, q.Step)
		require.Empty(t, asked[same], "%s asks the same", q.at())
		asked[same] = q.at()

		require.Contains(t, Groups(), q.Group, q.at())
		require.Contains(t, profiles, q.Dataset, q.at())
		require.LessOrEqual(t, q.Start, profiles[q.Dataset].profile.Duration, "%s begins before its data", q.at())
		require.Equal(t, q.Dataset == SmokeDataset, q.Tier == Smoke, q.at())
		require.Equal(t, q.Step == 0, slices.Contains(q.Tags, Instant), q.at())
		if q.Step == 0 {
			require.Equal(t, q.Start, q.End, q.at())
		} else {
			require.Greater(t, q.Start, q.End, q.at())
			require.LessOrEqual(t, (q.Start-q.End)/q.Step, time.Duration(11_000), "%s has more steps than Prometheus' API allows", q.at())
		}
	}
}

// Each group has queries in tests of the harness and in full runs, and each data set has some.
func TestEverythingIsAsked(t *testing.T) {
	groups, datasets, tiers := map[Tier]map[string]int{Smoke: {}, Quick: {}, Full: {}}, map[string]int{}, map[Tier]int{}
	for _, q := range Queries() {
		groups[q.Tier][q.Group]++
		datasets[q.Dataset]++
		tiers[q.Tier]++
	}
	for _, g := range Groups() {
		require.Positive(t, groups[Smoke][g], g)
		require.Positive(t, groups[Full][g], g)
		if g != Pathological {
			require.Positive(t, groups[Quick][g], g)
		}
	}
	for _, d := range Datasets() {
		require.Positive(t, datasets[d.Name], d.Name)
	}
	t.Logf("queries of tests, quick and full runs: %v; of data sets: %v", tiers, datasets)
}

func TestTags(t *testing.T) {
	all := map[string]Query{}
	for _, q := range Queries() {
		all[q.at()] = q
	}
	windows, bars := map[string][]Query{}, map[string][]string{}
	for _, q := range all {
		for _, half := range q.tagged(DoubleSteps) {
			h, ok := all[q.Dataset+"/"+half]
			require.True(t, ok, "%s doubles the steps of %s, which is not there", q.at(), half)
			require.Equal(t, q.Expr, h.Expr)
			require.Equal(t, [2]time.Duration{q.Start, q.End}, [2]time.Duration{h.Start, h.End})
			require.Equal(t, 2*q.Step, h.Step)
		}
		for _, half := range q.tagged(DoubleSeries) {
			h, ok := all[q.Dataset+"/"+half]
			require.True(t, ok, "%s doubles the series of %s, which is not there", q.at(), half)
			require.Equal(t, [3]time.Duration{q.Start, q.End, q.Step}, [3]time.Duration{h.Start, h.End, h.Step})
		}
		for _, family := range q.tagged(WindowOf) {
			windows[q.Dataset+"/"+family] = append(windows[q.Dataset+"/"+family], q)
		}
		for _, bar := range q.tagged(Bar) {
			bars[q.Dataset] = append(bars[q.Dataset], bar)
		}
		if slices.Contains(q.Tags, LongWindow) {
			requireLongWindow(t, q)
		}
	}
	for family, of := range windows {
		require.Greater(t, len(of), 1, family)
		for _, q := range of {
			if q.Dataset != SmokeDataset {
				require.Equal(t, (of[0].Start-of[0].End)/of[0].Step, (q.Start-q.End)/q.Step, "steps of %s", q.at())
			}
		}
	}
	require.ElementsMatch(t, []string{"0.18", "0.09", "0.07", "0.10", "0.13"}, bars["medium"])
}

// requireLongWindow finds a window that reaches over 240 samples or more.
func requireLongWindow(t *testing.T, q Query) {
	t.Helper()
	expr, err := queryParser.ParseExpr(q.Expr)
	require.NoError(t, err)
	interval := time.Duration(0)
	for _, s := range specs {
		if s.name == q.Dataset {
			interval = s.profile.Interval
		}
	}
	longest := time.Duration(0)
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if m, ok := n.(*parser.MatrixSelector); ok {
			longest = max(longest, m.Range)
		}
		return nil
	})
	require.GreaterOrEqual(t, longest, 240*interval, q.at())
}
