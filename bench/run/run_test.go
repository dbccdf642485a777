package run

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/bench/record"
	"github.com/stride-promql/stride/bench/suite"
)

// TestRun runs two queries on tiny data on all engines but Thanos', whose module may have to be downloaded, and again, when nothing is
// left to do.
func TestRun(t *testing.T) {
	cache := t.TempDir()
	var progress bytes.Buffer
	c := Config{
		Source: "..", Cache: cache, Results: filepath.Join(cache, "results.jsonl"), Tier: suite.Smoke,
		Queries: regexp.MustCompile("^small/(gauge|topk)$"), Timeout: time.Minute, Progress: &progress,
	}
	for _, e := range Engines() {
		if e.Name != Thanos {
			c.Engines = append(c.Engines, e)
		}
	}
	r, err := New(context.Background(), c)
	require.NoError(t, err)
	cells, err := r.Run(context.Background())
	require.NoError(t, err, progress.String())
	require.Len(t, cells, 2*len(c.Engines))
	for _, x := range cells {
		require.Equal(t, record.OK, x.Status, "%s on %s: %s", x.Query, x.Engine, x.Reason)
		require.NotNil(t, x.Cold)
		require.GreaterOrEqual(t, len(x.Warm), minRounds)
		require.NotEmpty(t, x.Memory)
		require.Positive(t, x.Warm[0].Wall)
		if x.Engine == Floor || x.Engine == Floor1 {
			require.Positive(t, x.Decoded)
		} else {
			require.Positive(t, x.Points)
		}
	}
	progress.Reset()
	again, err := r.Run(context.Background())
	require.NoError(t, err)
	require.Len(t, again, len(cells))
	require.NotContains(t, progress.String(), "small/", "finished cells are not run again")
}

// TestCannotRead: engines are not asked to read what they cannot.
func TestCannotRead(t *testing.T) {
	e := Engine{Name: "x", Tolerance: 1e-12}
	require.Contains(t, e.cannotRead(suite.Dataset{Encoding: "xor2"}), "XOR2")
	require.Contains(t, e.cannotRead(suite.Dataset{Encoding: "xor", Head: true}), "head")
	require.Empty(t, e.cannotRead(suite.Dataset{Encoding: "xor"}))
}

func TestNoQuery(t *testing.T) {
	r := &Runner{config: Config{Queries: regexp.MustCompile("nothing"), Progress: &bytes.Buffer{}}}
	_, err := r.Run(context.Background())
	require.ErrorContains(t, err, "no query matches")
}
