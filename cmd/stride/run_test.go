package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/internal/gendata"
	"github.com/stride-promql/stride/internal/tsdbdir"
)

var errBroken = errors.New("broken output")

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	return 0, errBroken
}

// sampleEnd is where the samples of sampleDir end.
const sampleEnd = "2026-01-02T03:00:00Z"

// sampleDir makes a small data directory. Temporary files go to a directory that must be empty in the end.
func sampleDir(t *testing.T) string {
	t.Helper()
	return seededDir(t, 1)
}

// seededDir is sampleDir with values of another seed.
func seededDir(t *testing.T, seed uint64) string {
	t.Helper()
	end, err := time.Parse(time.RFC3339, sampleEnd)
	require.NoError(t, err)
	p := gendata.DefaultProfile(end)
	p.Series, p.Duration, p.Seed = 200, time.Hour, seed
	p.Start = end.Add(-p.Duration)
	dir := filepath.Join(t.TempDir(), "data")
	_, err = gendata.Generate(t.Context(), dir, p, nil)
	require.NoError(t, err)

	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Cleanup(func() {
		left, err := os.ReadDir(tmp)
		require.NoError(t, err)
		require.Empty(t, left, "temporary files are left")
	})
	return dir
}

// output is what a command did.
type output struct {
	code           int
	stdout, stderr string
}

func stride(t *testing.T, args ...string) output {
	t.Helper()
	var stdout, stderr strings.Builder
	code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return output{code, stdout.String(), stderr.String()}
}

// fingerprint is everything there is in a directory: names, modes, times, contents.
func fingerprint(t *testing.T, dir string) map[string]string {
	t.Helper()
	res := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		res[path] = info.Mode().String() + " " + info.ModTime().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(b)
			res[path] += " " + string(sum[:])
		}
		return nil
	}))
	return res
}

func TestQueryAgainstPrometheus(t *testing.T) {
	dir := sampleDir(t)
	before := fingerprint(t, dir)
	for _, tc := range []struct {
		expr    string
		flags   []string
		samples bool // the result must not be empty
	}{
		{"up", nil, true},
		{"up", []string{"--time", "last-30m"}, true},
		{"up[1m]", []string{"--time", sampleEnd}, true},
		{"rpc_duration_seconds", nil, true},
		{`sum by (job) (rate(http_requests_total[5m]))`, []string{"--step", "30s"}, true},
		{`histogram_quantile(0.9, rate(rpc_duration_seconds[5m]))`, []string{"--start", "last-10m", "--end", "last-5m"}, true},
		{`rate(rpc_duration_seconds[5m])`, []string{"--start", "last-10m", "--step=1m"}, true},
		{"nothing", nil, false},
		{"1e30", nil, true},
		{`"text"`, nil, true},
		{"sort_by_label(up, 'instance')", []string{"--enable-feature=promql-experimental-functions,promql-delayed-name-removal"}, true},
	} {
		got := stride(t, append([]string{"query", "--tsdb.path", dir, "--format=json", tc.expr}, tc.flags...)...)
		require.Equal(t, exitOK, got.code, "%s: %s", tc.expr, got.stderr)
		require.Equal(t, prometheusJSON(t, dir, tc.expr, tc.flags), got.stdout, "%s %v", tc.expr, tc.flags)
		require.Equal(t, !tc.samples, strings.Contains(got.stdout, `"result":[]`), "%s %v", tc.expr, tc.flags)
	}
	require.Equal(t, before, fingerprint(t, dir))
}

