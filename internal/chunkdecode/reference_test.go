package chunkdecode

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// sample is a decoded sample. Values are compared by their bits.
type sample struct {
	t  int64
	v  uint64
	st int64
}

// iterate returns what an iterator of chunkenc gives.
func iterate(enc chunkenc.Encoding, chunk []byte) ([]sample, error) {
	c, err := chunkenc.FromData(enc, chunk)
	if err != nil {
		return nil, err
	}
	var out []sample
	it := c.Iterator(nil)
	for it.Next() == chunkenc.ValFloat {
		t, v := it.At()
		out = append(out, sample{t, math.Float64bits(v), it.AtST()})
	}
	return out, it.Err()
}

// bitReader reads a chunk bit by bit. Reading over the end gives zeros and sets over.
type bitReader struct {
	b    []byte
	p    int
	over bool
}

func (r *bitReader) bits(n int) (u uint64) {
	for range n {
		u <<= 1
		if r.p/8 < len(r.b) {
			u |= uint64(r.b[r.p/8] >> (7 - r.p%8) & 1)
		} else {
			r.over = true
		}
		r.p++
	}
	return u
}

// ones counts the ones before the next zero, which it reads too, up to limit ones.
func (r *bitReader) ones(limit int) (n int) {
	for n < limit && r.bits(1) == 1 {
		n++
	}
	return n
}

// varint and uvarint start at a byte.
func (r *bitReader) varint() int64 {
	x, n := binary.Varint(r.b[min(r.p/8, len(r.b)):])
	r.over = r.over || n <= 0
	r.p += 8 * max(n, 0)
	return x
}

func (r *bitReader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b[min(r.p/8, len(r.b)):])
	r.over = r.over || n <= 0
	r.p += 8 * max(n, 0)
	return x
}

// signed reads n bits as -(2^(n-1)-1) to 2^(n-1).
func (r *bitReader) signed(n int) int64 {
	u := r.bits(n)
	if n < 64 && u > 1<<(n-1) {
		u -= 1 << n
	}
	return int64(u)
}

// twosComplement reads n bits as -2^(n-1) to 2^(n-1)-1.
func (r *bitReader) twosComplement(n int) int64 {
	return int64(r.bits(n)<<(64-n)) >> (64 - n)
}

// refDecoder is a slow and plain decoder that knows, unlike the iterators, which
// read some truncated chunks as if zeros followed, exactly where a chunk ends.
type refDecoder struct {
	bitReader
	t, delta       int64
	v              uint64
	leading, width int
	st, stDiff     int64
}

func (r *refDecoder) xorValue(newWindow bool) {
	if newWindow {
		r.leading = int(r.bits(5))
		if r.width = int(r.bits(6)); r.width == 0 {
			r.width = 64
		}
	}
	d := r.bits(r.width)
	if trailing := 64 - r.leading - r.width; trailing >= 0 {
		r.v ^= d << trailing
	}
}

// reference decodes a chunk up to the first damaged sample, if any.
func reference(enc chunkenc.Encoding, chunk []byte) (out []sample, ok bool) {
	header := 2
	if enc == chunkenc.EncXOR2 {
		header = 3
	}
	if len(chunk) < header {
		return nil, false
	}
	r := &refDecoder{bitReader: bitReader{b: chunk, p: 8 * header}, width: 64}
	next := r.xorSample
	stFrom := 0
	if enc == chunkenc.EncXOR2 {
		next = r.xor2Sample
		stFrom = int(chunk[2] & 0x7f)
	}
	for i := range int(binary.BigEndian.Uint16(chunk)) {
		prev := r.t
		s := next(i)
		if i > 0 && stFrom > 0 && i >= stFrom {
			sizes := []int{0, 3, 6, 9, 12, 18, 25, 56, 64}
			if n := r.ones(8); n > 0 {
				r.stDiff += r.signed(sizes[n])
			}
			r.st = prev - r.stDiff
		}
		if r.over {
			return out, false
		}
		s.st = r.st
		out = append(out, s)
	}
	return out, true
}

func (r *refDecoder) xorSample(i int) sample {
	switch i {
	case 0:
		r.t, r.v = r.varint(), r.bits(64)
		return sample{t: r.t, v: r.v}
	case 1:
		r.delta = int64(r.uvarint())
	default:
		if n := r.ones(4); n > 0 {
			r.delta += r.signed([]int{0, 14, 17, 20, 64}[n])
		}
	}
	r.t += r.delta
	if n := r.ones(2); n > 0 {
		r.xorValue(n == 2)
	}
	return sample{t: r.t, v: r.v}
}

func (r *refDecoder) xor2Sample(i int) sample {
	if i == 0 {
		r.t = r.varint()
		s := sample{t: r.t, v: r.bits(64)}
		if s.v != value.StaleNaN {
			r.v = s.v
		}
		if r.b[2]&0x80 != 0 {
			r.st = r.t - r.varint()
		}
		return s
	}
	control := 2
	if i == 1 {
		r.delta = int64(r.uvarint())
	} else {
		control = r.ones(5)
	}
	if i > 1 && control >= 2 && control <= 4 {
		r.delta += r.twosComplement([]int{2: 13, 3: 20, 4: 64}[control])
	}
	r.t += r.delta
	stale := control == 5
	switch control {
	case 1:
		r.xorValue(r.bits(1) == 1)
	case 2, 3, 4:
		n := r.ones(3)
		switch n {
		case 1, 2:
			r.xorValue(n == 2)
		case 3:
			stale = true
		}
	}
	if stale {
		return sample{t: r.t, v: value.StaleNaN}
	}
	return sample{t: r.t, v: r.v}
}
