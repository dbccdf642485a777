package containers

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/efficientgo/e2e"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/e2e/observe"
)

// Node is a container with a program that others ask.
type Node struct {
	e2e.Runnable
	Name string
	// URL is where this machine reaches its HTTP port.
	URL string

	e     *Environment
	ready string
}

// GRPC is where other nodes reach it.
func (n *Node) GRPC() string { return n.InternalEndpoint("grpc") }

// Web is where other nodes reach its HTTP port.
func (n *Node) Web() string { return "http://" + n.InternalEndpoint("http") }

// Write is where this machine reaches the port on which a receiver takes samples.
func (n *Node) Write() string { return "http://" + n.Endpoint("write") }

func (n *Node) boot() {
	n.e.t.Helper()
	require.NoError(n.e.t, n.Start())
	n.locate()
	n.WaitFor(n.ready, func(string) bool { return true })
}

// locate asks for the port of this machine, which is another one after a restart.
func (n *Node) locate() {
	n.e.t.Helper()
	at := run(n.e.t, "docker", "port", n.container(), strconv.Itoa(httpPort))
	_, port, ok := strings.Cut(strings.Fields(at)[0], ":")
	require.True(n.e.t, ok, at)
	n.URL = "http://127.0.0.1:" + port
}

func (n *Node) container() string { return n.e.env.Name() + "-" + n.Runnable.Name() }

// WaitFor waits until what a path answers is as it should be.
func (n *Node) WaitFor(path string, ok func(body string) bool) {
	n.e.t.Helper()
	ctx, cancel := context.WithTimeout(n.e.t.Context(), patience)
	defer cancel()
	var last string
	for {
		if body, err := observe.Get(ctx, n.URL+path); err != nil {
			last = err.Error()
		} else if last = body; ok(body) {
			return
		}
		select {
		case <-ctx.Done():
			n.e.t.Fatalf("%s: %s does not answer as it should: %.2000s", n.Name, path, last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Get is what a path answers.
func (n *Node) Get(path string) string {
	n.e.t.Helper()
	body, err := observe.Get(n.e.t.Context(), n.URL+path)
	require.NoError(n.e.t, err)
	return body
}

// Metric is the sum of the node's own metrics of a name whose labels match, 0 without any.
func (n *Node) Metric(name, labels string) (sum float64) {
	n.e.t.Helper()
	re := regexp.MustCompile(`(?m)^` + name + `(?:\{(.*)\})? (\S+)$`)
	for _, m := range re.FindAllStringSubmatch(n.Get("/metrics"), -1) {
		if !strings.Contains(m[1], labels) {
			continue
		}
		v, err := strconv.ParseFloat(m[2], 64)
		require.NoError(n.e.t, err)
		sum += v
	}
	return sum
}

// Crash kills it, as if the machine had lost power. Boot starts it again.
func (n *Node) Crash() {
	n.e.t.Helper()
	require.NoError(n.e.t, n.Kill())
}

// Boot starts a node again that was killed.
func (n *Node) Boot() {
	n.e.t.Helper()
	// The container is removed some time after it has ended, and its name is taken until then.
	for deadline := time.Now().Add(patience); run(n.e.t, "docker", "ps", "-aq", "--filter", "name=^/"+n.container()+"$") != ""; time.Sleep(50 * time.Millisecond) {
		require.True(n.e.t, time.Now().Before(deadline), "%s stays", n.Name)
	}
	n.boot()
}

// Pause stops it in the middle of what it does: connections stay, and nothing answers.
func (n *Node) Pause() { n.e.t.Helper(); run(n.e.t, "docker", "pause", n.container()) }

// Unpause lets it go on.
func (n *Node) Unpause() { n.e.t.Helper(); run(n.e.t, "docker", "unpause", n.container()) }

// CutOff takes it off the network.
func (n *Node) CutOff() {
	n.e.t.Helper()
	run(n.e.t, "docker", "network", "disconnect", n.e.env.Name(), n.container())
}

// Reconnect gives it its network back, under the same name.
func (n *Node) Reconnect() {
	n.e.t.Helper()
	run(n.e.t, "docker", "network", "connect", "--alias", n.Runnable.Name(), n.e.env.Name(), n.container())
	n.locate()
}

// PID is that of its program, on this machine.
func (n *Node) PID() int {
	n.e.t.Helper()
	pid, err := strconv.Atoi(run(n.e.t, "docker", "inspect", "-f", "{{.State.Pid}}", n.container()))
	require.NoError(n.e.t, err)
	return pid
}

// ResetPeak lets Usage.Peak of its process start anew.
func (n *Node) ResetPeak(pid int) {
	n.e.t.Helper()
	require.NoError(n.e.t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0))
}
