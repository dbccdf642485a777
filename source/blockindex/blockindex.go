// Package blockindex reads series from the index files of a TSDB's blocks, at a fraction of the cost of
// Prometheus' own reader, which keeps the place of every 32nd symbol only and walks from there for each label value
// of each series. Here every symbol's place is known, at the price of 4 bytes for each. Postings, chunks, tombstones and heads are
// still read by the TSDB, so that queries find what they found before.
//
// What an index file has that is read here (all of it is described in Prometheus' tsdb/docs/format/index.md):
//
//	┌────────────────────────────────┐
//	│ magic <4b> │ version = 2 <1b>  │
//	├────────────────────────────────┤ TOC.Symbols
//	│ len <4b> │ #symbols <4b>       │
//	│ ┌────────────────────────────┐ │
//	│ │ len(str) <uvarint> │ str   │ │  one for each symbol; its number refers to it
//	│ └────────────────────────────┘ │
//	│ CRC32 <4b>                     │
//	├────────────────────────────────┤
//	│ len <uvarint>                  │  a series, at 16 times its reference
//	│ #labels <uvarint>              │
//	│ ┌────────────────────────────┐ │
//	│ │ name, value <uvarint>      │ │  numbers of symbols
//	│ └────────────────────────────┘ │
//	│ #chunks <uvarint>              │
//	│ ┌────────────────────────────┐ │
//	│ │ times, place               │ │  each from the one before
//	│ └────────────────────────────┘ │
//	│ CRC32 <4b>                     │
//	└────────────────────────────────┘
package blockindex

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/efficientgo/core/errcapture"
	"github.com/efficientgo/core/merrors"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// Cache has the index files of the blocks that were queried, mapped into memory. Its methods are what tsdb.Options takes, and may be
// called concurrently:
//
//	var indexes blockindex.Cache
//	options.BlockQuerierFunc, options.BlockChunkQuerierFunc = indexes.Querier, indexes.ChunkQuerier
//
// The zero value is ready for use.
type Cache struct {
	mu    sync.Mutex
	files map[string]*file // by directory of the block
}

// Querier is tsdb.NewBlockQuerier.
func (c *Cache) Querier(b tsdb.BlockReader, mint, maxt int64) (storage.Querier, error) {
	return tsdb.NewBlockQuerier(c.wrap(b), mint, maxt)
}

// ChunkQuerier is tsdb.NewBlockChunkQuerier.
func (c *Cache) ChunkQuerier(b tsdb.BlockReader, mint, maxt int64) (storage.ChunkQuerier, error) {
	return tsdb.NewBlockChunkQuerier(c.wrap(b), mint, maxt)
}

// Close unmaps all files. Queriers must be closed first. The cache can be used again.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := merrors.New()
	for dir, f := range c.files {
		errs.Add(f.close())
		delete(c.files, dir)
	}
	return errs.Err()
}

// wrap gives what reads a block's series here, and anything else, such as a head, as it is.
func (c *Cache) wrap(b tsdb.BlockReader) tsdb.BlockReader {
	if persisted, ok := b.(*tsdb.Block); ok {
		return &block{Block: persisted, cache: c}
	}
	return b
}

// acquire gives the index file of the block in a directory, nil if it has another format. It is released after use.
func (c *Cache) acquire(dir string) (*file, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.files[dir]
	if !ok {
		c.forget()
		var err error
		if f, err = open(filepath.Join(dir, "index")); err != nil {
			return nil, err
		}
		if c.files == nil {
			c.files = map[string]*file{}
		}
		c.files[dir] = f
	}
	f.users++
	return f, nil
}

func (c *Cache) release(f *file) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.users--
}

// forget unmaps the files of blocks that are gone: compacted, or too old.
func (c *Cache) forget() {
	for dir, f := range c.files {
		if _, err := os.Stat(dir); f.users == 0 && errors.Is(err, fs.ErrNotExist) {
			_ = f.close() // The file is deleted, and has nothing to lose.
			delete(c.files, dir)
		}
	}
}

// block is a block whose index gives series as they are read here.
type block struct {
	*tsdb.Block
	cache *Cache
}

// Index implements tsdb.BlockReader.
func (b *block) Index() (_ tsdb.IndexReader, err error) {
	inner, err := b.Block.Index()
	if err != nil {
		return nil, err
	}
	f, err := b.cache.acquire(b.Dir())
	if err != nil {
		errcapture.Do(&err, inner.Close, "close index")
		return nil, err
	}
	if f.symbols == nil {
		b.cache.release(f)
		return inner, nil
	}
	return &reader{IndexReader: inner, block: b, file: f}, nil
}

// reader is the index of a block for one query.
type reader struct {
	tsdb.IndexReader
	block *block
	file  *file
}

// Series implements tsdb.IndexReader. The labels' strings are those of the mapped file, and valid until Close.
func (r *reader) Series(ref storage.SeriesRef, builder *labels.ScratchBuilder, chks *[]chunks.Meta) error {
	if err := r.file.series(ref, builder, chks); err != nil {
		return fmt.Errorf("block %s: %w", r.block.Meta().ULID, err)
	}
	return nil
}

// Close implements tsdb.IndexReader.
func (r *reader) Close() error {
	r.block.cache.release(r.file)
	return r.IndexReader.Close()
}
