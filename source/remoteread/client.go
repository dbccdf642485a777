// Package remoteread makes a Prometheus server, asked through its remote read API, an engine that gives samples: the server's chunks as they
// are where it streams them.
package remoteread

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/remote"
	"github.com/stride-promql/stride/source/extlabels"
)

// Options are those of a Client.
type Options struct {
	// External are labels that all series have besides the external labels of the server's own configuration, and that win over those. With
	// them a server need not give its configuration away.
	External labels.Labels
	// HTTP sends the requests; nil is http.DefaultClient.
	HTTP *http.Client
	// Interval is how often the server is asked for its external labels, and for the time of its oldest sample; 0 is 10 s. Timeout is how
	// long it may take to answer that; 0 is 5 s.
	Interval, Timeout time.Duration
	// Patience is how long the server may be silent while it answers; 0 is no limit, but 1 min for names and values of
	// labels, which no timeout of a query ends.
	Patience time.Duration
	// MaxSeries, MaxSamples and MaxBytes are the most that is read for one selector; 0 is no limit.
	MaxSeries, MaxSamples, MaxBytes int64
}

func (o Options) withDefaults() Options {
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Interval <= 0 {
		o.Interval = 10 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	return o
}

// Client is a server as a remote.RemoteEngine that gives samples only. It asks the server again and again until Close what it has. What it
// found out last holds while the server does not answer, so that queries fail then, and do not go without it.
type Client struct {
	opts Options
	base *url.URL
	name string

	found  atomic.Pointer[finding] // nil before the server has answered
	mu     sync.Mutex
	status Status

	closing context.CancelFunc
	closed  chan struct{}
}

// finding is what is known of a server.
type finding struct {
	own       labels.Labels // the server's external labels
	external  labels.Labels // of the series
	start     int64         // time of the oldest sample
	announced []remote.Coverage
}

var _ interface {
	remote.RemoteEngine
	remote.Selector
	storage.ChunkQueryable
} = (*Client)(nil)

// readPath is where the API is on a server.
const readPath = "/api/v1/read"

// Parse reads the address of a server, such as http://localhost:9090, with or without the path of its API.
func Parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is not the address of a Prometheus server: write http://host:port", address)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%q has a user name in it, which would show in errors and in the log: put it into a file of HTTP options", u.Redacted())
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), readPath)
	u.RawQuery, u.Fragment = "", ""
	return u, nil
}

// New makes a client of the server at an address. It does not wait for the server.
func New(address string, opts Options) (*Client, error) {
	base, err := Parse(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{opts: opts.withDefaults(), base: base, name: base.String(), closing: cancel, closed: make(chan struct{})}
	c.status.LastError = errNoAnswer
	go c.poll(ctx)
	return c, nil
}

var errNoAnswer = errors.New("it has not answered yet")

// Close ends asking the server.
func (c *Client) Close() error {
	c.closing()
	<-c.closed
	c.opts.HTTP.CloseIdleConnections()
	return nil
}

// Name implements remote.RemoteEngine: it is the address.
func (c *Client) Name() string { return c.name }

// Labels implements remote.RemoteEngine.
func (c *Client) Labels() (names []string) {
	if f := c.found.Load(); f != nil {
		f.external.Range(func(l labels.Label) { names = append(names, l.Name) })
	}
	return names
}

// Announced is what the server has, by its external labels; nil until it has answered.
func (c *Client) Announced() []remote.Coverage {
	if f := c.found.Load(); f != nil {
		return f.announced
	}
	return nil
}

// Coverage implements remote.RemoteEngine.
func (c *Client) Coverage() []remote.Coverage {
	if a := c.Announced(); a != nil {
		return a
	}
	unknown, _ := remote.Unknown()
	return unknown
}

// Capabilities implements remote.RemoteEngine.
func (c *Client) Capabilities() remote.Capabilities {
	return remote.Capabilities{SamplesOnly: true, Unheard: c.found.Load() == nil}
}

var errNoQueries = errors.New("it is asked for samples only, and evaluates no queries")

// NewInstantQuery implements remote.RemoteEngine: it fails.
func (c *Client) NewInstantQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time) (promql.Query, error) {
	return nil, c.error(errNoQueries)
}

// NewRangeQuery implements remote.RemoteEngine: it fails.
func (c *Client) NewRangeQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time, time.Time, time.Duration) (promql.Query, error) {
	return nil, c.error(errNoQueries)
}

// error is an error that names the server.
func (c *Client) error(err error) error { return remote.EngineError(c.name, err) }

// Querier implements remote.Selector.
func (c *Client) Querier(mint, maxt int64) (storage.Querier, error) {
	s, err := c.labelled()
	if err != nil {
		return nil, err
	}
	q, err := s.Querier(mint, maxt)
	return ordered{q, c}, err
}

// ChunkQuerier implements storage.ChunkQueryable.
func (c *Client) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	s, err := c.labelled()
	if err != nil {
		return nil, err
	}
	q, err := s.ChunkQuerier(mint, maxt)
	return orderedChunks{q, c}, err
}

// labelled is the server's storage, with its external labels. These are not in the storage: the server answers matchers of them as if no series
// had them, and adds them to what it gives behind the order of series.
func (c *Client) labelled() (storage.SampleAndChunkQueryable, error) {
	err := c.LastError() // before: there is one as long as nothing is found
	f := c.found.Load()
	if f == nil {
		return nil, c.error(err)
	}
	plain := plainStorage{c, f.own}
	if f.external.IsEmpty() {
		return plain, nil
	}
	return extlabels.New(plain, f.external), nil
}

// plainStorage is the storage of a server without external labels.
type plainStorage struct {
	client *Client
	own    labels.Labels
}

// Querier implements storage.Queryable.
func (s plainStorage) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{labelQuerier{newRequests(s, mint, maxt)}}, nil
}

// ChunkQuerier implements storage.ChunkQueryable.
func (s plainStorage) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return &chunkQuerier{labelQuerier{newRequests(s, mint, maxt)}}, nil
}
