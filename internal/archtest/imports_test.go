package archtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mayImport says for each package of the module what its product code may import of the module, besides the
// packages that it is a sub-package of. Lower floors come first; an entry with /... is the package and all below it.
// docs/architecture.md explains the floors.
var mayImport = map[string][]string{
	// Kernels, and what has nothing to do with the engine.
	"internal/archtest":       {},
	"internal/bitmap":         {},
	"internal/chunkdecode":    {"internal/slab"},
	"internal/difftest":       {},
	"internal/difftest/smith": {},
	"internal/gendata":        {},
	"internal/quantile":       {},
	"internal/slab":           {},
	"internal/tsdbdir":        {"source/blockindex"},

	// What both sides of a distributed query share.
	"remote":                {"internal/bitmap"},
	"source/blockindex":     {},
	"source/chunkseries":    {},
	"source/dedup":          {"internal/chunkdecode", "source/chunkseries"},
	"source/downsampled":    {"source/chunkseries"},
	"source/extlabels":      {},
	"source/remoteread":     {"remote", "remote/proto/...", "source/chunkseries", "source/extlabels"},
	"source/selection":      {"remote"},
	"remote/discovery":      {"remote/replica"},
	"remote/replica":        {},
	"remote/proto/stridepb": {},
	"remote/proto/thanospb": {},
	"remote/proto/wire":     {"internal/bitmap", "internal/chunkdecode", "remote/proto/stridepb", "remote/proto/thanospb"},
	"remote/client":         {"internal/bitmap", "remote/proto/...", "source/chunkseries", "source/downsampled"},
	"remote/server":         {"internal/bitmap", "remote/proto/..."},

	// What to compute. It knows nothing of operators.
	"logicalplan": {"remote"},

	// How to compute. It knows nothing of plans; the families know each other only where one is fused into another.
	"operators":              {"internal/bitmap", "internal/slab"},
	"operators/aggregate":    {"internal/bitmap", "internal/quantile"},
	"operators/binary":       {"internal/bitmap"},
	"operators/exchange":     {"internal/bitmap"},
	"operators/function":     {"internal/bitmap"},
	"operators/operatortest": {"internal/bitmap"},
	"operators/remoteexec":   {"internal/bitmap", "remote"},
	"operators/result":       {"internal/bitmap", "remote"},
	"operators/scan":         {"internal/bitmap", "internal/chunkdecode", "operators/window", "remote"},
	"operators/subquery":     {"internal/bitmap", "operators/window"},
	"operators/window":       {"internal/bitmap", "internal/quantile"},

	// The only package that knows both.
	"physicalplan": {"internal/bitmap", "logicalplan", "operators/...", "remote"},

	"engine": {"logicalplan", "operators", "operators/scan", "physicalplan", "remote"},
	"cmd/stride": {"cmd/stride/api", "cmd/stride/client", "cmd/stride/livedata", "cmd/stride/tracing", "engine", "internal/gendata", "internal/tsdbdir", "operators",
		"remote", "remote/client", "remote/discovery", "remote/proto/wire", "remote/replica", "remote/server", "source/dedup", "source/downsampled", "source/extlabels", "source/remoteread", "source/selection"},

	"cmd/stride/api":                 {"engine", "operators"},
	"cmd/stride/client":              {},
	"cmd/stride/livedata":            {"internal/tsdbdir"},
	"cmd/stride/tracing":             {},
	"cmd/stride/tracing/tracingtest": {},
}

// allowed tells whether product code of pkg may import the package imported, both without the module's path.
func allowed(pkg, imported string) bool {
	if strings.HasPrefix(pkg, imported+"/") {
		return true
	}
	for _, m := range mayImport[pkg] {
		under, all := strings.CutSuffix(m, "/...")
		if imported == under || all && strings.HasPrefix(imported, under+"/") {
			return true
		}
	}
	return false
}

func TestImports(t *testing.T) {
	_, files, err := readTree("../..")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, f := range files {
		seen[f.pkg] = true
		if _, ok := mayImport[f.pkg]; !ok {
			t.Errorf("%s: package %q has no place in the house yet: give it one in mayImport", f.path, f.pkg)
			continue
		}
		if f.test {
			continue
		}
		for _, imported := range f.imports() {
			if own, ok := strings.CutPrefix(imported, module+"/"); ok && !allowed(f.pkg, own) {
				t.Errorf("%s: %s must not import %s: imports go down, see docs/architecture.md", f.path, f.pkg, own)
			}
		}
	}
	for pkg := range mayImport {
		if !seen[pkg] {
			t.Errorf("mayImport has a place for %s, which is not there", pkg)
		}
	}
}

// Tests of the operators and of the logical plan use their own floor too: what they need of another's would
// show that the floors are not apart.
func TestTestsStayOnTheirFloor(t *testing.T) {
	_, files, err := readTree("../..")
	require.NoError(t, err)
	for _, f := range files {
		if !f.test {
			continue
		}
		for _, imported := range f.imports() {
			own, ok := strings.CutPrefix(imported, module+"/")
			if !ok {
				continue
			}
			operators, plans := strings.HasPrefix(own, "operators"), strings.HasSuffix(own, "plan") || own == "engine"
			if strings.HasPrefix(f.pkg, "logicalplan") && operators || strings.HasPrefix(f.pkg, "operators") && plans {
				t.Errorf("%s: a test of %s must not import %s", f.path, f.pkg, own)
			}
		}
	}
}

func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		want          bool
	}{
		{"operators/scan", "operators", true},
		{"operators/scan", "operators/window", true},
		{"operators", "operators/scan", false},
		{"operators/window", "operators/scan", false},
		{"operators/scan", "logicalplan", false},
		{"logicalplan", "operators", false},
		{"physicalplan", "operators/scan", true},
		{"physicalplan", "engine", false},
		{"engine", "internal/difftest", false},
		{"internal/chunkdecode", "operators", false},
	} {
		require.Equal(t, c.want, allowed(c.pkg, c.imported), "%s imports %s", c.pkg, c.imported)
	}
}
