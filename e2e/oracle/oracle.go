// Package oracle says what is right: what Prometheus' engine answers to queries over all of the data at once.
package oracle

import (
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/client"
)

// Oracle knows the answers to queries: instant ones at End, and range ones.
type Oracle struct {
	Data       storage.Queryable
	Start, End time.Time
	Step       time.Duration

	mu    sync.Mutex
	known map[question]parser.Value
}

type question struct {
	expr    string
	instant bool
}

// Answers compares what a server says to queries with what is right, and fails the test where they differ.
func (o *Oracle) Answers(t testing.TB, url string, queries []string) {
	t.Helper()
	asked, err := client.New(url, nil)
	require.NoError(t, err)
	defer asked.Close()
	compared, samples := 0, 0
	for _, expr := range queries {
		for _, instant := range []bool{true, false} {
			want := o.Right(t, expr, instant)
			got, err := asked.Query(t.Context(), o.Query(expr, instant))
			if err != nil {
				t.Errorf("%s (instant: %t): %v", expr, instant, err)
				continue
			}
			compared++
			samples += Size(want)
			if diff := Difference(want, got.Value); diff != "" {
				t.Errorf("%s (instant: %t): %s; warnings: %q", expr, instant, diff, got.Warnings)
			}
		}
	}
	require.Greater(t, samples, compared, "answers without data show nothing")
	t.Logf("%d answers compared, of %d samples", compared, samples)
}

// Query is what to ask a server.
func (o *Oracle) Query(expr string, instant bool) client.Query {
	if instant {
		return client.Query{Expr: expr, Instant: true, Start: o.End, End: o.End}
	}
	return client.Query{Expr: expr, Start: o.Start, End: o.End, Step: o.Step}
}

// Right is the right answer, which is evaluated once.
func (o *Oracle) Right(t testing.TB, expr string, instant bool) parser.Value {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if v, ok := o.known[question{expr, instant}]; ok {
		return v
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e8, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{}),
	})
	var q promql.Query
	var err error
	if instant {
		q, err = engine.NewInstantQuery(t.Context(), o.Data, nil, expr, o.End)
	} else {
		q, err = engine.NewRangeQuery(t.Context(), o.Data, nil, expr, o.Start, o.End, o.Step)
	}
	require.NoError(t, err, expr)
	// The query is not closed: its points stay what they are.
	res := q.Exec(t.Context())
	require.NoError(t, res.Err, expr)
	if o.known == nil {
		o.known = map[question]parser.Value{}
	}
	o.known[question{expr, instant}] = res.Value
	return res.Value
}
