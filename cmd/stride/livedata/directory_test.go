package livedata

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/internal/tsdbdir"
)

// server is a Prometheus server's storage that writes into a directory.
func server(t *testing.T) *tsdb.DB {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func appendSample(t *testing.T, db *tsdb.DB, at int64) {
	t.Helper()
	app := db.Appender(t.Context())
	_, err := app.Append(0, labels.FromStrings("__name__", "up"), at, 1)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
}

// newDirectory reads the directory of db. Temporary files go to a directory that must be empty in the end.
func newDirectory(t *testing.T, db *tsdb.DB) *Directory {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	d := New(db.Dir(), promslog.NewNopLogger(), nil)
	t.Cleanup(func() {
		d.Close()
		left, err := os.ReadDir(tmp)
		require.NoError(t, err)
		require.Empty(t, left, "temporary files are left")
	})
	return d
}

func times(t *testing.T, q storage.Querier) (all []int64) {
	t.Helper()
	set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "up"))
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() == chunkenc.ValFloat {
			all = append(all, it.AtT())
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return all
}

func chunkTimes(t *testing.T, q storage.ChunkQuerier) (all []int64) {
	t.Helper()
	set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "up"))
	for set.Next() {
		chunks := set.At().Iterator(nil)
		for chunks.Next() {
			it := chunks.At().Chunk.Iterator(nil)
			for it.Next() == chunkenc.ValFloat {
				all = append(all, it.AtT())
			}
		}
		require.NoError(t, chunks.Err())
	}
	require.NoError(t, set.Err())
	return all
}

// A querier sees what there was when it was made, a later one what has been added.
func TestLoad(t *testing.T) {
	db := server(t)
	d := newDirectory(t, db)
	_, err := d.Querier(0, math.MaxInt64)
	require.ErrorIs(t, err, ErrNotLoaded)
	_, _, ok := d.Bounds()
	require.False(t, ok)
	require.NoError(t, d.Load())
	_, _, ok = d.Bounds()
	require.False(t, ok, "there are no samples")
	require.Empty(t, d.Intervals())

	appendSample(t, db, 1000)
	require.NoError(t, d.Load())
	before, err := d.Querier(0, math.MaxInt64)
	require.NoError(t, err)
	chunksBefore, err := d.ChunkQuerier(0, math.MaxInt64)
	require.NoError(t, err)

	appendSample(t, db, 2000)
	require.Equal(t, []int64{1000}, times(t, before))
	require.NoError(t, d.Load())
	after, err := d.Querier(0, math.MaxInt64)
	require.NoError(t, err)
	mint, maxt, ok := d.Bounds()
	require.True(t, ok)
	require.Equal(t, []int64{1000, 2000}, []int64{mint, maxt})
	require.Equal(t, []tsdbdir.Interval{{MinTime: 1000, MaxTime: 2000}}, d.Intervals())

	require.Equal(t, []int64{1000}, times(t, before))
	require.Equal(t, []int64{1000}, chunkTimes(t, chunksBefore))
	require.Equal(t, []int64{1000, 2000}, times(t, after))
	require.NoError(t, before.Close())
	require.Equal(t, []int64{1000}, chunkTimes(t, chunksBefore))
	require.NoError(t, chunksBefore.Close())
	require.NoError(t, after.Close())
}

func TestLoadOnlyWhatChanged(t *testing.T) {
	db := server(t)
	appendSample(t, db, 1000)
	d := newDirectory(t, db)
	opened := 0
	d.open = func(dir string) (*tsdbdir.DB, error) {
		opened++
		return tsdbdir.Open(dir)
	}
	for range 3 {
		require.NoError(t, d.Load())
	}
	require.Equal(t, 1, opened)
	appendSample(t, db, 2000)
	require.NoError(t, d.Load())
	require.Equal(t, 2, opened)
}

