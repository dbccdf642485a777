package wire

import (
	"errors"
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/stride-promql/stride/internal/chunkdecode"
	"github.com/stride-promql/stride/remote/proto/stridepb"
	"github.com/stride-promql/stride/remote/proto/thanospb"
)

// maxChunkBytes is the largest chunk that is read. Chunks of floats are below 1 KiB; ten histograms with thousands of buckets may take more.
const maxChunkBytes = 1 << 20

// EncodeChunk gives a message that shares memory with the chunk.
func EncodeChunk(c chunks.Meta) *stridepb.Chunk {
	return &stridepb.Chunk{Encoding: uint32(c.Chunk.Encoding()), MinMs: c.MinTime, MaxMs: c.MaxTime, Data: c.Chunk.Bytes()}
}

// EncodeThanosChunk gives a message that shares memory with the chunk. Thanos numbers encodings from XOR = 0 on.
func EncodeThanosChunk(c chunks.Meta) (*thanospb.AggrChunk, error) {
	enc := c.Chunk.Encoding()
	if enc < chunkenc.EncXOR || enc > chunkenc.EncFloatHistogram {
		return nil, fmt.Errorf("Thanos does not know chunks of encoding %s", enc)
	}
	return &thanospb.AggrChunk{
		MinTime: c.MinTime, MaxTime: c.MaxTime,
		Raw: &thanospb.Chunk{Type: int32(enc - chunkenc.EncXOR), Data: c.Chunk.Bytes()},
	}, nil
}

// ChunkReader reads chunks, all with the same scratch space.
type ChunkReader struct {
	histograms chunkdecode.Histograms
	times      []int64
	decoded    []*histogram.FloatHistogram
}

// Read gives a chunk that takes over the memory of m.
func (r *ChunkReader) Read(m *stridepb.Chunk) (chunks.Meta, error) {
	enc := chunkenc.Encoding(m.Encoding)
	if uint32(enc) != m.Encoding {
		return chunks.Meta{}, fmt.Errorf("a chunk has the unknown encoding %d", m.Encoding)
	}
	return r.read(enc, m.Data, m.MinMs, m.MaxMs)
}

// ReadThanos gives a chunk that takes over the memory of m.
func (r *ChunkReader) ReadThanos(m *thanospb.AggrChunk) (chunks.Meta, error) {
	if m.Raw == nil {
		return chunks.Meta{}, errors.New("a chunk was downsampled, though only samples were asked for")
	}
	return r.readThanos(m.Raw, m)
}

// ReadThanosAggregates gives the count, the sum, the least, the greatest and the counter of a downsampled chunk, as far as they are there: each is
// a chunk that takes over the memory of m.
func (r *ChunkReader) ReadThanosAggregates(m *thanospb.AggrChunk) (parts [5]chunkenc.Chunk, err error) {
	none := true
	for i, part := range []*thanospb.Chunk{m.Count, m.Sum, m.Min, m.Max, m.Counter} {
		if part == nil {
			continue
		}
		c, err := r.readThanos(part, m)
		if err != nil {
			return parts, err
		}
		parts[i], none = c.Chunk, false
	}
	if none {
		return parts, errors.New("a chunk has neither samples nor aggregates")
	}
	return parts, nil
}

// readThanos reads what m has of a time.
func (r *ChunkReader) readThanos(c *thanospb.Chunk, m *thanospb.AggrChunk) (chunks.Meta, error) {
	enc := chunkenc.Encoding(c.Type + 1)
	if int32(enc) != c.Type+1 {
		return chunks.Meta{}, fmt.Errorf("a chunk has the unknown encoding %d", c.Type)
	}
	return r.read(enc, c.Data, m.MinTime, m.MaxTime)
}

// chunkHeaderBytes is the least that the iterators of chunks expect to be there.
const chunkHeaderBytes = 3

func (r *ChunkReader) read(enc chunkenc.Encoding, data []byte, minTime, maxTime int64) (chunks.Meta, error) {
	switch {
	case minTime > maxTime:
		return chunks.Meta{}, fmt.Errorf("a chunk ends before it starts: %d..%d", minTime, maxTime)
	case len(data) < chunkHeaderBytes || len(data) > maxChunkBytes:
		return chunks.Meta{}, fmt.Errorf("a chunk has %d bytes", len(data))
	}
	c, err := chunkenc.FromData(enc, data)
	if err != nil {
		return chunks.Meta{}, err
	}
	switch enc {
	case chunkenc.EncXOR, chunkenc.EncXOR2:
	default:
		if err := r.checkHistograms(enc, data); err != nil {
			return chunks.Meta{}, err
		}
	}
	return chunks.Meta{MinTime: minTime, MaxTime: maxTime, Chunk: c}, nil
}

// checkHistograms decodes a chunk of histograms. Its iterator makes room for as many buckets as the chunk says it has, and who looks at
// the buckets trusts their layout.
func (r *ChunkReader) checkHistograms(enc chunkenc.Encoding, data []byte) error {
	r.histograms.Reset(false)
	var err error
	r.times, r.decoded, _, err = r.histograms.Decode(enc, data, r.times[:0], r.decoded[:0], nil, false, math.MinInt64, math.MaxInt64)
	if err != nil {
		return errors.New("a chunk of histograms is corrupt, or of a newer version of Prometheus")
	}
	for _, h := range r.decoded {
		if !value.IsStaleNaN(h.Sum) { // a marker has no layout; all others have the same
			return checkHistogram(h)
		}
	}
	return nil
}
