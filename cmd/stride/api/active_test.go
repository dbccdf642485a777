package api

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
)

func TestActiveQueries(t *testing.T) {
	clock := time.Unix(60, 0).UTC()
	active := NewActiveQueries(2, func() time.Time { return clock })
	require.Equal(t, 2, active.GetMaxConcurrent())
	require.Empty(t, active.List())

	ctx := promql.NewOriginContext(t.Context(), map[string]any{"httpRequest": map[string]string{"clientIP": "192.0.2.1"}})
	first, err := active.Insert(ctx, "up")
	require.NoError(t, err)
	clock = clock.Add(time.Minute)
	second, err := active.Insert(t.Context(), "down")
	require.NoError(t, err)
	require.Equal(t, []ActiveQuery{
		{Query: "up", Started: time.Unix(60, 0).UTC(), Client: "192.0.2.1"},
		{Query: "down", Started: time.Unix(120, 0).UTC()},
	}, active.List())

	mux := newMux(Options{Active: active})
	require.Equal(t, success(`{"maxConcurrent":2,"queries":[{"query":"up","started":"1970-01-01T00:01:00Z","client":"192.0.2.1"},`+
		`{"query":"down","started":"1970-01-01T00:02:00Z"}]}`), get(mux, "status/active_queries", nil).Body.String())

	// A third has to wait, and gives up when it is told to.
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = active.Insert(canceled, "sideways")
	require.ErrorIs(t, err, context.Canceled)

	inserted := make(chan int)
	go func() {
		third, err := active.Insert(t.Context(), "sideways")
		if err != nil {
			t.Error(err)
		}
		inserted <- third
	}()
	active.Delete(first)
	third := <-inserted
	require.Len(t, active.List(), 2)
	active.Delete(second)
	active.Delete(third)
	require.Empty(t, active.List())
	require.NoError(t, active.Close())
}

// Parts of queries are listed with them and wait for nobody.
func TestActiveParts(t *testing.T) {
	active := NewActiveQueries(1, func() time.Time { return time.Unix(60, 0).UTC() })
	query, err := active.Insert(t.Context(), "up")
	require.NoError(t, err)
	tracker := active.Parts()
	require.Equal(t, -1, tracker.GetMaxConcurrent())
	part, err := tracker.Insert(t.Context(), "sum(up)")
	require.NoError(t, err)
	require.Len(t, active.List(), 2)
	active.Delete(query)
	require.Equal(t, []ActiveQuery{{Query: "sum(up)", Started: time.Unix(60, 0).UTC()}}, active.List())
	tracker.Delete(part)
	require.NoError(t, tracker.Close())
	require.Empty(t, active.List())
	_, err = active.Insert(t.Context(), "up") // its place is free
	require.NoError(t, err)
}
