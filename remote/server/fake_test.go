package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/stats"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/client"
	"github.com/stride-promql/stride/remote/server"
)

// asked is a query as an engine gets it.
type asked struct {
	ctx                  context.Context
	text                 string
	version              int
	plan                 []byte
	opts                 promql.QueryOpts
	ranged               bool
	start, end, interval int64
}

// fake is an engine whose queries do what a test wants.
type fake struct {
	coverage []remote.Coverage
	caps     remote.Capabilities
	// stream or exec answers.
	stream func(ctx context.Context, a asked) (remote.ColumnStream, error)
	exec   func(ctx context.Context, a asked) *promql.Result
	newErr error

	mu     sync.Mutex
	asked  []asked
	closed int
}

func (f *fake) Name() string { return "fake" }
func (f *fake) Labels() []string {
	var names []string
	for _, c := range f.coverage {
		c.Labels.Range(func(l labels.Label) { names = append(names, l.Name) })
	}
	return names
}
func (f *fake) Coverage() []remote.Coverage       { return f.coverage }
func (f *fake) Capabilities() remote.Capabilities { return f.caps }

func (f *fake) NewInstantQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, ts time.Time) (promql.Query, error) {
	return f.newQuery(asked{ctx: ctx, opts: opts, start: ts.UnixMilli()}, q)
}

func (f *fake) NewRangeQuery(ctx context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	return f.newQuery(asked{ctx: ctx, opts: opts, ranged: true, start: start.UnixMilli(), end: end.UnixMilli(), interval: interval.Milliseconds()}, q)
}

func (f *fake) newQuery(a asked, q remote.RemoteQuery) (promql.Query, error) {
	a.text = q.String()
	a.version, a.plan = q.Plan()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, a)
	if f.newErr != nil {
		return nil, f.newErr
	}
	fq := fakeQuery{f: f, a: a}
	if f.stream != nil {
		return &fakeStreamer{fq}, nil
	}
	return &fq, nil
}

// last is what was asked last.
func (f *fake) last() asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[len(f.asked)-1]
}

type fakeQuery struct {
	f *fake
	a asked
}

func (q *fakeQuery) Exec(ctx context.Context) *promql.Result { return q.f.exec(ctx, q.a) }
func (q *fakeQuery) Close() {
	q.f.mu.Lock()
	defer q.f.mu.Unlock()
	q.f.closed++
}
func (*fakeQuery) Statement() parser.Statement { return nil }
func (*fakeQuery) Stats() *stats.Statistics {
	s := stats.NewQuerySamples(false)
	s.TotalSamples, s.PeakSamples = 42, 7
	return &stats.Statistics{Timers: stats.NewQueryTimers(), Samples: s}
}
func (*fakeQuery) Cancel()          {}
func (q *fakeQuery) String() string { return q.a.text }

type fakeStreamer struct{ fakeQuery }

func (q *fakeStreamer) Stream(ctx context.Context) (remote.ColumnStream, error) {
	return q.f.stream(ctx, q.a)
}

// columnStream gives columns, and then what then does.
type columnStream struct {
	columns []*remote.Columns
	trailer remote.Trailer
	then    func(ctx context.Context) error // nil: the end
	closed  *sync.WaitGroup                 // nil: not waited for
}

func (s *columnStream) Next(ctx context.Context) (*remote.Columns, error) {
	if len(s.columns) > 0 {
		c := s.columns[0]
		s.columns = s.columns[1:]
		return c, nil
	}
	if s.then == nil {
		return nil, io.EOF
	}
	return nil, s.then(ctx)
}
func (s *columnStream) Trailer() remote.Trailer { return s.trailer }
func (s *columnStream) Close() error {
	if s.closed != nil {
		s.closed.Done()
		s.closed = nil
	}
	return nil
}

// streaming makes an engine stream the same to all.
func streaming(make func() *columnStream) func(context.Context, asked) (remote.ColumnStream, error) {
	return func(context.Context, asked) (remote.ColumnStream, error) { return make(), nil }
}

// selector is a fake that gives samples.
type selector struct {
	*fake
	storage.Queryable
}

// listen is a node of an engine, and how to reach it.
func listen(t testing.TB, engine remote.RemoteEngine, opts server.Options) (*server.Server, grpc.DialOption) {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := server.New(engine, opts)
	l := bufconn.Listen(1 << 20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		<-done
	})
	return s, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) })
}

// connect is a client of a node that has said what it is.
func connect(t testing.TB, to grpc.DialOption, opts client.Options) *client.Client {
	t.Helper()
	opts.Dial = append(opts.Dial, to)
	if opts.Name == "" {
		opts.Name = "leaf"
	}
	c, err := client.New("passthrough:///leaf", opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.Refresh(t.Context()))
	return c
}

// serve is a client of a node of an engine.
func serve(t testing.TB, engine remote.RemoteEngine, opts server.Options) *client.Client {
	t.Helper()
	_, to := listen(t, engine, opts)
	return connect(t, to, client.Options{})
}

// stream starts a query of 4 steps.
func stream(t testing.TB, ctx context.Context, c *client.Client, q *remote.Text) (remote.ColumnStream, error) { //nolint:revive // t comes first
	t.Helper()
	query, err := c.NewRangeQuery(ctx, nil, q, time.UnixMilli(1000), time.UnixMilli(1006), 2*time.Millisecond)
	if err != nil {
		return nil, err
	}
	return query.(remote.Streamer).Stream(ctx)
}

// drain reads a stream to its end.
func drain(ctx context.Context, s remote.ColumnStream) (out []*remote.Columns, err error) {
	for {
		c, err := s.Next(ctx)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, c)
	}
}

// columns have one series for each name, with the step as sample.
func columns(from, steps int, names ...string) *remote.Columns {
	var series []remote.Series
	for _, n := range names {
		series = append(series, remote.Series{Labels: labels.FromStrings("a", n), DropName: n == "x"})
	}
	c := remote.NewColumns(series, from, steps)
	for p := range c.F {
		c.F[p] = float64(from + p%steps)
		c.Valid.Set(p)
	}
	return c
}
