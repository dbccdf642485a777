package interop

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/observe"
)

// binary is the path of a peer, or of Stride itself, which TestMain has built.
func binary(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", ".cache", "peers", name))
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not there: make peers builds it", path)
	}
	return path
}

// process is a program that runs until the test ends.
type process struct {
	name string
	log  *observe.Tail
	done chan struct{}
}

func start(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{name: filepath.Base(path), log: &observe.Tail{}, done: make(chan struct{})}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.Dir = t.TempDir()
	require.NoError(t, cmd.Start())
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-p.done
		}
		if t.Failed() {
			t.Logf("%s %s:\n%s", p.name, strings.Join(args, " "), p.log)
		}
	})
	return p
}

// waitFor waits until what a URL answers is as it should be.
func (p *process) waitFor(t *testing.T, url string, ok func(body string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last string
	for {
		if body, err := observe.Get(ctx, url); err != nil {
			last = err.Error()
		} else if last = body; ok(body) {
			return
		}
		select {
		case <-p.done:
			t.Fatalf("%s has ended:\n%s", p.name, p.log)
		case <-ctx.Done():
			t.Fatalf("%s: %s does not answer as it should: %.2000s\n%s", p.name, url, last, p.log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func anything(string) bool { return true }

// addresses are free ones on loopback.
func addresses(t *testing.T, n int) []string {
	t.Helper()
	out := make([]string, n)
	for i := range out {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		out[i] = l.Addr().String()
	}
	return out
}
