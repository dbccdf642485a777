package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql"
)

// ActiveQueries limits how many queries run at once, and knows which do. It is a promql.QueryTracker, to be used by one engine or
// by several that are to keep to the limit together.
type ActiveQueries struct {
	slots chan struct{}
	now   func() time.Time

	mu      sync.Mutex
	last    int // number of the query that came last
	running map[int]ActiveQuery
}

// ActiveQuery is a query that runs.
type ActiveQuery struct {
	Query   string    `json:"query"`
	Started time.Time `json:"started"`
	Client  string    `json:"client,omitempty"` // address, of those that came by HTTP
}

var _ promql.QueryTracker = (*ActiveQueries)(nil)

// NewActiveQueries lets that many queries run at once, which must be at least one; others wait until one has ended.
func NewActiveQueries(maxConcurrent int, now func() time.Time) *ActiveQueries {
	return &ActiveQueries{slots: make(chan struct{}, maxConcurrent), now: now, running: map[int]ActiveQuery{}}
}

// GetMaxConcurrent implements promql.QueryTracker.
func (t *ActiveQueries) GetMaxConcurrent() int { return cap(t.slots) }

// Insert implements promql.QueryTracker.
func (t *ActiveQueries) Insert(ctx context.Context, query string) (int, error) {
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return t.add(ctx, query), nil
}

func (t *ActiveQueries) add(ctx context.Context, query string) (index int) {
	q := ActiveQuery{Query: query, Started: t.now(), Client: client(ctx)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.running[t.last] = q
	return t.last
}

// client is the address that a query came from, as httputil.ContextFromRequest puts it into a context.
func client(ctx context.Context) string {
	origin, _ := ctx.Value(promql.QueryOrigin{}).(map[string]any)
	request, _ := origin["httpRequest"].(map[string]string)
	return request["clientIP"]
}

// Delete implements promql.QueryTracker.
func (t *ActiveQueries) Delete(index int) {
	t.remove(index)
	<-t.slots
}

func (t *ActiveQueries) remove(index int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, index)
}

// Parts is a tracker for parts of queries that other nodes ask for. They are among those that run, but not limited here: who asks limits queries,
// and parts that waited behind these might wait for each other.
func (t *ActiveQueries) Parts() promql.QueryTracker { return parts{t} }

type parts struct{ of *ActiveQueries }

// GetMaxConcurrent implements promql.QueryTracker: there is no limit.
func (parts) GetMaxConcurrent() int { return -1 }

// Insert implements promql.QueryTracker.
func (p parts) Insert(ctx context.Context, query string) (int, error) {
	return p.of.add(ctx, query), nil
}

// Delete implements promql.QueryTracker.
func (p parts) Delete(index int) { p.of.remove(index) }

// Close implements promql.QueryTracker.
func (parts) Close() error { return nil }

// List returns the queries that run, those that have run longest first.
func (t *ActiveQueries) List() []ActiveQuery {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]ActiveQuery, 0, len(t.running))
	for _, q := range t.running {
		list = append(list, q)
	}
	slices.SortFunc(list, func(a, b ActiveQuery) int { return a.Started.Compare(b.Started) })
	return list
}

// Close implements promql.QueryTracker.
func (t *ActiveQueries) Close() error { return nil }
