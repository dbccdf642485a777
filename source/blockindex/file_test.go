package blockindex

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/encoding"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/stretchr/testify/require"
)

// indexes are the index files of generated blocks.
func indexes(tb testing.TB) []string {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(generate(tb, 50), "*", "index"))
	require.NoError(tb, err)
	require.NotEmpty(tb, paths)
	return paths
}

// changed is a copy of a file after the function had its way with it.
func changed(t *testing.T, path string, by func([]byte) []byte) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "index")
	require.NoError(t, os.WriteFile(out, by(b), 0o600))
	return out
}

// What is damaged is an error. Older formats are left to Prometheus.
func TestDamaged(t *testing.T) {
	path := indexes(t)[0]
	toc := func(b []byte) *index.TOC {
		toc, err := index.NewTOCFromByteSlice(mapping(b))
		require.NoError(t, err)
		return toc
	}
	for name, c := range map[string]struct {
		by   func([]byte) []byte
		want string
	}{
		"short":   {func(b []byte) []byte { return b[:3] }, "not an index file"},
		"foreign": {func(b []byte) []byte { b[0]++; return b }, "not an index file"},
		"cut":     {func(b []byte) []byte { return b[:len(b)-60] }, "invalid checksum"},
		"symbols": {func(b []byte) []byte { b[toc(b).Symbols+20]++; return b }, "read symbols: invalid checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			damaged := changed(t, path, c.by)
			_, err := open(damaged)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, damaged)
		})
	}
	_, err := open(filepath.Join(t.TempDir(), "index"))
	require.ErrorIs(t, err, os.ErrNotExist)

	f, err := open(changed(t, path, func(b []byte) []byte { b[4] = index.FormatV1; return b }))
	require.NoError(t, err)
	require.Nil(t, f.symbols)
	require.NoError(t, f.close())

	var at int64
	f, err = open(changed(t, path, func(b []byte) []byte {
		at = int64(toc(b).Series+15) / 16
		b[at*16+4]++
		return b
	}))
	require.NoError(t, err)
	var builder labels.ScratchBuilder
	require.ErrorIs(t, f.series(storage.SeriesRef(at), &builder, nil), encoding.ErrInvalidChecksum)
	for _, ref := range []storage.SeriesRef{storage.SeriesRef(len(f.bytes) / 16), 1 << 40, 1<<64 - 1} {
		require.ErrorIs(t, f.series(ref, &builder, nil), encoding.ErrInvalidSize)
	}
	require.NoError(t, f.close())
}

// FuzzSeries reads entries of any bytes: what can be read is what Prometheus reads. TestSameAsPrometheus has entries that can be.
func FuzzSeries(f *testing.F) {
	var all []*file
	for _, path := range indexes(f) {
		opened, err := open(path)
		require.NoError(f, err)
		f.Cleanup(func() { require.NoError(f, opened.close()) })
		all = append(all, opened)
		toc, err := index.NewTOCFromByteSlice(mapping(opened.bytes))
		require.NoError(f, err)
		entry, err := opened.entry(storage.SeriesRef((toc.Series + 15) / 16))
		require.NoError(f, err)
		f.Add([]byte(entry))
	}
	f.Add([]byte{})
	f.Add([]byte{1, 0x80})
	f.Add(binary.AppendUvarint([]byte{0}, 1<<60))
	symbols := all[0]
	reference := index.Decoder{LookupSymbol: func(_ context.Context, n uint32) (string, error) { return symbols.symbol(uint64(n)) }}
	f.Fuzz(func(t *testing.T, entry []byte) {
		// A file with nothing but the entry and its checksum, and the symbols of a real one.
		b := binary.AppendUvarint(nil, uint64(len(entry)))
		b = append(b, entry...)
		b = binary.BigEndian.AppendUint32(b, crc32.Checksum(entry, castagnoli))
		alone := &file{bytes: b}
		body, err := alone.entry(0)
		require.NoError(t, err)
		require.Equal(t, entry, append([]byte{}, body...))

		var want, got labels.ScratchBuilder
		var wanted, read []chunks.Meta
		if symbols.decode(body, &got, &read) != nil {
			return // Prometheus takes counts and symbols that overflow for others.
		}
		require.NoError(t, reference.Series(entry, &want, &wanted))
		require.Equal(t, want.Labels(), got.Labels())
		require.Equal(t, wanted, read)
	})
}
