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
	c, err := q.group.newContest(ctx, q.needs, func() reply { return &columns{query: q} })
	if err != nil {
		return nil, err
	}
	return &stream{contest: c}, nil
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
