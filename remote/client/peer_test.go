package client

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// peer is a node that answers as a test wants, however wrong.
type peer struct {
	thanospb.UnimplementedInfoServer
	thanospb.UnimplementedStoreServer
	stridepb.UnimplementedEngineServer

	info    func() (*thanospb.InfoResponse, error)
	query   func(out grpc.ServerStreamingServer[stridepb.QueryResponse]) error
	samples func(out grpc.ServerStreamingServer[stridepb.SelectResponse]) error
	answer  func(req any, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error
	series  func(req *thanospb.SeriesRequest, out grpc.ServerStreamingServer[thanospb.SeriesResponse]) error

	mu       sync.Mutex
	metadata metadata.MD // of the last query
	listener *bufconn.Listener
	server   *grpc.Server
	done     chan struct{}
}

func (p *peer) Info(context.Context, *thanospb.InfoRequest) (*thanospb.InfoResponse, error) {
	return p.info()
}

func (p *peer) Query(_ *stridepb.QueryRequest, out grpc.ServerStreamingServer[stridepb.QueryResponse]) error {
	p.mu.Lock()
	p.metadata, _ = metadata.FromIncomingContext(out.Context())
	p.mu.Unlock()
	return p.query(out)
}

func (p *peer) Select(_ *stridepb.SelectRequest, out grpc.ServerStreamingServer[stridepb.SelectResponse]) error {
	return p.samples(out)
}

func (p *peer) Series(req *thanospb.SeriesRequest, out grpc.ServerStreamingServer[thanospb.SeriesResponse]) error {
	return p.series(req, out)
}

// LabelNames answers as a node of before v0.36 does, which does not know of labels to leave out.
func (p *peer) LabelNames(context.Context, *thanospb.LabelNamesRequest) (*thanospb.LabelNamesResponse, error) {
	return &thanospb.LabelNamesResponse{Names: [][]byte{[]byte("a"), []byte("replica")}}, nil
}

// thanosPeer is a peer's thanos.Query.
type thanosPeer struct {
	thanospb.UnimplementedQueryServer
	p *peer
}

func (t *thanosPeer) Query(req *thanospb.QueryRequest, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
	return t.p.answer(req, out)
}

func (t *thanosPeer) QueryRange(req *thanospb.QueryRangeRequest, out grpc.ServerStreamingServer[thanospb.QueryResponse]) error {
	return t.p.answer(req, out)
}

// start begins to listen, and stop ends it at once.
func (p *peer) start() {
	l := bufconn.Listen(1 << 16)
	s := grpc.NewServer()
	thanospb.RegisterInfoServer(s, p)
	thanospb.RegisterStoreServer(s, p)
	thanospb.RegisterQueryServer(s, &thanosPeer{p: p})
	stridepb.RegisterEngineServer(s, p)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.server, p.done = l, s, done
}

func (p *peer) stop() {
	p.server.Stop()
	<-p.done
}

func (p *peer) dial(ctx context.Context, _ string) (net.Conn, error) {
	p.mu.Lock()
	l := p.listener
	p.mu.Unlock()
	return l.DialContext(ctx)
}

var strideInfo = &thanospb.InfoResponse{
	ComponentType: "query",
	Store:         &thanospb.StoreInfo{MinTime: math.MinInt64, MaxTime: math.MaxInt64},
	Query:         &thanospb.QueryAPIInfo{},
	Stride:        &thanospb.StrideInfo{LanguageLevel: "3.16", PlanVersion: 1, Selects: true},
}

var thanosInfo = &thanospb.InfoResponse{
	ComponentType: "query",
	Store:         &thanospb.StoreInfo{MinTime: math.MinInt64, MaxTime: math.MaxInt64},
	Query:         &thanospb.QueryAPIInfo{},
	Status:        &thanospb.StatusInfo{},
}

// connect is a client of a peer that says info of itself.
func connect(t testing.TB, p *peer, info *thanospb.InfoResponse, opts Options) *Client {
	t.Helper()
	if p.info == nil {
		p.info = func() (*thanospb.InfoResponse, error) { return info, nil }
	}
	p.start()
	t.Cleanup(func() { p.stop() })
	opts.Name = "leaf"
	opts.Dial = append(opts.Dial, grpc.WithContextDialer(p.dial))
	c, err := New("passthrough:///leaf", opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// rangeQuery is one of three steps, a second apart.
func rangeQuery(t testing.TB, c *Client, opts promql.QueryOpts) promql.Query {
	t.Helper()
	q, err := c.NewRangeQuery(t.Context(), opts, &remote.Text{Query: "up"}, time.Unix(10, 0), time.Unix(12, 0), time.Second)
	require.NoError(t, err)
	return q
}

// read is all that a stream of such a query gives.
func read(t testing.TB, c *Client) (columns []*remote.Columns, s remote.ColumnStream, err error) {
	t.Helper()
	if s, err = rangeQuery(t, c, nil).(remote.Streamer).Stream(t.Context()); err != nil {
		return nil, nil, err
	}
	defer s.Close()
	for {
		c, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return columns, s, nil
		}
		if err != nil {
			return columns, s, err
		}
		columns = append(columns, c)
	}
}

// encoded is a series with a sample at each of some times, in ms.
func encoded(t testing.TB, name string, times ...int64) []byte {
	t.Helper()
	s := promql.Series{Metric: labels.FromStrings("a", name)}
	for _, ms := range times {
		s.Floats = append(s.Floats, promql.FPoint{T: ms, F: float64(ms)})
	}
	b, err := wire.EncodeThanosSeries(s)
	require.NoError(t, err)
	return b
}
