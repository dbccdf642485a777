package replica

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/stride-promql/stride/remote"
)

// query is one query of a group.
type query struct {
	group *Group
	text  string
	needs remote.Intervals
	ask   func(context.Context, remote.RemoteEngine) (promql.Query, error)
}

var _ remote.Streamer = (*query)(nil)

// Stream implements remote.Streamer.
func (q *query) Stream(ctx context.Context) (remote.ColumnStream, error) {
	r, err := begin(ctx, q.group, q.needs, func(m *member) opener[*remote.Columns] {
		return func(ctx context.Context) (answer[*remote.Columns], error) { return q.open(ctx, m) }
	})
	if err != nil {
		return nil, err
	}
	return &stream{r}, nil
}

// open gets a member to answer.
func (q *query) open(ctx context.Context, m *member) (answer[*remote.Columns], error) {
	sent, err := q.ask(ctx, m.engine)
	if err != nil {
		return nil, err
	}
	s, ok := sent.(remote.Streamer)
	if !ok {
		sent.Close()
		return nil, errors.New("a member of a replica group has to answer as a stream")
	}
	out, err := s.Stream(ctx)
	if err != nil {
		sent.Close()
		return nil, err
	}
	return out, nil
}

// Exec implements promql.Query; it is not called, Stream takes its place.
func (q *query) Exec(context.Context) *promql.Result {
	return &promql.Result{Err: errors.New("a query of a replica group is streamed")}
}

// Close implements promql.Query.
func (*query) Close() {}

// Statement implements promql.Query.
func (*query) Statement() parser.Statement { return nil }

// Stats implements promql.Query.
func (*query) Stats() *stats.Statistics { return nil }

// Cancel implements promql.Query.
func (*query) Cancel() {}

// String implements promql.Query.
func (q *query) String() string { return q.text }
