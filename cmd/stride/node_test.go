package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/stride-promql/stride/engine"
)

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// parsedServe is the command with its flags.
func parsedServe(t *testing.T, args ...string) *serveCommand {
	t.Helper()
	app := kingpin.New("stride", "")
	s := newServeCommand(app)
	_, err := app.Parse(append([]string{"serve"}, args...))
	require.NoError(t, err)
	return s
}

// slowNode is a node with a path that answers when it is told to, or that its client is gone.
type slowNode struct {
	*node
	log     *syncBuffer
	address string
	asked   chan struct{}
	answer  chan struct{}
	seen    chan error
}

func newSlowNode(t *testing.T) *slowNode {
	t.Helper()
	n := &slowNode{log: &syncBuffer{}, asked: make(chan struct{}), answer: make(chan struct{}), seen: make(chan error, 1)}
	var err error
	n.node, err = parsedServe(t, "--tsdb.path", sampleDir(t)).newNode(n.log)
	require.NoError(t, err)
	inner := n.server.Handler
	n.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			inner.ServeHTTP(w, r)
			return
		}
		close(n.asked)
		select {
		case <-n.answer:
			_, err := io.WriteString(w, "answered")
			n.seen <- err
		case <-r.Context().Done():
			n.seen <- r.Context().Err()
		}
	})
	return n
}

// start serves with a grace period, and waits until the node is ready.
func (n *slowNode) start(ctx context.Context, t *testing.T, grace time.Duration) (done chan error) {
	t.Helper()
	done = make(chan error, 1)
	require.NoError(t, n.listen(ctx, "127.0.0.1:0", ""))
	go func() { done <- n.serve(ctx, 0, grace) }()
	n.waitFor(t, "Ready")
	n.address = n.forUsers.Addr().String()
	return done
}

// ask sends a slow request and waits until it is there.
func (n *slowNode) ask(t *testing.T) chan string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Get("http://" + n.address + "/slow")
		if err != nil {
			got <- err.Error()
			return
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		got <- string(b)
	}()
	<-n.asked
	return got
}

func (n *slowNode) waitFor(t *testing.T, message string) {
	t.Helper()
	for !strings.Contains(n.log.String(), message) {
		require.NoError(t, t.Context().Err())
		runtime.Gosched()
	}
}

func TestShutdownWaitsForRequests(t *testing.T) {
	n := newSlowNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := n.start(ctx, t, time.Hour)
	got := n.ask(t)
	cancel()
	n.waitFor(t, "Shutting down")
	// There is nobody to take connections any more, but for those that are there.
	for {
		conn, err := net.Dial("tcp", n.address)
		if err != nil {
			break
		}
		require.NoError(t, conn.Close())
	}
	close(n.answer)
	require.Equal(t, "answered", <-got)
	require.NoError(t, <-n.seen)
	require.NoError(t, <-done)
	require.NotContains(t, n.log.String(), "cancelled")
}

// A query that is let finish keeps the connections that it needs.
func TestShutdownKeepsConnections(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	address, _ := storeNode(t, sampleDir(t), labels.FromStrings("cluster", "eu"), grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		once.Do(func() { close(asked) })
		select {
		case <-answer:
			return handler(srv, ss)
		case <-ss.Context().Done():
			return ss.Context().Err()
		}
	}))
	log := &syncBuffer{}
	inner, err := parsedServe(t, "--endpoint="+address).newNode(log)
	require.NoError(t, err)
	n := &slowNode{node: inner, log: log}
	ctx, cancel := context.WithCancel(t.Context())
	done := n.start(ctx, t, time.Hour)
	got := make(chan string, 1)
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Get("http://" + n.address + "/api/v1/query?partial_response=1&query=count(up)&time=" + sampleEnd)
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		got <- string(body)
	}()
	<-asked
	cancel()
	n.waitFor(t, "Shutting down")
	for {
		conn, err := net.Dial("tcp", n.address)
		if err != nil {
			break
		}
		require.NoError(t, conn.Close())
	}
	close(answer)
	body := <-got
	require.Contains(t, body, `"value":[`)
	require.NotContains(t, body, "warnings")
	require.NoError(t, <-done)
}

func TestShutdownCancelsSlowRequests(t *testing.T) {
	n := newSlowNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := n.start(ctx, t, time.Millisecond)
	got := n.ask(t)
	cancel()
	require.NoError(t, <-done)
	require.ErrorIs(t, <-n.seen, context.Canceled)
	require.Contains(t, <-got, "EOF")
	require.Contains(t, n.log.String(), "Queries that run longer than the grace period are cancelled")
}

func TestSlowQueryLog(t *testing.T) {
	st := promqltest.LoadedStorage(t, "load 1m\n  up 1x10\n")
	e := engine.New(engine.Opts{})
	ask := func(over time.Duration) string {
		var b bytes.Buffer
		e.SetQueryLogger(&slowQueryLog{slog.NewJSONHandler(&b, nil), over})
		q, err := e.NewRangeQuery(t.Context(), st, nil, "sum(up)", time.Unix(0, 0), time.Unix(600, 0), time.Minute)
		require.NoError(t, err)
		defer q.Close()
		ctx := promql.NewOriginContext(t.Context(), map[string]any{"httpRequest": map[string]string{"clientIP": "192.0.2.1"}})
		require.NoError(t, q.Exec(ctx).Err)
		return b.String()
	}
	require.Empty(t, ask(time.Hour))
	var line struct {
		Level, Msg string
		Duration   int64
		Params     struct{ Query, Start string }
		Stats      struct{ Samples map[string]int }
		HTTP       struct{ ClientIP string } `json:"httpRequest"`
	}
	require.NoError(t, json.Unmarshal([]byte(ask(0)), &line))
	require.Equal(t, "WARN", line.Level)
	require.Equal(t, "slow query", line.Msg)
	require.Positive(t, line.Duration)
	require.Equal(t, "sum(up)", line.Params.Query)
	require.Equal(t, "192.0.2.1", line.HTTP.ClientIP)
	require.Equal(t, 11, line.Stats.Samples["totalQueryableSamples"])

	l := &slowQueryLog{slog.NewJSONHandler(io.Discard, nil), time.Second}
	require.Equal(t, time.Second, l.WithGroup("g").(*slowQueryLog).over)
	require.Equal(t, time.Second, l.WithAttrs(nil).(*slowQueryLog).over)
	require.False(t, (&slowQueryLog{slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}), 0}).Enabled(t.Context(), slog.LevelInfo))
}

func TestLimiterFollowsTheProcess(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	s := &serveCommand{}
	require.Nil(t, s.newLimiter(prometheus.NewRegistry()))
	debug.SetMemoryLimit(10 << 30)
	require.EqualValues(t, 5<<30, s.newLimiter(prometheus.NewRegistry()).Limit())
	s.memoryLimit = 1 << 30
	require.EqualValues(t, 1<<30, s.newLimiter(prometheus.NewRegistry()).Limit())
}

func TestConfigYAML(t *testing.T) {
	require.Equal(t, "global: {}\n", configYAML(labels.EmptyLabels()))
	require.Equal(t, "global:\n  external_labels:\n    \"a b\": \"x\\\"\\ny\"\n", configYAML(labels.FromStrings("a b", "x\"\ny")))
}