// prometheusJSON is the answer of Prometheus' engine to a query with these flags.
func prometheusJSON(t *testing.T, dir, expr string, flags []string) string {
	t.Helper()
	db, err := tsdbdir.Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()

	var times timeFlags
	opts := promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true}
	for len(flags) > 0 {
		name, value, ok := strings.Cut(flags[0], "=")
		flags = flags[1:]
		if !ok {
			value, flags = flags[0], flags[1:]
		}
		switch name {
		case "--time":
			times.time = value
		case "--start":
			times.start = value
		case "--end":
			times.end = value
		case "--step":
			times.step = value
		case "--enable-feature":
			opts.EnableDelayedNameRemoval = true
			opts.Parser = parser.NewParser(parser.Options{EnableExperimentalFunctions: true})
		}
	}
	s, err := times.parse()
	require.NoError(t, err)
	g, err := s.resolve(time.Time{}, time.UnixMilli(db.MaxTime()))
	require.NoError(t, err)
	e := promql.NewEngine(opts)
	var q promql.Query
	if g.instant {
		q, err = e.NewInstantQuery(t.Context(), db, nil, expr, g.end)
	} else {
		q, err = e.NewRangeQuery(t.Context(), db, nil, expr, g.start, g.end, g.step)
	}
	require.NoError(t, err)
	defer q.Close()
	res := q.Exec(t.Context())
	require.NoError(t, res.Err)
	r := &result{value: res.Value}
	r.warnings, r.infos = res.Warnings.AsStrings(expr, 0, 0)
	var b strings.Builder
	require.NoError(t, writeJSON(&b, r, view{}))
	return b.String()
}

func TestQueryFormats(t *testing.T) {
	dir := sampleDir(t)
	for format, want := range map[string]string{
		"table": "a     value\ntrue      1\n\n1 series at " + sampleEnd + "\n",
		"csv":   "timestamp,a,value\n1767322800,true,1\n",
		"json":  `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"true"},"value":[1767322800,"1"]}]}}` + "\n",
		"chart": `{a="true"} ████████████████████████ 1` + "\n",
	} {
		got := stride(t, "query", "--tsdb.path", dir, "--time", sampleEnd, "--format", format, "--width=37", `label_replace(vector(1), "a", "true", "", "")`)
		require.Equal(t, output{exitOK, want, ""}, got, format)
	}
}

