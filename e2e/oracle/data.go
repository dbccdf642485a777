package oracle

import (
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/cmd/stride/livedata"
	"github.com/stride-promql/stride/source/extlabels"
)

// Generate writes data into a directory with the program that users have, and returns the directories of its blocks, the oldest first.
func Generate(t testing.TB, stride, dir string, args ...string) (blocks []string) {
	t.Helper()
	out, err := exec.Command(stride, append([]string{"generate", "--out", dir}, args...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	return Blocks(t, dir)
}

// Blocks are the directories of the blocks in a directory, the oldest first.
func Blocks(t testing.TB, dir string) (blocks []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*", "meta.json"))
	require.NoError(t, err)
	for _, meta := range all {
		blocks = append(blocks, filepath.Dir(meta))
	}
	slices.Sort(blocks) // by their identifiers, which begin with their times
	return blocks
}

// Copy copies blocks into a directory.
func Copy(t testing.TB, dir string, blocks ...string) {
	t.Helper()
	for _, b := range blocks {
		require.NoError(t, os.CopyFS(filepath.Join(dir, filepath.Base(b)), os.DirFS(b)))
	}
}

// FirstTime is when the oldest block of a directory begins.
func FirstTime(t testing.TB, dir string) time.Time {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(Blocks(t, dir)[0], "meta.json"))
	require.NoError(t, err)
	var meta struct{ MinTime int64 }
	require.NoError(t, json.Unmarshal(content, &meta))
	return time.UnixMilli(meta.MinTime)
}

// Open is the data of a directory, under external labels, until the test ends.
func Open(t testing.TB, dir string, external labels.Labels) storage.Queryable {
	t.Helper()
	live := livedata.New(dir, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, live.Load())
	t.Cleanup(live.Close)
	return extlabels.New(live, external)
}

// Merge is the data of several storages.
func Merge(all ...storage.Queryable) storage.Queryable {
	return storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		var queriers []storage.Querier
		for _, q := range all {
			querier, err := q.Querier(mint, maxt)
			if err != nil {
				return nil, err
			}
			queriers = append(queriers, querier)
		}
		return storage.NewMergeQuerier(queriers, nil, storage.ChainedSeriesMerge), nil
	})
}
