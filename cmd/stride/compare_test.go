package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// queriesFile writes a file of queries.
func queriesFile(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "queries")
	require.NoError(t, os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o666))
	return name
}

func TestCompareSame(t *testing.T) {
	dir := sampleDir(t)
	a, b := serve(t, dir), serve(t, dir)
	queries := queriesFile(t, "# what is up", "", "up", "  sum by (job) (rate(http_requests_total[5m]))", "rate(rpc_duration_seconds[5m])",
		"rate(memory_usage_bytes[5m])", "sum(up", "up * on (job) up", "topk(2, up)", "nothing")
	for _, args := range [][]string{
		{"--url", a.url, "--time", sampleEnd},
		{"--tsdb.path", dir, "--time", sampleEnd},
		{"--url", a.url, "--start=2026-01-02T02:50:00Z", "--end", sampleEnd},
		{"--tsdb.path", dir, "--end", sampleEnd},
		{"--url", a.url},
		{"--tsdb.path", dir},
	} {
		got := stride(t, append([]string{"compare", "--against", b.url, "--queries", queries}, args...)...)
		require.Equal(t, output{exitOK, got.stdout, ""}, got, "%v", args)
		require.Regexp(t, `(?s)\Atested:    `+args[1]+`\nreference: `+b.url+`\nat: .*\n8 queries: 8 the same, 0 different\ntested:    .* in all, median .*, longest .*\nreference: .*\n\z`, got.stdout)
		require.Regexp(t, `(?m)^same        tested +\S+s  reference +\S+s  up$`, got.stdout)
		require.Regexp(t, `(?m)^same error  tested +\S+s  reference +\S+s  sum\(up$`, got.stdout)
	}
}

func TestCompareDifferent(t *testing.T) {
	dir := sampleDir(t)
	other := filepath.Join(t.TempDir(), "data")
	require.Equal(t, exitOK, stride(t, "generate", "--out", other, "--series=200", "--duration=1h", "--end", sampleEnd, "--seed=7").code)
	a, b := serve(t, dir), serve(t, other)
	args := []string{"compare", "--url", a.url, "--against", b.url, "--queries", queriesFile(t, "vector(1)", "sum(memory_usage_bytes)", "up")}
	got := stride(t, append(args, "--time", sampleEnd, "--max-differences=2")...)
	require.Equal(t, exitDifferent, got.code)
	require.Equal(t, "stride: 2 of 3 queries differ\n", got.stderr)
	require.Regexp(t, `(?m)^same .* vector\(1\)\nDIFFERENT .* sum\(memory_usage_bytes\)\n    {}: tested \S+, reference \S+ \(\S+ of it apart\)\nDIFFERENT .* up\n    {__name__=\\?"up.*\n.*\n    and \d+ more differences\n`, got.stdout)

	got = stride(t, append(args, "--end", sampleEnd)...)
	require.Equal(t, exitDifferent, got.code)
	require.Regexp(t, `(?m)^    {}: \d+ of \d+ samples differ, first at 2026\S+ tested \S+, reference \S+`, got.stdout)

	got = stride(t, append(args, "--time", sampleEnd, "--tolerance=100")...)
	require.Equal(t, "stride: 1 of 3 queries differ\n", got.stderr)
}

// Versions word annotations in their own ways; that data is missing is another thing.
func TestCompareAnnotations(t *testing.T) {
	note := ""
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[1767322800,"1"]},"warnings":[%q],"infos":["PromQL info: by another version"]}`, note)
	}))
	defer other.Close()
	args := []string{"compare", "--tsdb.path", sampleDir(t), "--against", other.URL, "--queries", queriesFile(t, "1", "("), "--time", sampleEnd}
	note = "PromQL warning: by another version"
	got := stride(t, args...)
	require.Equal(t, exitDifferent, got.code)
	require.Contains(t, got.stdout, "only reference says: PromQL warning: by another version")
	got = stride(t, append(args, "--ignore-annotations")...)
	require.Contains(t, got.stdout, "2 queries: 1 the same, 1 different")
	note = "a store has not answered"
	got = stride(t, append(args, "--ignore-annotations")...)
	require.Contains(t, got.stdout, "only reference says: a store has not answered")
	require.NotContains(t, got.stdout, "by another version")
}

func TestCompareErrors(t *testing.T) {
	dir := sampleDir(t)
	s := serve(t, dir)
	one := queriesFile(t, "up")
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"--against", s.url}, exitUsage, `required flag\(s\) '--queries' not provided`},
		{[]string{"--queries", one}, exitUsage, `required flag\(s\) '--against' not provided`},
		{[]string{"--against", s.url, "--queries", one + "x"}, exitUsage, `--queries: open .*x: no such file or directory`},
		{[]string{"--against", s.url, "--queries", queriesFile(t, "# none")}, exitUsage, `--queries: there is no query in it`},
		{[]string{"--against", s.url, "--queries", queriesFile(t, strings.Repeat("a", maxQueryLength+1))}, exitUsage, `--queries: bufio.Scanner: token too long`},
		{[]string{"--against", s.url, "--queries", one, "--url", s.url, "--tsdb.path", dir}, exitUsage, `--url and --tsdb.path exclude each other`},
		{[]string{"--against", s.url, "--queries", one, "--url", s.url, "--time=last"}, exitTime, `the newest sample of a server is not known`},
		{[]string{"--against", s.url, "--queries", one, "--tolerance=-1"}, exitUsage, `--tolerance must be a number that is not negative`},
		{[]string{"--against", "x", "--queries", one}, exitUsage, `"x" is not the address of a server`},
		{[]string{"--against", s.url, "--queries", one, "--url=x"}, exitUsage, `"x" is not the address of a server`},
		{[]string{"--against", s.url, "--queries", one, "--tsdb.path", dir + "x"}, exitStorage, `no such directory`},
		{[]string{"--against", s.url, "--queries", one, "--tsdb.path", dir, "--start=10", "--end=5"}, exitTime, `the end .* is before the start`},
		{[]string{"--against", "http://127.0.0.1:1", "--queries", one, "--tsdb.path", dir}, exitServer, `connection refused`},
	} {
		got := stride(t, append([]string{"compare"}, tc.args...)...)
		require.Equal(t, tc.code, got.code, "%q: %s", tc.args, got.stderr)
		require.Regexp(t, tc.stderr, got.stderr, "%q", tc.args)
	}
}

func TestCompareFromStdinAndInterrupted(t *testing.T) {
	dir := sampleDir(t)
	s := serve(t, dir)
	args := []string{"compare", "--against", s.url, "--tsdb.path", dir, "--queries", "-"}
	var stdout, stderr strings.Builder
	require.Equal(t, exitOK, run(t.Context(), args, strings.NewReader("up\n"), &stdout, &stderr), stderr.String())
	require.Contains(t, stdout.String(), "1 queries: 1 the same")

	ctx, cancel := context.WithCancel(t.Context())
	x := &compareCommand{}
	x.reference.url, x.server.url = s.url, s.url
	cancel()
	_, err := runBoth(ctx, mustOpen(t, &x.server), mustOpen(t, &x.reference), "up", grid{instant: true}, false)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, exitInterrupted, run(ctx, args, strings.NewReader("up\n"), &stdout, &stderr))
}

func mustOpen(t *testing.T, f *serverFlags) *server {
	t.Helper()
	s, err := f.open(&engineFlags{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}
