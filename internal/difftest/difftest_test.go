package difftest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestPrometheusAgainstItself(t *testing.T) {
	r := Run(t, Config{Seed: 1, Queries: 3000, Candidate: Prometheus, Stats: true, SelfChecks: 10})
	t.Log(r)
	for _, e := range r.ErrorKinds(10) {
		t.Log(e)
	}
	require.Equal(t, 3000, r.Queries)
	require.Greater(t, r.NonEmpty, r.Queries*60/100)
	require.Less(t, r.Errors, r.Queries*15/100)
	require.Less(t, r.Unparsed, r.Queries/100, "the generator is to be type correct")
	require.Positive(t, r.SelfChecked)
}

// TestGrammarCoversLanguage holds the generator to everything the parser knows.
func TestGrammarCoversLanguage(t *testing.T) {
	coverage := Coverage{}
	sets, p, generate := Datasets(1), Parser(), Grammar(4)
	for i := range uint64(20_000) {
		c := SeededChoices(i)
		d := sets[c.N(len(sets))]
		if expr, err := p.ParseExpr(generate(c, d, ChooseTimes(c, d, 30))); err == nil {
			coverage.add(expr)
		}
	}
	for name := range parser.Functions {
		require.Positive(t, coverage[name+"()"], "function %s is never generated", name)
	}
	for item, name := range parser.ItemTypeStr {
		if item == parser.EQL_REGEX || item == parser.NEQ_REGEX || item == parser.AT {
			continue // operators of selectors alone
		}
		if item.IsAggregator() || item.IsOperator() {
			require.Positive(t, coverage[name], "%s is never generated", name)
		}
	}
	for _, e := range []string{
		"anchored", "smoothed", "fill", "bool", "on", "ignoring", "group_left", "group_right", "included labels",
		"offset", "@ timestamp", "@ start()", "@ end()", "subquery", "subquery @", "subquery offset",
		"duration expression", "by", "without", "unary -", "unary +",
	} {
		require.Positive(t, coverage[e], "%s is never generated", e)
	}
}

func TestCasesAreReproducible(t *testing.T) {
	one := newSession(Config{Seed: 3, Candidate: Prometheus})
	two := newSession(Config{Seed: 3, Candidate: Prometheus})
	for i := range uint64(200) {
		require.Equal(t, one.choose(SeededChoices(i)).String(), two.choose(SeededChoices(i)).String())
		data := []byte{byte(i), byte(i * 7), byte(i * 31), 4, 5, 6}
		require.Equal(t, one.choose(ByteChoices(data)).String(), two.choose(ByteChoices(data)).String())
	}
	d, err := DatasetNamed(3, "churn")
	require.NoError(t, err)
	for i, s := range d.Series {
		require.Equal(t, one.cfg.Datasets[4].Series[i].Labels, s.Labels)
		require.Len(t, s.Samples, len(one.cfg.Datasets[4].Series[i].Samples))
	}
	require.NoError(t, one.close())
	require.NoError(t, two.close())
}

func FuzzPrometheusAgainstItself(f *testing.F) { FuzzQuery(f, Prometheus) }
