package discovery

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/stride-promql/stride/remote"
)

// absent is an Engine in the place of an endpoint that there is no connection to be had with: its name cannot be looked up, or stands for no
// address, or it cannot be dialled. As one that has not answered yet it may have data of all times and any labels, so that queries fail, or warn,
// and do not go without it in silence.
type absent struct {
	endpoint Endpoint

	mu  sync.Mutex
	err error
	at  time.Time
}

var _ interface {
	Engine
	remote.Selector
	storage.ChunkQueryable
} = (*absent)(nil)

// note says why the endpoint is still absent.
func (a *absent) note(err error, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err, a.at = err, at
}

// Name implements remote.RemoteEngine: it is the endpoint as it is configured.
func (a *absent) Name() string { return a.endpoint.Address }

// Labels implements remote.RemoteEngine.
func (*absent) Labels() []string { return nil }

// Coverage implements remote.RemoteEngine.
func (*absent) Coverage() []remote.Coverage {
	coverage, _ := remote.Unknown()
	return coverage
}

// Capabilities implements remote.RemoteEngine.
func (*absent) Capabilities() remote.Capabilities {
	_, capabilities := remote.Unknown()
	return capabilities
}

// NewInstantQuery implements remote.RemoteEngine.
func (a *absent) NewInstantQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time) (promql.Query, error) {
	return nil, a.error()
}

// NewRangeQuery implements remote.RemoteEngine.
func (a *absent) NewRangeQuery(context.Context, promql.QueryOpts, remote.RemoteQuery, time.Time, time.Time, time.Duration) (promql.Query, error) {
	return nil, a.error()
}

// Querier implements remote.Selector.
func (a *absent) Querier(int64, int64) (storage.Querier, error) { return nil, a.error() }

// ChunkQuerier implements storage.ChunkQueryable.
func (a *absent) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) { return nil, a.error() }

func (a *absent) error() error { return remote.EngineError(a.Name(), a.LastError()) }

// Ready implements Engine.
func (*absent) Ready() bool { return false }

// LastCheck implements Engine: it is when it was last tried.
func (a *absent) LastCheck() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}

// LastError implements Engine.
func (a *absent) LastError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Close implements Engine.
func (*absent) Close() error { return nil }
