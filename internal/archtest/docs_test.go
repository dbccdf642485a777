package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/engine"
	"github.com/stride-promql/stride/internal/difftest"
	"github.com/stride-promql/stride/logicalplan"
)

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	require.NoError(t, err)
	return string(text)
}

func TestEmbeddingNamesEveryOption(t *testing.T) {
	text := document(t, "docs/embedding.md")
	for _, opts := range []reflect.Type{reflect.TypeFor[promql.EngineOpts](), reflect.TypeFor[engine.Opts]()} {
		for i := range opts.NumField() {
			f := opts.Field(i)
			if !f.Anonymous && f.IsExported() {
				require.Contains(t, text, "`"+f.Name+"`", "%s.%s", opts, f.Name)
			}
		}
	}
}

func TestEmbeddingListsExplainedDifferences(t *testing.T) {
	_, section, ok := strings.Cut(document(t, "docs/embedding.md"), "### Explained differences")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n#")
	all := difftest.Explanations()
	for _, e := range all {
		require.Contains(t, section, "| "+e.Reason+" |")
	}
	rows := strings.Count(section, "\n|") - 2 // head and line
	require.Equal(t, len(all), rows, "rows of the table")
}

func TestArchitectureNamesPassesAndPackages(t *testing.T) {
	text := document(t, "docs/architecture.md")
	for _, p := range logicalplan.DefaultOptimizers() {
		require.Contains(t, text, "`"+p.Name()+"`")
	}
	for pkg := range mayImport {
		name := strings.TrimPrefix(pkg, "operators/")
		if pkg == "internal/difftest/smith" {
			continue // named with its parent
		}
		require.True(t, strings.Contains(text, "`"+name+"`") || strings.Contains(text, "`"+pkg+"`"), "%s", pkg)
	}
}

var link = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)

// Links between documents lead somewhere.
func TestLinks(t *testing.T) {
	names, err := filepath.Glob("../../*.md")
	require.NoError(t, err)
	docs, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, docs)
	for _, name := range append(names, docs...) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			_, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(m[1])))
			require.NoError(t, err, "%s links to %s", name, m[1])
		}
	}
}

var namedTest = regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z][A-Za-z0-9]*)`")

// Tests that documents name are there.
func TestNamedTests(t *testing.T) {
	defined := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range definedTest.FindAllStringSubmatch(string(text), -1) {
			defined[m[1]] = true
		}
		return err
	})
	require.NoError(t, err)
	docs, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	named := 0
	for _, name := range docs {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range namedTest.FindAllStringSubmatch(string(text), -1) {
			named++
			require.True(t, defined[m[1]], "%s: %s", name, m[1])
		}
	}
	require.Greater(t, named, 40)
}

var definedTest = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)\(`)
