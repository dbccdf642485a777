// Package client makes a node that answers over gRPC a remote.RemoteEngine: a Stride node, or a Thanos querier.
package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/thanospb"
	"github.com/stride-promql/stride/remote/proto/wire"
)

// Options are those of a Client. The zero value is without TLS.
type Options struct {
	// Name tells the engine from others, in plans, errors and warnings; "" is the address.
	Name string
	// ReplicaLabels are labels that do not tell data sets apart, only copies of one. Series come without them.
	ReplicaLabels []string
	// RawReplicas says that the samples of Querier and ChunkQuerier keep the replica labels, for who deduplicates them.
	RawReplicas bool
	// GroupID and PeerType take the place of what the node announces if GroupID is not empty: see remote.Capabilities. Thanos' nodes
	// announce none.
	GroupID  string
	PeerType remote.PeerType

	// InfoInterval is how often the node is asked what it has, and InfoTimeout how long it may take to answer; 0 is 5 s.
	InfoInterval, InfoTimeout time.Duration
	// Patience is how long a Stride node may be silent while it answers, which it is for half a second at most; 0 is 10 s.
	Patience time.Duration
	// SampleTimeout is how long a Thanos node may be silent while it sends samples, which it does not say that it works on; 0 is endless.
	SampleTimeout time.Duration
	// Limits bound what the node may send for one Select.
	Limits Limits
	// MaxMessageBytes is the largest message that is read; 0 is 512 MiB.
	MaxMessageBytes int
	// Compression is wire.Snappy, or "" for none.
	Compression string
	// Dial are more options of the connection, such as credentials.
	Dial []grpc.DialOption
}

func (o Options) withDefaults(address string) Options {
	if o.Name == "" {
		o.Name = address
	}
	if o.InfoInterval <= 0 {
		o.InfoInterval = 5 * time.Second
	}
	if o.InfoTimeout <= 0 {
		o.InfoTimeout = 5 * time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = 512 << 20
	}
	o.ReplicaLabels = slices.Clone(o.ReplicaLabels)
	return o
}

// Client is a node as a remote.RemoteEngine. It asks the node for its Info again and again until Close. What the node said
// last holds while it does not answer, so that queries of its data fail and do not go without it; until it has said
// something it is taken to have data of all times.
type Client struct {
	opts   Options
	conn   *grpc.ClientConn
	stride stridepb.EngineClient
	query  thanospb.QueryClient
	store  thanospb.StoreClient
	info   thanospb.InfoClient

	said    atomic.Pointer[announcement]
	polling sync.Mutex
	mu      sync.Mutex
	status  Status

	closing context.CancelFunc
	closed  chan struct{}
}

var _ interface {
	remote.RemoteEngine
	remote.Selector
	storage.ChunkQueryable
} = (*Client)(nil)

// New makes a client of the node at an address in gRPC's syntax. It does not wait for the node.
func New(address string, opts Options) (*Client, error) {
	opts = opts.withDefaults(address)
	call := []grpc.CallOption{grpc.MaxCallRecvMsgSize(opts.MaxMessageBytes)}
	switch opts.Compression {
	case "":
	case wire.Snappy:
		call = append(call, grpc.UseCompressor(wire.Snappy))
	default:
		return nil, fmt.Errorf("remote engine %s: unknown compression %q: use %q, or none", opts.Name, opts.Compression, wire.Snappy)
	}
	conn, err := grpc.NewClient(address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(call...),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		// A node that is back is found within seconds.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: .2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}, opts.Dial...)...)
	if err != nil {
		return nil, fmt.Errorf("remote engine %s: %w", opts.Name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{
		opts:    opts,
		conn:    conn,
		stride:  stridepb.NewEngineClient(conn),
		query:   thanospb.NewQueryClient(conn),
		store:   thanospb.NewStoreClient(conn),
		info:    thanospb.NewInfoClient(conn),
		status:  Status{LastError: errors.New("it has not answered yet")},
		closing: cancel,
		closed:  make(chan struct{}),
	}
	c.said.Store(silence())
	go c.poll(ctx)
	return c, nil
}

// Close ends the connection, and with it all queries.
func (c *Client) Close() error {
	c.closing()
	<-c.closed
	return c.conn.Close()
}

// Name implements remote.RemoteEngine.
func (c *Client) Name() string { return c.opts.Name }

// Labels implements remote.RemoteEngine: the names of all external labels but the replica labels.
func (c *Client) Labels() []string { return c.said.Load().labels }

// Coverage implements remote.RemoteEngine.
func (c *Client) Coverage() []remote.Coverage { return c.said.Load().coverage }

// Announced is Coverage with replica labels. It is the same slice as long as nothing has changed, and nil until the node has said something.
func (c *Client) Announced() []remote.Coverage { return c.said.Load().whole }

// Capabilities implements remote.RemoteEngine.
func (c *Client) Capabilities() remote.Capabilities { return c.said.Load().capabilities }

// NewInstantQuery implements remote.RemoteEngine. A Thanos node is asked only at whole seconds.
func (c *Client) NewInstantQuery(_ context.Context, opts promql.QueryOpts, q remote.RemoteQuery, ts time.Time) (promql.Query, error) {
	return c.newQuery(&query{client: c, q: q, start: ts.UnixMilli(), end: ts.UnixMilli(), interval: 1}, opts)
}

// NewRangeQuery implements remote.RemoteEngine. A Thanos node is asked only for whole seconds.
func (c *Client) NewRangeQuery(_ context.Context, opts promql.QueryOpts, q remote.RemoteQuery, start, end time.Time, interval time.Duration) (promql.Query, error) {
	return c.newQuery(&query{client: c, q: q, ranged: true, start: start.UnixMilli(), end: end.UnixMilli(), interval: interval.Milliseconds()}, opts)
}

func (c *Client) newQuery(q *query, opts promql.QueryOpts) (promql.Query, error) {
	if opts == nil {
		opts = promql.NewPrometheusQueryOpts(false, 0, nil)
	}
	q.opts = opts
	if err := q.prepare(c.said.Load()); err != nil {
		return nil, c.error(err)
	}
	return q, nil
}

// error says of an error whose it is. Those that are not the node's are left alone.
func (c *Client) error(err error) error {
	if remote.Blameless(err) {
		return err
	}
	return remote.EngineError(c.opts.Name, plain(err))
}

// plain is an error of a call in words that say less of gRPC, unless it is so already.
func plain(err error) error {
	var already *statusError
	if errors.As(err, &already) {
		return err
	}
	if st, ok := status.FromError(err); ok {
		return &statusError{st}
	}
	return err
}

// statusError is an error of a call in words that say less of gRPC.
type statusError struct{ status *status.Status }

// Error is the message, with its code unless that is Thanos' for the error of a query.
func (e *statusError) Error() string {
	if e.status.Code() == codes.Aborted {
		return e.status.Message()
	}
	return fmt.Sprintf("%s (%s)", e.status.Message(), e.status.Code())
}

// GRPCStatus gives the status.
func (e *statusError) GRPCStatus() *status.Status { return e.status }
