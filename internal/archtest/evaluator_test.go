package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const promqlPath = "github.com/prometheus/prometheus/promql"

// evaluators are the ways into the evaluator of package promql. Product code takes types, errors and
// pure functions from there, never a computed query.
var evaluators = map[string]bool{
	"NewEngine":      true,
	"Engine":         true,
	"FunctionCalls":  true,
	"FunctionCall":   true,
	"EvalNodeHelper": true,
}

// testsOnly are packages for tests that are no _test.go files because several packages' tests use them. They
// hold Prometheus as the reference; TestImports sees that no product code imports them.
var testsOnly = []string{"internal/difftest", "operators/operatortest"}

// evaluatorUses are the places in f that reach Prometheus' evaluator.
func evaluatorUses(f *ast.File) []ast.Node {
	names := map[string]bool{}
	var out []ast.Node
	for _, i := range f.Imports {
		switch p := strings.Trim(i.Path.Value, `"`); {
		case strings.HasPrefix(p, promqlPath+"/promqltest"):
			out = append(out, i)
		case p != promqlPath:
		case i.Name == nil:
			names["promql"] = true
		case i.Name.Name == ".":
			out = append(out, i)
		default:
			names[i.Name.Name] = true
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && evaluators[s.Sel.Name] {
			if x, ok := s.X.(*ast.Ident); ok && names[x.Name] {
				out = append(out, s)
			}
		}
		return true
	})
	return out
}

func TestPrometheusEvaluatorIsNeverCalled(t *testing.T) {
	fset, files, err := readTree("../..")
	require.NoError(t, err)
	for _, f := range files {
		exempt := f.test
		for _, p := range testsOnly {
			exempt = exempt || f.pkg == p || strings.HasPrefix(f.pkg, p+"/")
		}
		if exempt {
			continue
		}
		for _, use := range evaluatorUses(f.syntax) {
			t.Errorf("%s: product code must not use Prometheus' evaluator", fset.Position(use.Pos()))
		}
	}
}

func TestEvaluatorUses(t *testing.T) {
	for source, want := range map[string]int{
		`import "` + promqlPath + `"; var e = promql.NewEngine(promql.EngineOpts{})`:         1,
		`import p "` + promqlPath + `"; var f = p.FunctionCalls["rate"]`:                     1,
		`import . "` + promqlPath + `"`:                                                      1,
		`import "` + promqlPath + `/promqltest"`:                                             1,
		`import "` + promqlPath + `"; var e promql.EngineOpts; var f = e.NewEngine`:          0,
		`import "github.com/stride-promql/stride/engine"; var e = engine.New(engine.Opts{})`: 0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "", "package p; "+source, 0)
		require.NoError(t, err)
		require.Len(t, evaluatorUses(f), want, source)
	}
}
