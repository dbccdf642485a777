package containers

import (
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/efficientgo/e2e"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/observe"
)

// The ports inside of containers.
const (
	httpPort = 9090
	grpcPort = 10901
	// writePort is where receivers take samples.
	writePort = 19291
)

// Environment is a network of nodes that are gone when the test ends. Its directory has the same path here and in all of them.
type Environment struct {
	t   testing.TB
	env *e2e.DockerEnvironment
	log *observe.Tail
}

// New makes an environment of a name of at most 11 letters. What is left of an earlier one of that name is removed first: it may not have come to its
// end.
func New(t testing.TB, name string) *Environment {
	t.Helper()
	alone(t)
	imageOf(t)
	e := &Environment{t: t, log: &observe.Tail{}}
	dir := cache(t, "e2e", "run", name)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.MkdirAll(dir, 0o777))
	t.Setenv("E2E_TEMP_DIR", dir)
	var err error
	e.env, err = e2e.New(e2e.WithName(name+"-"+checkout(t)), e2e.WithLogger(e2e.NewLogger(e.log)))
	require.NoError(t, err)
	stay := e.closeWhenInterrupted(dir)
	t.Cleanup(func() {
		stay()
		if t.Failed() {
			t.Logf("the end of what containers wrote:\n%s", e.log)
		}
		e.env.Close()
		_ = os.Remove(dir)
	})
	return e
}

// closeWhenInterrupted removes everything when the process is told to end, which it does without the cleanups of tests. Not any more once the function
// that it returns was called.
func (e *Environment) closeWhenInterrupted(dir string) (stay func()) {
	told, over := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-told:
			e.env.Close()
			_ = os.Remove(dir)
			os.Exit(1)
		case <-over:
		}
	}()
	return func() { signal.Stop(told); close(over) }
}

// Dir makes a directory that all nodes see.
func (e *Environment) Dir(name string) string {
	e.t.Helper()
	dir := filepath.Join(e.env.SharedDir(), name)
	require.NoError(e.t, os.MkdirAll(dir, 0o777))
	return dir
}

// File writes a file that all nodes see.
func (e *Environment) File(name, content string) string {
	e.t.Helper()
	path := filepath.Join(e.env.SharedDir(), name)
	require.NoError(e.t, os.WriteFile(path, []byte(content), 0o666))
	return path
}

// Options of a container.
type Options struct {
	// CPUs are how many it may use, in all of its time; 0: all.
	CPUs float64
	// Memory is how many bytes it may have; 0: no limit.
	Memory uint
	// Env are its environment variables.
	Env map[string]string
}

// start runs a program as a container, and waits until a path answers with 200.
func (e *Environment) start(name, ready string, o Options, command string, args ...string) *Node {
	e.t.Helper()
	n := &Node{Name: name, e: e, ready: ready}
	n.Runnable = e.env.Runnable(name).WithPorts(map[string]int{"http": httpPort, "grpc": grpcPort, "write": writePort}).Init(e2e.StartOptions{
		Image: imageOf(e.t), Command: e2e.NewCommand(command, args...), User: strconv.Itoa(os.Getuid()),
		LimitMemoryBytes: o.Memory, LimitCPUs: o.CPUs, EnvVars: o.Env,
	})
	n.boot()
	return n
}

// patience is how long anything may take to be as it should be.
const patience = time.Minute