func TestQueryAnnotations(t *testing.T) {
	dir := sampleDir(t)
	got := stride(t, "query", "--tsdb.path", dir, "--format=json", "sum(rate(memory_usage_bytes[5m])) + sum(rpc_duration_seconds + 1)")
	require.Equal(t, exitOK, got.code)
	require.Regexp(t, `(?m)^info: PromQL info: metric might not be a counter.*\(1:10\)$`, got.stderr)
	var answer struct {
		Infos []string `json:"infos"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &answer))
	require.Equal(t, strings.Count(got.stderr, "\n"), len(answer.Infos))
}

func TestQueryFromStdin(t *testing.T) {
	dir := sampleDir(t)
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{"query", "--tsdb.path", dir, "--format=csv", "--time=1", "-"}, strings.NewReader("1 +\n2\n"), &stdout, &stderr)
	require.Equal(t, output{exitOK, "timestamp,value\n1,3\n", ""}, output{code, stdout.String(), stderr.String()})
}

func TestExplain(t *testing.T) {
	dir := sampleDir(t)
	before := fingerprint(t, dir)
	for _, flags := range [][]string{{}, {"--analyze"}, {"--step=1m"}, {"--analyze", "--start=last-5m"}} {
		args := append([]string{"explain", "--tsdb.path", dir, "sum(up)"}, flags...)
		analyze := slices.Contains(flags, "--analyze")
		got := stride(t, args...)
		require.Equal(t, exitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, "Query: sum(up)\n")
		require.Equal(t, analyze, strings.Contains(got.stdout, "Ran in "), got.stdout)
		require.True(t, strings.HasSuffix(got.stdout, "\n") && !strings.HasSuffix(got.stdout, "\n\n"), "%q", got.stdout)

		got = stride(t, append(args, "--format=json")...)
		require.Equal(t, exitOK, got.code, got.stderr)
		var explanation map[string]any
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &explanation), got.stdout)
		require.Equal(t, "sum(up)", explanation["query"])
		require.Equal(t, analyze, explanation["analysis"] != nil, got.stdout)
	}
	require.Equal(t, before, fingerprint(t, dir))
}

func TestErrors(t *testing.T) {
	dir := sampleDir(t)
	empty := t.TempDir()
	file := filepath.Join(empty, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	before := fingerprint(t, dir)
	query := func(args ...string) []string { return append([]string{"query", "--tsdb.path", dir}, args...) }
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string // a regular expression for all of it
	}{
		{[]string{"ask"}, exitUsage, `stride: expected command but got "ask" \(see stride --help\)\n`},
		{query(), exitUsage, `stride: required argument 'expr' not provided .*\n`},
		{query("--nope", "up"), exitUsage, `stride: unknown long flag '--nope' .*\n`},
		{query("--format=xml", "up"), exitUsage, `stride: enum value must be one of .*\n`},
		{query("--width=-1", "up"), exitUsage, `stride: --width must not be negative\n`},
		{query("--workers=-1", "up"), exitUsage, `stride: .*--workers must not be negative\n`},
		{query("--query.timeout=x", "up"), exitUsage, `stride: not a valid duration string: "x" .*\n`},
		{query("--enable-feature=a,b", "up"), exitUsage, `stride: --enable-feature "a": must be one of .*promql-experimental-functions.*\n`},
		{query("--time=1", "--step=1", "up"), exitUsage, `stride: --time is for instant queries.*\n`},

		{query("--time=noon", "up"), exitTime, `stride: --time "noon": not RFC 3339 .*\n`},
		{query("--start=last-x", "up"), exitTime, `stride: --start "last-x": not a valid duration string: "x"\n`},
		{query("--end=1700000000000", "up"), exitTime, `stride: --end "1700000000000": outside the years .*\n`},
		{query("--step=0s", "up"), exitTime, `stride: --step "0s": shorter than 1ms\n`},
		{query("--start=10", "--end=5", "up"), exitTime, `stride: the end 1970-01-01T00:00:05Z is before the start 1970-01-01T00:00:10Z\n`},

		{[]string{"query", "--tsdb.path", filepath.Join(empty, "none"), "up"}, exitStorage, `stride: no such directory: .*none\n`},
		{[]string{"query", "--tsdb.path", file, "up"}, exitStorage, `stride: not a directory: .*file\n`},
		{[]string{"query", "--tsdb.path", empty, "up"}, exitStorage, `stride: .* holds no TSDB data: .*\n`},
		{[]string{"explain", "--tsdb.path", empty, "up"}, exitStorage, `stride: .* holds no TSDB data: .*\n`},

		{query(""), exitExpression, `stride: .*no expression found in input\n`},
		{query("sum(up"), exitExpression, `stride: 1:7: parse error: unclosed left parenthesis\n  sum\(up\n     *\^\n`},
		{query("up +\n  foo{"), exitExpression, `stride: 2:\d+: parse error: .*\n  +foo{\n +\^\n`},
		{query("nosuch(up)"), exitExpression, `stride: 1:1: parse error: unknown function with name "nosuch"\n  nosuch\(up\)\n  \^\n`},
		{query("sort_by_label(up, 'a')"), exitExpression, `stride: 1:1: parse error: function "sort_by_label" is not enabled\n  sort_by_label.*\n  \^\n`},
		{query("--step=1m", "up[5m]"), exitExpression, `stride: invalid expression type "range vector" for range query.*\n`},
		{[]string{"explain", "--tsdb.path", dir, "1 +"}, exitExpression, `stride: 1:4: parse error: .*\n  1 \+\n +\^\n`},

		{query("--time=0", "up"), exitNoData, `stride: no data between 1969-12-31T23:55:00.001Z and 1970-01-01T00:00:00Z: oldest sample is 2026-01-02T02:00:.*\n`},
		{query("--time=last+1h", "up"), exitNoData, `stride: no data between 2026-01-02T03:5.*: newest sample is 2026-01-02T02:59:.*Z in .*data\n`},
		{query("--start=last+1h", "--end=last+2h", "--format=json", "up"), exitNoData, `stride: no data between .*\n`},
		{query("up offset 2w"), exitNoData, `stride: no data between 2025-12-19T.*\n`},
		{[]string{"explain", "--analyze", "--tsdb.path", dir, "--time=0", "up"}, exitNoData, `stride: no data between .*\n`},

		{query("up * on (job) up"), exitQuery, `stride: found duplicate series for the match group .*\n`},
		{query("--query.max-samples=3", "up"), exitLimit, `stride: query processing would load too many samples into memory in .*: --query.max-samples is 3\n`},

		{[]string{"generate", "--out", dir}, exitStorage, `stride: output directory .* is not empty: .*\n`},
		{[]string{"generate", "--out", filepath.Join(empty, "new"), "--series=0"}, exitUsage, `stride: number of series is 0: must be at least 1\n`},
		{[]string{"generate", "--out", filepath.Join(empty, "new"), "--end=last"}, exitTime, `stride: --end "last": there is no newest sample yet\n`},
		{[]string{"generate", "--out", filepath.Join(empty, "new"), "--end=soon"}, exitTime, `stride: --end "soon": not RFC 3339.*\n`},
		{[]string{"demo", "--cache", file}, exitStorage, `stride: .*not a directory\n`},
	} {
		got := stride(t, tc.args...)
		require.Equal(t, tc.code, got.code, "%q: %s", tc.args, got.stderr)
		require.Regexp(t, `\A`+tc.stderr+`\z`, got.stderr, "%q", tc.args)
		require.Empty(t, got.stdout, "%q", tc.args)
	}
	require.Equal(t, before, fingerprint(t, dir))
}

func TestEmptyResults(t *testing.T) {
	dir := sampleDir(t)
	require.Equal(t, output{exitOK, "no series at 1970-01-01T00:00:00Z\n", ""}, stride(t, "query", "--tsdb.path", dir, "--time=0", "vector(1) > 2"))
	require.Equal(t, output{exitOK, "no series at " + sampleEnd + "\n", ""}, stride(t, "query", "--tsdb.path", dir, "--time", sampleEnd, "nothing"))
	require.Equal(t, output{exitOK, "timestamp,value\n0,1\n", ""}, stride(t, "query", "--tsdb.path", dir, "--time=0", "--format=csv", "absent(nothing)"))
}

func TestMemoryBudget(t *testing.T) {
	dir := sampleDir(t)
	got := stride(t, "query", "--tsdb.path", dir, "--query.memory-budget=1KB", "--step=1s", "sum by (instance) (up)")
	require.Equal(t, exitLimit, got.code)
	require.Empty(t, got.stdout)
	require.Regexp(t, `\Astride: query needs more memory than its budget .*: --query.memory-budget is 1KiB\n\z`, got.stderr)
}

func TestTimeout(t *testing.T) {
	f := evaluationFlags{expr: "up", dir: sampleDir(t)}
	require.NoError(t, f.engine.timeout.Set("10s"))
	e, err := f.open(t.Context(), &console{})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	_, err = e.run(expired)
	var b strings.Builder
	require.Equal(t, exitTimeout, report(&b, err))
	require.Regexp(t, `\Astride: query timed out in .*: --query.timeout is 10s\n\z`, b.String())
}

func TestInterrupted(t *testing.T) {
	dir := sampleDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cache := t.TempDir()
	for _, args := range [][]string{
		{"query", "--tsdb.path", dir, "up"},
		{"explain", "--tsdb.path", dir, "up"},
		{"generate", "--out", filepath.Join(cache, "data")},
		{"demo", "--cache", cache},
	} {
		var stdout, stderr strings.Builder
		code := run(ctx, args, strings.NewReader(""), &stdout, &stderr)
		require.Equal(t, output{exitInterrupted, "", "stride: interrupted\n"}, output{code, stdout.String(), stderr.String()}, "%q", args)
	}
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestBrokenOutput(t *testing.T) {
	dir := sampleDir(t)
	args := []string{"query", "--tsdb.path", dir, "up"}
	var stderr strings.Builder
	require.Equal(t, exitFailure, run(t.Context(), args, strings.NewReader(""), brokenWriter{}, &stderr))
	require.Equal(t, "stride: broken output\n", stderr.String())
	stderr.Reset()
	require.Equal(t, exitFailure, run(t.Context(), args, strings.NewReader(""), brokenWriter{syscall.EPIPE}, &stderr))
	require.Empty(t, stderr.String())
}

func TestGenerate(t *testing.T) {
	for name := range profiles {
		dir := filepath.Join(t.TempDir(), "data")
		got := stride(t, "generate", "--out", dir, "--profile", name, "--series=60", "--duration=30m", "--end", sampleEnd)
		require.Equal(t, exitOK, got.code, got.stderr)
		require.Regexp(t, `\A`+dir+`: \d+ series, \d+ float and \d+ histogram samples in 1 blocks from 2026-01-02T02:30:.* to 2026-01-02T02:59:.*\n\z`, got.stdout)
		require.Contains(t, got.stderr, "generating: 100%\n")
		got = stride(t, "query", "--tsdb.path", dir, "--format=csv", "count(up) > 0")
		require.Equal(t, exitOK, got.code, got.stderr)
		require.Equal(t, 2, strings.Count(got.stdout, "\n"), got.stdout)
	}
}

func TestDemo(t *testing.T) {
	cache := t.TempDir()
	args := []string{"demo", "--cache", cache, "--series=400", "--duration=4h"}
	first := stride(t, args...)
	require.Equal(t, exitOK, first.code, first.stderr)
	require.Contains(t, first.stderr, "generating: 100%\n")
	for _, q := range demoQueries {
		require.Contains(t, first.stdout, q.expr)
	}
	require.NotContains(t, first.stdout, "no series")
	require.Contains(t, first.stdout, "Try next:")
	before := fingerprint(t, cache)

	second := stride(t, args...)
	require.Equal(t, exitOK, second.code, second.stderr)
	require.NotContains(t, second.stderr, "generat")
	require.Equal(t, before, fingerprint(t, cache))

	// The commands to copy must work.
	for line := range strings.Lines(nextSteps("stride", filepath.Join(cache, "400series-4h"))) {
		fields := strings.SplitN(strings.TrimSpace(line), " '", 3)
		if len(fields) < 3 {
			continue
		}
		dir, flags, _ := strings.Cut(fields[1], "'")
		args := append(strings.Fields(fields[0])[1:], dir)
		args = append(append(args, strings.Fields(flags)...), strings.TrimSuffix(fields[2], "'"))
		got := stride(t, args...)
		require.Equal(t, exitOK, got.code, "%q: %s", args, got.stderr)
		require.NotEmpty(t, got.stdout, "%q", args)
	}
}

func TestProgramName(t *testing.T) {
	require.Equal(t, "./bin/stride", programName("./bin/stride"))
	require.Equal(t, "go run ./cmd/stride", programName("/tmp/go-build12/b001/exe/stride"))
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}, {"query", "--help"}, {}} {
		got := stride(t, args...)
		require.Equal(t, exitOK, got.code, "%q", args)
		require.Empty(t, got.stderr, "%q", args)
		require.Contains(t, got.stdout, "usage: stride", "%q", args)
	}
	require.Contains(t, stride(t, "--help").stdout, "Exit codes:")
	got := stride(t, "--version")
	require.Equal(t, exitOK, got.code)
	require.True(t, strings.HasPrefix(got.stdout, "stride, version "), got.stdout)
}
