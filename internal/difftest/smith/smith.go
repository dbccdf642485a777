// Package smith makes promqlsmith a query generator of difftest.
//
// It is a package of its own because importing promqlsmith changes the
// parser's global table of functions, which this package undoes.
package smith

import (
	"math/rand"
	"slices"

	"github.com/cortexproject/promqlsmith"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stride-promql/stride/internal/difftest"
)

func init() {
	// promqlsmith registers this function for old backends; no engine has it.
	delete(parser.Functions, "holt_winters")
}

// attempts is how often a query is drawn until one parses: promqlsmith does
// not know the arguments of newer functions.
const attempts = 20

// Generator draws queries from promqlsmith. Unlike difftest's own generator it
// is not reproducible, as promqlsmith itself depends on the order of Go maps;
// a reproduction needs the text of the query.
func Generator(depth int) difftest.Generator {
	p := difftest.Parser()
	names := make([]string, 0, len(parser.Functions))
	for name := range parser.Functions {
		// promqlsmith leaves arguments of these out.
		if name != "histogram_quantiles" && name != "integral" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	functions := make([]*parser.Function, len(names))
	for i, name := range names {
		functions[i] = parser.Functions[name]
	}
	return func(c *difftest.Choices, d *difftest.Dataset, t difftest.Times) string {
		seed := int64(c.N(1<<16))<<32 | int64(c.N(1<<16))
		s := promqlsmith.New(rand.New(rand.NewSource(seed)), d.Labels(),
			promqlsmith.WithEnableOffset(true),
			promqlsmith.WithEnableAtModifier(true),
			promqlsmith.WithAtModifierMaxTimestamp(d.End),
			promqlsmith.WithEnableVectorMatching(true),
			promqlsmith.WithEnabledFunctions(functions),
			promqlsmith.WithMaxDepth(depth),
		)
		for range attempts {
			var expr parser.Expr
			if t.Instant {
				expr = s.WalkInstantQuery()
			} else {
				expr = s.WalkRangeQuery()
			}
			if expr == nil {
				continue
			}
			if q := expr.String(); parses(p, q) {
				return q
			}
		}
		return "vector(1)"
	}
}

func parses(p parser.Parser, q string) bool {
	_, err := p.ParseExpr(q)
	return err == nil
}
