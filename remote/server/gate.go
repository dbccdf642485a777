package server

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// gate bounds the queries that are evaluated at once. A query is let in once, with all its parts: were parts let in one by one, one
// could wait for a place that another one holds which is of no use without it.
type gate struct {
	max, maxQueued int // 0 is no limit
	metrics        *metrics

	mu      sync.Mutex
	running int
	queue   list.List // of *ticket
	byID    map[string]*ticket
}

// ticket is a query that was let in or waits.
type ticket struct {
	id    string // "" for a query that has no other parts
	parts int
	in    chan struct{} // closed once it was let in
	place *list.Element // in the queue; nil once it was let in
	since time.Time
}

func newGate(most, maxQueued int, m *metrics) *gate {
	return &gate{max: most, maxQueued: maxQueued, metrics: m, byID: map[string]*ticket{}}
}

// envQueue is where a query is that waits, in errors.
const envQueue = "query queue"

// enter waits until a part of the query id may be evaluated. leave has to be called once, and only, if there is no error.
func (g *gate) enter(ctx context.Context, id string) (leave func(), err error) {
	g.mu.Lock()
	t := g.byID[id]
	if t == nil {
		if g.full() && g.maxQueued > 0 && g.queue.Len() >= g.maxQueued {
			g.mu.Unlock()
			g.metrics.refused.Inc()
			return nil, status.Error(codes.ResourceExhausted, fmt.Sprintf("%d queries are being evaluated and %d wait: try again later", g.max, g.maxQueued))
		}
		t = &ticket{id: id, in: make(chan struct{}), since: time.Now()}
		if id != "" {
			g.byID[id] = t
		}
		t.place = g.queue.PushBack(t)
		g.letIn()
	}
	t.parts++
	g.mu.Unlock()
	leave = func() { g.leave(t) }
	select {
	case <-t.in:
		return leave, nil
	default:
	}
	select {
	case <-t.in:
		return leave, nil
	case <-ctx.Done():
		leave()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, promql.ErrQueryTimeout(envQueue)
		}
		return nil, promql.ErrQueryCanceled(envQueue)
	}
}

func (g *gate) full() bool { return g.max > 0 && g.running >= g.max }

// letIn lets in who comes first, as many as there is room for.
func (g *gate) letIn() {
	for g.queue.Len() > 0 && !g.full() {
		t := g.queue.Remove(g.queue.Front()).(*ticket)
		t.place = nil
		g.running++
		g.metrics.waited.Observe(time.Since(t.since).Seconds())
		close(t.in)
	}
	g.metrics.queued.Set(float64(g.queue.Len()))
	g.metrics.running.Set(float64(g.running))
}

// leave ends a part of a query. The last one gives the place back.
func (g *gate) leave(t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.parts--; t.parts > 0 {
		return
	}
	if t.id != "" {
		delete(g.byID, t.id)
	}
	if t.place != nil {
		g.queue.Remove(t.place)
	} else {
		g.running--
	}
	g.letIn()
}
