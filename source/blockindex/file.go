package blockindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"unsafe"

	"github.com/efficientgo/core/errcapture"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/encoding"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/index"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seriesAlign is what a series' reference is to be multiplied by for its place.
const seriesAlign = 16

var errCorrupt = errors.New("the entry ends early")

// file is a mapped index file. It does not change but for users.
type file struct {
	mapped  *fileutil.MmapFile
	bytes   []byte
	symbols []uint32 // places of symbols, from start; nil if the file has a format that is not read here
	start   int
	table   *labels.SymbolTable
	users   int // guarded by Cache.mu
}

// mapping is what Prometheus' index package takes bytes as.
type mapping []byte

func (m mapping) Len() int                    { return len(m) }
func (m mapping) Range(start, end int) []byte { return m[start:end] }

// open maps an index file and reads where its symbols are.
func open(path string) (_ *file, err error) {
	mapped, err := fileutil.OpenMmapFile(path)
	if err != nil {
		return nil, err
	}
	f := &file{mapped: mapped, bytes: mapped.Bytes(), table: labels.NewSymbolTable()}
	defer func() {
		if err != nil {
			err = fmt.Errorf("index %s: %w", path, err)
			errcapture.Do(&err, f.close, "close index")
		}
	}()
	if len(f.bytes) < index.HeaderLen || binary.BigEndian.Uint32(f.bytes) != index.MagicIndex {
		return nil, errors.New("not an index file")
	}
	if f.bytes[4] != index.FormatV2 {
		return f, nil
	}
	toc, err := index.NewTOCFromByteSlice(mapping(f.bytes))
	if err != nil {
		return nil, err
	}
	return f, f.readSymbols(toc.Symbols)
}

func (f *file) readSymbols(at uint64) error {
	if at > uint64(len(f.bytes)) {
		return errors.New("its symbols are beyond its end")
	}
	d := encoding.NewDecbufAt(mapping(f.bytes), int(at), castagnoli)
	n, all := d.Be32int(), d.Len()
	if d.Err() != nil {
		return fmt.Errorf("read symbols: %w", d.Err())
	}
	f.start = int(at) + 8
	f.symbols = make([]uint32, 0, min(n, all))
	for range n {
		f.symbols = append(f.symbols, uint32(all-d.Len()))
		if d.UvarintBytes(); d.Err() != nil {
			return fmt.Errorf("read symbols: %w", d.Err())
		}
	}
	return nil
}

func (f *file) close() error { return f.mapped.Close() }

// symbol gives the text of a symbol, as it is in the file.
func (f *file) symbol(number uint64) (string, error) {
	if number >= uint64(len(f.symbols)) {
		return "", fmt.Errorf("unknown symbol %d", number)
	}
	c := cursor(f.bytes[f.start+int(f.symbols[number]):]) // All of the table was walked through in open.
	n, _ := c.uvarint()
	return unsafe.String(unsafe.SliceData(c), n), nil
}

// series reads a series' labels, and its chunks unless chks is nil, into what is passed, as index.Reader.Series does.
func (f *file) series(ref storage.SeriesRef, builder *labels.ScratchBuilder, chks *[]chunks.Meta) error {
	entry, err := f.entry(ref)
	if err == nil {
		builder.SetSymbolTable(f.table)
		builder.Reset()
		err = f.decode(entry, builder, chks)
	}
	if err != nil {
		return fmt.Errorf("read series: %w", err)
	}
	return nil
}

// entry gives the bytes of a series, whose checksum is right.
func (f *file) entry(ref storage.SeriesRef) (cursor, error) {
	if uint64(ref) > uint64(len(f.bytes))/seriesAlign {
		return nil, encoding.ErrInvalidSize
	}
	c := cursor(f.bytes[ref*seriesAlign:])
	n, ok := c.uvarint()
	if !ok || uint64(len(c)) < crc32.Size || n > uint64(len(c))-crc32.Size {
		return nil, encoding.ErrInvalidSize
	}
	if crc32.Checksum(c[:n], castagnoli) != binary.BigEndian.Uint32(c[n:]) {
		return nil, encoding.ErrInvalidChecksum
	}
	return c[:n], nil
}

func (f *file) decode(c cursor, builder *labels.ScratchBuilder, chks *[]chunks.Meta) error {
	n, ok := c.uvarint()
	for range n {
		name, _ := c.uvarint()
		var value uint64
		if value, ok = c.uvarint(); !ok {
			break
		}
		l, err := f.symbol(name)
		if err != nil {
			return fmt.Errorf("lookup label name: %w", err)
		}
		v, err := f.symbol(value)
		if err != nil {
			return fmt.Errorf("lookup label value: %w", err)
		}
		builder.Add(l, v)
	}
	if !ok {
		return errCorrupt
	}
	if chks == nil {
		return nil
	}
	*chks = (*chks)[:0]
	if n, ok = c.uvarint(); !ok {
		return errCorrupt
	}
	var m chunks.Meta
	for i := range n {
		if m, ok = c.chunk(m, i == 0); !ok {
			return errCorrupt
		}
		*chks = append(*chks, m)
	}
	return nil
}

// cursor is what is left to be read of an entry.
type cursor []byte

// chunk reads what the index knows of the chunk after the one passed, or of the first one.
func (c *cursor) chunk(former chunks.Meta, first bool) (m chunks.Meta, ok bool) {
	if first {
		m.MinTime, _ = c.varint()
	} else {
		since, _ := c.uvarint()
		m.MinTime = former.MaxTime + int64(since)
	}
	length, _ := c.uvarint()
	m.MaxTime = m.MinTime + int64(length)
	if first {
		var at uint64
		at, ok = c.uvarint()
		m.Ref = chunks.ChunkRef(at)
	} else {
		var further int64
		further, ok = c.varint()
		m.Ref = former.Ref + chunks.ChunkRef(further)
	}
	return m, ok
}

// uvarint reads a number. Once it has failed, it fails for good.
func (c *cursor) uvarint() (uint64, bool) {
	b := *c
	if len(b) > 0 && b[0] < 0x80 {
		*c = b[1:]
		return uint64(b[0]), true
	}
	n, size := binary.Uvarint(b)
	if size <= 0 {
		*c = nil
		return 0, false
	}
	*c = b[size:]
	return n, true
}

// varint reads a number with a sign. Once it has failed, it fails for good.
func (c *cursor) varint() (int64, bool) {
	n, ok := c.uvarint()
	v := int64(n >> 1)
	if n&1 != 0 {
		v = ^v
	}
	return v, ok
}
