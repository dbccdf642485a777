package engine_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/stride-promql/stride/source/blockindex"
)

// flushed answers queries from a block: before it opens a querier it writes what its TSDB holds in memory into a
// new one. The TSDB keeps its head, for samples may be appended anywhere later, as the suite does between
// queries. With head set the queriers merge block and head, which hold the same samples. Series of the block are read
// by source/blockindex.
type flushed struct {
	*teststorage.TestStorage
	t     testing.TB
	head  bool
	grown bool
	block *tsdb.Block // nil while there are no samples

	indexes blockindex.Cache
}

func newFlushed(t testing.TB, head bool) storage.Storage {
	return &flushed{TestStorage: promqltest.NewBuiltinTestStorage(t), t: t, head: head}
}

func (s *flushed) Appender(ctx context.Context) storage.Appender {
	s.grown = true
	return s.TestStorage.Appender(ctx)
}

func (s *flushed) AppenderV2(ctx context.Context) storage.AppenderV2 {
	s.grown = true
	return s.TestStorage.AppenderV2(ctx)
}

func (s *flushed) flush() error {
	if !s.grown {
		return nil
	}
	s.grown = false
	if err := s.closeBlock(); err != nil {
		return err
	}
	dir := s.t.TempDir()
	if err := s.Snapshot(dir, true); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return err
	}
	s.block, err = tsdb.OpenBlock(nil, filepath.Join(dir, entries[0].Name()), nil, nil)
	return err
}

func (s *flushed) closeBlock() (err error) {
	if s.block != nil {
		err = errors.Join(s.block.Close(), s.indexes.Close())
	}
	s.block = nil
	return err
}

func (s *flushed) Querier(mint, maxt int64) (storage.Querier, error) {
	if err := s.flush(); err != nil {
		return nil, err
	}
	if s.block == nil {
		return storage.NoopQuerier(), nil
	}
	block, err := s.indexes.Querier(s.block, mint, maxt)
	if err != nil || !s.head {
		return block, err
	}
	head, err := s.TestStorage.Querier(mint, maxt)
	if err != nil {
		return nil, errors.Join(err, block.Close())
	}
	return storage.NewMergeQuerier([]storage.Querier{block, head}, nil, storage.ChainedSeriesMerge), nil
}

func (s *flushed) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	if err := s.flush(); err != nil {
		return nil, err
	}
	if s.block == nil {
		return storage.NoopChunkedQuerier(), nil
	}
	block, err := s.indexes.ChunkQuerier(s.block, mint, maxt)
	if err != nil || !s.head {
		return block, err
	}
	head, err := s.TestStorage.ChunkQuerier(mint, maxt)
	if err != nil {
		return nil, errors.Join(err, block.Close())
	}
	return storage.NewMergeChunkQuerier([]storage.ChunkQuerier{block, head}, nil, storage.NewCompactingChunkSeriesMerger(storage.ChainedSeriesMerge)), nil
}

func (s *flushed) Close() error {
	return errors.Join(s.closeBlock(), s.TestStorage.Close())
}

// compacted is a TSDB that moves its head into a block of its own before every query after an append. What is
// appended later before the block's end goes into the out-of-order head.
type compacted struct {
	*teststorage.TestStorage
	grown bool
}

func newCompacted(t testing.TB) storage.Storage {
	return &compacted{TestStorage: teststorage.New(t, func(o *tsdb.Options) {
		o.EnableSTStorage = true
		o.FloatChunkEncoding = chunkenc.EncXOR2
		o.EnableHistogramSTEncoding = true
		o.OutOfOrderTimeWindow = (1000 * 24 * time.Hour).Milliseconds()
	})}
}

func (s *compacted) Appender(ctx context.Context) storage.Appender {
	s.grown = true
	return s.TestStorage.Appender(ctx)
}

func (s *compacted) AppenderV2(ctx context.Context) storage.AppenderV2 {
	s.grown = true
	return s.TestStorage.AppenderV2(ctx)
}

func (s *compacted) compact() error {
	h := s.Head()
	if !s.grown || h.MinTime() == math.MaxInt64 {
		return nil
	}
	s.grown = false
	return s.CompactHead(tsdb.NewRangeHead(h, h.MinTime(), h.MaxTime()))
}

func (s *compacted) Querier(mint, maxt int64) (storage.Querier, error) {
	if err := s.compact(); err != nil {
		return nil, err
	}
	return s.TestStorage.Querier(mint, maxt)
}

func (s *compacted) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	if err := s.compact(); err != nil {
		return nil, err
	}
	return s.TestStorage.ChunkQuerier(mint, maxt)
}

// newFanout is a storage that writes to two and merges what both hold.
func newFanout(t testing.TB) storage.Storage {
	return storage.NewFanout(promslog.NewNopLogger(), promqltest.NewBuiltinTestStorage(t), promqltest.NewBuiltinTestStorage(t))
}

func TestFlushedHoldsBlocks(t *testing.T) {
	st := newFlushed(t, false).(*flushed)
	defer st.Close()
	app := st.AppenderV2(t.Context())
	appendFloats(t, app, "m", 0, 15_000, 10, func(i int) float64 { return float64(i) })
	require.NoError(t, app.Commit())
	q, err := st.ChunkQuerier(0, math.MaxInt64)
	require.NoError(t, err)
	require.NoError(t, q.Close())
	require.NotNil(t, st.block)
	require.EqualValues(t, 10, st.block.Meta().Stats.NumSamples)
}
