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
	c.Engines = append(c.Engines, Engine{Name: "gone", Program: "peers/gone", Optional: true})
	r, err := New(context.Background(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	require.Contains(t, progress.String(), "warning: engine gone takes no part")
	cells, err := r.Run(context.Background())
	require.NoError(t, err, progress.String())
	require.Len(t, cells, 2*len(c.Engines))
	for _, x := range cells {
		if x.Engine == "gone" {
			require.Equal(t, record.Failed, x.Status)
			require.True(t, x.NotStarted)
			require.Contains(t, x.Reason, "build")
			continue
		}
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
	require.Contains(t, progress.String(), "2 of 2 queries were run before")

	r.config.Timeout++
	require.NotEqual(t, cells[0].Key, r.cells(r.plan()[0].dataset, r.plan()[0].query)[0].record.Key, "other settings are another cell")
}

// TestBuildFails: without an engine of its own module there is no run.
func TestBuildFails(t *testing.T) {
	_, err := New(context.Background(), Config{Source: "..", Cache: t.TempDir(), Engines: []Engine{{Name: "gone", Program: "peers/gone"}}, Progress: &bytes.Buffer{}})
	require.ErrorContains(t, err, "peers/gone")
}

func TestLeft(t *testing.T) {
	require.Empty(t, left(time.Second, 0, 5))
	require.Equal(t, ", about 6s left", left(4*time.Second, 2, 5))
}

// TestDescribe: counting, as for a head, gives what blocks say of themselves.
func TestDescribe(t *testing.T) {
	for _, d := range suite.Datasets() {
		if d.Name != suite.SmokeDataset {
			continue
		}
		dir := t.TempDir()
		require.NoError(t, d.Build(context.Background(), dir, nil))
		blocks, err := describe(d, dir)
		require.NoError(t, err)
		d.Head = true
		counted, err := describe(d, dir)
		require.NoError(t, err)
		require.Positive(t, counted.Samples)
		require.Equal(t, blocks.Samples, counted.Samples)
	}
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
