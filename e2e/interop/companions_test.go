package interop

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ran is what a command of stride came to.
type ran struct {
	code           int
	stdout, stderr string
}

func runStride(t *testing.T, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary(t, "stride"), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// queryFile is a file for stride compare.
func queryFile(t *testing.T, queries []string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "queries.txt")
	require.NoError(t, os.WriteFile(file, []byte("# what dashboards ask\n\n"+strings.Join(queries, "\n")+"\n"), 0o600))
	return file
}

// exitDifferent is the exit code of stride compare where answers differ.
const exitDifferent = 11

// stride query writes what a Prometheus server answers as it writes what it evaluates itself.
func TestQueryAtServers(t *testing.T) {
	data := strangeData(t)
	prometheus := apiPrometheus(t, data)
	end := dataEnd.Format(time.RFC3339)
	for _, times := range [][]string{{"--time", end}, {"--start", "2026-01-02T03:00:00Z", "--end", end, "--step", "5m"}} {
		for _, expr := range []string{
			"up", "strange", "native", "changes", "custom", "no_buckets", "ends", `{"http.server.duration"}`, `{"temperatur_in_°C"}`, "sum by (code) (rate(requests_total[5m]))", "rate(native[5m])", "1 / 0", "nothing",
			"rate(up[5m])", "histogram_quantile(2, native)", "time()",
		} {
			for _, format := range []string{"table", "json", "csv"} {
				args := append([]string{"query", expr, "--format", format}, times...)
				own := runStride(t, append(args, "--tsdb.path", data)...)
				asked := runStride(t, append(args, "--url", prometheus.url)...)
				require.Equal(t, own, asked, "%s %v", expr, args)
				require.Zero(t, own.code, own.stderr)
			}
		}
		for _, expr := range []string{"up * on () requests_total", "up(", "rate(up)"} {
			args := append([]string{"query", expr}, times...)
			own, asked := runStride(t, append(args, "--tsdb.path", data)...), runStride(t, append(args, "--url", prometheus.url)...)
			require.NotZero(t, own.code)
			require.Equal(t, own.code, asked.code, "%s: %s%s", expr, own.stderr, asked.stderr)
		}
	}
	for _, selector := range []string{"native[3m]", "strange[2m]", "ends[1h]", `"text"`} {
		args := []string{"query", selector, "--format", "json", "--time", end}
		require.Equal(t, runStride(t, append(args, "--tsdb.path", data)...), runStride(t, append(args, "--url", prometheus.url)...), selector)
	}
	gone := runStride(t, "query", "up", "--url", "http://127.0.0.1:1")
	require.NotZero(t, gone.code)
	require.Contains(t, gone.stderr, "connection refused")
}

// stride compare finds no difference where there is none, between a data directory, a node, a Prometheus server and a Thanos querier, and finds what
// differs where something does.
func TestCompareServers(t *testing.T) {
	d := generate(t, steady)
	prometheus, dir := prometheusServer(t, d.dirs[0], map[string]string{"region": "eu", "replica": "a"})
	side := sidecar(t, prometheus, dir)
	own := stride(t, "--tsdb.path", d.dirs[0])
	labelled := stride(t, "--tsdb.path", d.dirs[0], "--external-label", "region=eu")
	other := stride(t, "--tsdb.path", d.dirs[1])
	thanos := thanosQuery(t, []string{side.grpc})
	file := queryFile(t, append(queries(), "up(", `label_replace(up, "0 0", "x", "instance", "(")`, "nothing * on () nothing"))
	ranges := []string{"--start", dataEnd.Add(-time.Hour).Format(time.RFC3339), "--end", dataEnd.Format(time.RFC3339), "--step", "1m"}
	at := []string{"--time", dataEnd.Format(time.RFC3339)}
	compare := func(args ...string) ran {
		return runStride(t, append([]string{"compare", "--queries", file}, args...)...)
	}
	for name, args := range map[string][]string{
		"a node and Prometheus":           {"--url", own.url, "--against", prometheus.url},
		"a data directory and Prometheus": {"--tsdb.path", d.dirs[0], "--against", prometheus.url},
		// It speaks of queries in the words of an earlier version of Prometheus, and adds up histograms as that did.
		"a node and Thanos": {"--url", labelled.url, "--against", thanos.url, "--ignore-annotations", "--tolerance=1e-12"},
		"Thanos and a node": {"--url", thanos.url, "--against", labelled.url, "--ignore-annotations", "--tolerance=1e-12"},
	} {
		for _, times := range [][]string{ranges, at} {
			got := compare(append(args, times...)...)
			require.Zero(t, got.code, "%s: %s\n%s", name, got.stderr, got.stdout)
			require.Contains(t, got.stdout, "0 different")
			require.Contains(t, got.stdout, "same error", name)
		}
	}
	for _, expr := range []string{"up", "rpc_duration_seconds", "sum by (job) (rate(http_requests_total[5m]))"} {
		args := append([]string{"query", expr, "--format", "json"}, ranges...)
		require.Equal(t, runStride(t, append(args, "--url", labelled.url)...), runStride(t, append(args, "--url", thanos.url)...), expr)
	}
	for name, args := range map[string][]string{
		"other data":       {"--url", other.url, "--against", prometheus.url},
		"external labels":  {"--url", labelled.url, "--against", prometheus.url},
		"labels of Thanos": {"--tsdb.path", d.dirs[0], "--against", thanos.url, "--ignore-annotations"},
	} {
		got := compare(append(args, ranges...)...)
		require.Equal(t, exitDifferent, got.code, "%s: %s", name, got.stdout)
		require.Contains(t, got.stdout, "DIFFERENT")
		require.Contains(t, got.stderr, "queries differ")
	}
	gone := compare("--url", own.url, "--against", "http://127.0.0.1:1")
	require.NotZero(t, gone.code)
	require.NotEqual(t, exitDifferent, gone.code)
}
