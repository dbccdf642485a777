package smith

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/internal/difftest"
)

func TestPrometheusAgainstItself(t *testing.T) {
	r := difftest.Run(t, difftest.Config{
		Seed: 1, Queries: 2000, Candidate: difftest.Prometheus, Stats: true,
		Generators: []difftest.Generator{Generator(4)},
	})
	t.Log(r)
	require.Positive(t, r.NonEmpty)
	require.Zero(t, r.Unparsed)
	require.NotContains(t, parser.Functions, "holt_winters")
}
