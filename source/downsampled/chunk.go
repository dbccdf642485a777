// Package downsampled reads series of which some chunks are aggregates of windows of time, as Thanos' compactor makes them of old samples, and
// others are samples as they were taken.
package downsampled

import (
	"errors"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Aggregate is what there is of the samples of each window.
type Aggregate uint8

// The aggregates of a chunk, in the order in which Thanos stores them.
const (
	Count Aggregate = iota
	Sum
	Min
	Max
	// Counter is the value that a counter would have without resets since the start of the chunk. A second sample with the time of the last
	// one has the value that was stored last.
	Counter
	aggregates
)

// String names the aggregate.
func (a Aggregate) String() string {
	return [...]string{"count", "sum", "min", "max", "counter"}[a]
}

// Encoding is that of Chunk, which is none of Prometheus' own.
const Encoding = chunkenc.Encoding(0xff)

// Chunk is aggregates of one time, each a chunk with a sample for each window. Those that were not asked for are nil.
type Chunk struct{ parts [aggregates]chunkenc.Chunk }

var _ chunkenc.Chunk = (*Chunk)(nil)

// NewChunk puts aggregates together, in the order of their numbers.
func NewChunk(parts [aggregates]chunkenc.Chunk) *Chunk { return &Chunk{parts} }

var errAggregates = errors.New("a chunk of aggregates was taken for one of samples")

// Bytes are those of all aggregates: what tells chunks from copies.
func (c *Chunk) Bytes() []byte {
	var out []byte
	for i, p := range c.parts {
		if p != nil {
			out = append(append(out, byte(i), byte(p.Encoding())), p.Bytes()...)
		}
	}
	return out
}

// Encoding implements chunkenc.Chunk.
func (c *Chunk) Encoding() chunkenc.Encoding { return Encoding }

// NumSamples is how many samples the aggregates have together.
func (c *Chunk) NumSamples() (n int) {
	for _, p := range c.parts {
		if p != nil {
			n += p.NumSamples()
		}
	}
	return n
}

// Iterator has an error: a chunk of aggregates has no samples of its own.
func (c *Chunk) Iterator(chunkenc.Iterator) chunkenc.Iterator { return failed{err: errAggregates} }

// Appender implements chunkenc.Chunk.
func (c *Chunk) Appender() (chunkenc.Appender, error) { return nil, errAggregates }

// Compact implements chunkenc.Chunk.
func (c *Chunk) Compact() {}

// Reset drops the aggregates: they are not made of one stream of bytes.
func (c *Chunk) Reset([]byte) { *c = Chunk{} }

// failed is an iterator with an error.
type failed struct {
	chunkenc.Iterator
	err error
}

// Next implements chunkenc.Iterator.
func (failed) Next() chunkenc.ValueType { return chunkenc.ValNone }

// Seek implements chunkenc.Iterator.
func (failed) Seek(millis) chunkenc.ValueType { return chunkenc.ValNone }

// Err implements chunkenc.Iterator.
func (f failed) Err() error { return f.err }

// millis is a time. Its name keeps vet from taking Seek for io.Seeker's.
type millis = int64
