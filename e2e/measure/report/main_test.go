package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/measure"
)

func TestReplace(t *testing.T) {
	section := []byte(begin + "\nnew\n" + end + "\n")
	require.Equal(t, "# x\n\n"+string(section), string(replace([]byte("# x\n"), section)))
	require.Equal(t, "# x\n\n"+string(section)+"## y\n", string(replace([]byte("# x\n\n"+begin+"\nold\n"+end+"\n## y\n"), section)))
}

func TestSection(t *testing.T) {
	result := func(mode string, p50 time.Duration) measure.Result {
		return measure.Result{Model: "pairs", Network: "direct", Series: 10_000, Query: "avg", Mode: mode, Runs: 20, P50: p50, Max: p50, RootPeak: 1 << 20, Received: 1 << 10, RootCPU: p50}
	}
	all := group([]measure.Result{result(measure.Distributed, 10*time.Millisecond), result(measure.Local, 40*time.Millisecond), {Model: "pairs", Network: "direct", Series: 10_000, Query: "avg", Mode: measure.ThanosLocal, Failed: "a | b"}, {Model: "pairs", Network: "direct", Series: 10_000, Query: "avg", Mode: measure.ThanosDistributed, Runs: 20, P50: 1, Differs: "3 instead of 4"}})
	require.Len(t, all, 1)
	var b bytes.Buffer
	write(&b, &measure.Results{}, all)
	require.Contains(t, b.String(), "| Stride distributed, of Stride local | 0.25x (1) | 0.25x (1) | 1.00x (1) | 1.00x (1) |")
	require.Contains(t, b.String(), "| Stride distributed, of Thanos distributed | - |")
	b.Reset()
	tables(&b, all)
	require.Contains(t, b.String(), "### pairs, 10,000 series, direct")
	require.Contains(t, b.String(), "| avg | stride distributed | 20 | 10 ms | 10 ms |")
	require.Equal(t, "p95 20 ms", late(measure.Result{P95: 20 * time.Millisecond, Max: time.Second}))
	require.Contains(t, b.String(), `failed: a \| b`)
	require.Contains(t, b.String(), "- (*) avg, thanos distributed: 3 instead of 4")
	for _, c := range charts {
		file := filepath.Join(t.TempDir(), c.file)
		require.NoError(t, c.draw(all, file))
		svg, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(svg), "</svg>")
	}
}
