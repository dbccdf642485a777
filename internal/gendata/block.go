package gendata

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/efficientgo/core/errors"
	"github.com/efficientgo/core/merrors"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// unfinished marks the directory of a block that is being written. Prometheus
// removes such directories when it starts.
const unfinished = ".tmp-for-creation"

// segmentSize is the size of a block's chunk files, for which room is taken when
// they are begun.
const segmentSize = 128 << 20

// blockWriter writes one block, series by series in the order of their labels.
type blockWriter struct {
	dir    string // unfinished
	meta   tsdb.BlockMeta
	floats chunkenc.Encoding
	chunks *chunks.Writer
	index  *index.Writer
}

// newBlockWriter begins a block for the samples of a range below dir. symbols
// are all strings of its labels.
func newBlockWriter(ctx context.Context, dir string, p Profile, r timeRange, symbols []string) (_ *blockWriter, err error) {
	id, err := blockID(p.Seed, r)
	if err != nil {
		return nil, err
	}
	w := &blockWriter{
		dir: filepath.Join(dir, id.String()+unfinished),
		meta: tsdb.BlockMeta{
			ULID: id, MinTime: r.mint, MaxTime: r.maxt, Version: 1,
			Compaction: tsdb.BlockMetaCompaction{Level: 1, Sources: []ulid.ULID{id}},
		},
		floats: chunkenc.EncXOR,
	}
	if p.XOR2 {
		w.floats = chunkenc.EncXOR2
	}
	defer func() {
		if err != nil {
			err = merrors.New(err, w.abort()).Err()
		}
	}()
	if err := os.Mkdir(w.dir, 0o777); err != nil {
		return nil, errors.Wrap(err, "make block directory")
	}
	if w.chunks, err = chunks.NewWriter(filepath.Join(w.dir, "chunks"), chunks.WithSegmentSize(segmentSize)); err != nil {
		return nil, errors.Wrap(err, "write chunks")
	}
	if w.index, err = index.NewWriter(ctx, filepath.Join(w.dir, "index")); err != nil {
		return nil, errors.Wrap(err, "write index")
	}
	for _, s := range symbols {
		if err := w.index.AddSymbol(s); err != nil {
			return nil, errors.Wrap(err, "write index")
		}
	}
	return w, nil
}

// blockID makes an identifier that is the same whenever the same data is made.
func blockID(seed uint64, r timeRange) (ulid.ULID, error) {
	var id ulid.ULID
	entropy := binary.BigEndian.AppendUint64(nil, hash(seed, uint64(r.mint), uint64(r.maxt)))
	if err := id.SetEntropy(append(entropy, 0, 0)); err != nil {
		return id, errors.Wrap(err, "make block identifier")
	}
	// Times before 1970 have no place in one.
	return id, errors.Wrap(id.SetTime(uint64(max(r.maxt, 0))), "make block identifier")
}

// add writes the samples of a series, if it has any.
func (w *blockWriter) add(lset labels.Labels, all samples) error {
	it := storage.NewSeriesToChunkEncoderWithFloatEncoding(&storage.SeriesEntry{
		Lset:             lset,
		SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator { return storage.NewListSeriesIterator(all) },
	}, w.floats).Iterator(nil)
	var metas []chunks.Meta
	for it.Next() {
		metas = append(metas, it.At())
	}
	if err := it.Err(); err != nil || len(metas) == 0 {
		return errors.Wrapf(err, "encode series %s", lset)
	}
	if err := w.chunks.WriteChunks(metas...); err != nil {
		return errors.Wrap(err, "write chunks")
	}
	ref := storage.SeriesRef(w.meta.Stats.NumSeries)
	if err := w.index.AddSeries(ref, lset, metas...); err != nil {
		return errors.Wrap(err, "write index")
	}
	w.meta.Stats.NumSeries++
	w.meta.Stats.NumChunks += uint64(len(metas))
	for _, m := range metas {
		n := uint64(m.Chunk.NumSamples())
		w.meta.Stats.NumSamples += n
		if m.Chunk.Encoding() == chunkenc.EncXOR || m.Chunk.Encoding() == chunkenc.EncXOR2 {
			w.meta.Stats.NumFloatSamples += n
		} else {
			w.meta.Stats.NumHistogramSamples += n
		}
	}
	return nil
}

// finish completes the block's files, leaving it to the caller to publish it.
func (w *blockWriter) finish() error {
	if err := w.close(); err != nil {
		return errors.Wrap(err, "finish block")
	}
	b, err := json.MarshalIndent(w.meta, "", "\t")
	if err != nil {
		return errors.Wrap(err, "encode meta.json")
	}
	if err := os.WriteFile(filepath.Join(w.dir, "meta.json"), b, 0o666); err != nil {
		return errors.Wrap(err, "write meta.json")
	}
	_, err = tombstones.WriteFile(slog.New(slog.DiscardHandler), w.dir, tombstones.NewMemTombstones())
	return errors.Wrap(err, "write tombstones")
}

// publish gives a finished block the name by which it is found.
func (w *blockWriter) publish() error {
	return errors.Wrap(os.Rename(w.dir, filepath.Join(filepath.Dir(w.dir), w.meta.ULID.String())), "publish block")
}

func (w *blockWriter) close() error {
	errs := merrors.New()
	if w.chunks != nil {
		errs.Add(w.chunks.Close())
		w.chunks = nil
	}
	if w.index != nil {
		errs.Add(w.index.Close())
		w.index = nil
	}
	return errs.Err()
}

// abort closes what is open and removes the block, published or not.
func (w *blockWriter) abort() error {
	// An index that is cut short cannot be completed: its complaint tells nothing.
	_ = w.close()
	return merrors.New(
		os.RemoveAll(w.dir),
		os.RemoveAll(filepath.Join(filepath.Dir(w.dir), w.meta.ULID.String())),
	).Err()
}

// symbols returns all strings in the labels of series, sorted.
func symbols(all []*stream) []string {
	set := map[string]struct{}{}
	for _, s := range all {
		s.lset.Range(func(l labels.Label) {
			set[l.Name] = struct{}{}
			set[l.Value] = struct{}{}
		})
	}
	return slices.Sorted(maps.Keys(set))
}
