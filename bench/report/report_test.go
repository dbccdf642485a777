package report

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWrite: a report of a small results file is as the golden one. UPDATE=1 in the environment writes that anew.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "BENCHMARKS.md")
	require.NoError(t, Write(filepath.Join("testdata", "results.jsonl"), out, filepath.Join(dir, "img")))
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	golden := filepath.Join("testdata", "report.md")
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(golden, got, 0o666))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
	for _, name := range []string{"bench-wall.svg", "bench-cpu.svg", "bench-memory.svg"} {
		svg, err := os.ReadFile(filepath.Join(dir, "img", name))
		require.NoError(t, err)
		require.Contains(t, string(svg), "<svg")
	}
}

// The section of another tool stays.
func TestWriteKeepsDistributed(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "BENCHMARKS.md")
	section := "<!-- distributed: begin -->\n## Distributed\n<!-- distributed: end -->\n"
	require.NoError(t, os.WriteFile(out, []byte("# Old\n\n"+section), 0o666))
	require.NoError(t, Write(filepath.Join("testdata", "results.jsonl"), out, filepath.Join(dir, "img")))
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	require.NotContains(t, string(got), "# Old")
	require.Contains(t, string(got), "\n\n"+section)
}

func TestWriteWithoutResults(t *testing.T) {
	require.ErrorContains(t, Write("nothing", "x", "y"), "read results")
}
