package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/stride-promql/stride/bench/peer"
	"github.com/stride-promql/stride/bench/record"
)

// peerVariable makes the test's program a peer program.
const peerVariable = "STRIDE_BENCH_TEST_PEER"

func TestMain(m *testing.M) {
	if os.Getenv(peerVariable) != "" {
		peer.Serve(odd{})
		return
	}
	os.Exit(m.Run())
}

// odd is an engine that does what its query says, and leaves a temporary file.
type odd struct{}

func (odd) Open(string, int) error {
	return os.WriteFile(filepath.Join(os.TempDir(), "left"), nil, 0o666)
}
func (odd) Close() error { return nil }
func (odd) Execute(_ context.Context, q peer.Query) (peer.Result, error) {
	switch q.Expr {
	case "crash":
		os.Exit(3)
	case "hang":
		select {}
	case "babble":
		_, _ = os.Stdout.WriteString("what?\n")
	}
	return nil, errors.New("no answer")
}

// oddCell is a cell of which the program is odd.
func oddCell(t *testing.T, ctx context.Context, query string, cores ...int) *cell {
	t.Helper()
	t.Setenv(peerVariable, "1")
	file, err := os.Executable()
	require.NoError(t, err)
	r := &Runner{workers: 2, config: Config{Cache: t.TempDir(), CPUs: cores}, programs: programs{files: map[string]string{"odd": file}}}
	c := &cell{engine: Engine{Name: "odd"}, record: record.Cell{Expr: query, Status: record.OK}}
	require.True(t, c.start(ctx, "data", r), c.record.Reason)
	require.FileExists(t, filepath.Join(c.process.tmp, "left"))
	t.Cleanup(c.process.close)
	return c
}

// TestBadPrograms: however a program ends, the cell says so, and nothing is left behind.
func TestBadPrograms(t *testing.T) {
	for _, x := range []struct {
		query, reason string
		status        record.Status
	}{
		{"fail", "no answer", record.Failed},
		{"crash", "exit status 3", record.Failed},
		{"babble", "what?", record.Failed},
		{"hang", "took longer than 1ms and did not stop", record.TimedOut},
	} {
		t.Run(x.query, func(t *testing.T) {
			c := oddCell(t, context.Background(), x.query)
			timeout := time.Minute
			if x.query == "hang" {
				timeout = time.Millisecond
			}
			require.Nil(t, c.sample(peer.Run, timeout))
			require.Equal(t, x.status, c.record.Status)
			require.Contains(t, c.record.Reason, x.reason)
			require.False(t, c.record.NotStarted)
			require.NoDirExists(t, c.process.tmp)
		})
	}
}

// TestInterrupted: a program does not outlive the run.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := oddCell(t, ctx, "hang")
	cancel()
	require.Nil(t, c.sample(peer.Run, time.Hour))
	require.Contains(t, c.record.Reason, "signal: killed")
	require.NoDirExists(t, c.process.tmp)
}

func TestNotStarted(t *testing.T) {
	c := &cell{engine: Engine{Name: "x"}, record: record.Cell{Status: record.OK}}
	r := &Runner{config: Config{Cache: t.TempDir()}, programs: programs{files: map[string]string{"x": "no such file"}}}
	require.False(t, c.start(context.Background(), "data", r))
	require.True(t, c.record.NotStarted)
	require.Equal(t, record.Failed, c.record.Status)
	left, err := os.ReadDir(r.config.Cache)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestPinned looks at all threads of a program.
func TestPinned(t *testing.T) {
	core := 0
	var ours unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &ours))
	for !ours.IsSet(core) {
		core++
	}
	require.NoError(t, checkCores([]int{core}))
	require.ErrorContains(t, checkCores([]int{1023}), "no core 1023")

	c := oddCell(t, context.Background(), "fail", core)
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(c.process.cmd.Process.Pid) + "/task/*/status")
	require.NoError(t, err)
	require.Greater(t, len(threads), 1)
	want := strconv.Itoa(core)
	for _, file := range threads {
		require.Equal(t, want, field(file, "Cpus_allowed_list"))
	}
	if ours.Count() > 1 {
		require.NotEqual(t, want, field("/proc/self/status", "Cpus_allowed_list"), "the harness itself is not pinned")
	}
}

func TestLockCache(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, tmpPrefix+"peer-1", "tsdb-1")
	require.NoError(t, os.MkdirAll(left, 0o777))
	kept := filepath.Join(dir, "data", "small")
	require.NoError(t, os.MkdirAll(kept, 0o777))
	l, err := lockCache(dir)
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Dir(left))
	require.DirExists(t, kept)
	_, err = lockCache(dir)
	require.ErrorContains(t, err, "another run uses the cache")
	require.NoError(t, l.close())
	l, err = lockCache(dir)
	require.NoError(t, err)
	require.NoError(t, l.close())
}