// A directory that cannot be read any more leaves what was there.
func TestLoadFails(t *testing.T) {
	db := server(t)
	appendSample(t, db, 1000)
	d := newDirectory(t, db)
	reg := prometheus.NewRegistry()
	d.metrics = newMetrics(reg)
	require.NoError(t, d.Load())
	broken := errors.New("broken")
	d.open = func(string) (*tsdbdir.DB, error) { return nil, broken }
	appendSample(t, db, 2000)
	require.ErrorIs(t, d.Load(), broken)
	q, err := d.Querier(0, math.MaxInt64)
	require.NoError(t, err)
	require.Equal(t, []int64{1000}, times(t, q))
	require.NoError(t, q.Close())

	// It is tried again, although nothing has changed since.
	d.open = tsdbdir.Open
	require.NoError(t, d.Load())
	_, maxt, _ := d.Bounds()
	require.EqualValues(t, 2000, maxt)
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP stride_tsdb_loads_total How often the data directory was read, by whether that succeeded.
# TYPE stride_tsdb_loads_total counter
stride_tsdb_loads_total{result="error"} 1
stride_tsdb_loads_total{result="success"} 2
# HELP stride_tsdb_newest_sample_timestamp_seconds Time of the newest sample in the data directory when it was last read.
# TYPE stride_tsdb_newest_sample_timestamp_seconds gauge
stride_tsdb_newest_sample_timestamp_seconds 2
`), "stride_tsdb_loads_total", "stride_tsdb_newest_sample_timestamp_seconds"))

	none := New(filepath.Join(db.Dir(), "none"), promslog.NewNopLogger(), nil)
	require.ErrorContains(t, none.Load(), "no such directory")
	none.Close()
}

// Close waits for queriers, and a Load that comes too late leaves nothing.
func TestClose(t *testing.T) {
	db := server(t)
	appendSample(t, db, 1000)
	d := newDirectory(t, db)
	require.NoError(t, d.Load())
	q, err := d.Querier(0, math.MaxInt64)
	require.NoError(t, err)
	closed := make(chan struct{})
	go func() {
		d.Close()
		close(closed)
	}()
	for !isClosed(d) {
		runtime.Gosched()
	}
	select {
	case <-closed:
		t.Fatal("Close did not wait")
	default:
	}
	require.Equal(t, []int64{1000}, times(t, q))
	require.NoError(t, q.Close())
	<-closed
	require.Error(t, q.Close(), "a second time changes nothing")

	_, err = d.ChunkQuerier(0, math.MaxInt64)
	require.ErrorIs(t, err, ErrNotLoaded)
	appendSample(t, db, 2000)
	require.ErrorIs(t, d.Load(), ErrNotLoaded)
}

func isClosed(d *Directory) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

func TestFollow(t *testing.T) {
	db := server(t)
	appendSample(t, db, 1000)
	d := newDirectory(t, db)
	require.NoError(t, d.Load())
	loaded, failed := make(chan struct{}), make(chan struct{}, 1)
	first := true
	d.open = func(dir string) (*tsdbdir.DB, error) {
		if first { // It goes on after an error.
			first = false
			failed <- struct{}{}
			return nil, errors.New("broken")
		}
		defer close(loaded)
		return tsdbdir.Open(dir)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { d.Follow(ctx, time.Millisecond) })
	appendSample(t, db, 2000)
	<-failed
	<-loaded
	cancel()
	running.Wait()
	_, maxt, _ := d.Bounds()
	require.EqualValues(t, 2000, maxt)
}

// Queries go on while the directory is loaded again and again.
func TestConcurrentUse(t *testing.T) {
	db := server(t)
	appendSample(t, db, 1000)
	d := newDirectory(t, db)
	require.NoError(t, d.Load())
	done := make(chan struct{})
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				q, err := d.Querier(0, math.MaxInt64)
				if err != nil {
					t.Error(err)
					return
				}
				if _, _, err := q.LabelValues(context.Background(), "__name__", nil); err != nil {
					t.Error(err)
				}
				if err := q.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range int64(5) {
		appendSample(t, db, 2000+i)
		require.NoError(t, d.Load())
	}
	close(done)
	running.Wait()
}
