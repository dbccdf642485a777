package oracle

import (
	"slices"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestQueries(t *testing.T) {
	all := Queries()
	require.GreaterOrEqual(t, len(all), 200)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(all))), len(all), "one is there twice")
	p := parser.NewParser(parser.Options{})
	for _, q := range all {
		_, err := p.ParseExpr(q)
		require.NoError(t, err, q)
	}
}
