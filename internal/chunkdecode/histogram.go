package chunkdecode

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/stride-promql/stride/internal/slab"
)

// ErrUseIterator is returned for a histogram chunk that is corrupt or needs what Histograms does not do: the chunk's
// iterator says what is wrong, or does it.
var ErrUseIterator = errors.New("histogram chunk is for its iterator to read")

// Histograms decodes chunks of histograms (chunkenc.EncHistogram and EncFloatHistogram, and both with ST). What it decodes stays valid until Reset; then the memory is used
// again. Spans and custom values are never used again, so that histograms made from others may share them.
type Histograms struct {
	structs slab.Slab[histogram.FloatHistogram]
	values  slab.Slab[float64]
	buf     []byte // the chunk, and zeros behind it
	ints    []bucketState
	floats  []xorState
	counts  [countFields]float64
}

// bucketState is a bucket between two samples: the difference to the bucket before it in space, and by how much that
// difference changes from sample to sample.
type bucketState struct{ value, delta int64 }

// xorState is a float between two samples, and where the bits lie that change.
type xorState struct {
	bits   uint64
	window xorWindow
}

// Reset makes the memory of all histograms decoded so far available again. With poison it is overwritten, so that a use
// after that shows.
func (d *Histograms) Reset(poison bool) {
	if poison {
		bad := math.Float64frombits(0x7ff8dead0badc0de)
		d.values.Each(func(v []float64) {
			for i := range v {
				v[i] = bad
			}
		})
		d.structs.Each(func(h []histogram.FloatHistogram) {
			for i := range h {
				h[i] = histogram.FloatHistogram{Count: bad, Sum: bad, ZeroCount: bad}
			}
		})
	}
	d.structs.Reset()
	d.values.Reset()
}

const (
	histogramHeaderBytes = 3
	counterResetMask     = 0xc0
	gaugeHeader          = 0xc0
	// fieldBytes is at least the longest field and the bytes that are loaded from its first bit on.
	fieldBytes = 24
)

// Decode appends the samples of a chunk to t (milliseconds), h and, if wantST is set, their start timestamps to st, without
// those before minT and up to and without the first sample later than maxT, and returns the extended slices. Without wantST, st is returned as
// it is. With ErrUseIterator nothing is appended. chunk is only read.
//
// Histograms have the reset hints, layouts and values that the chunk's iterator gives them.
func (d *Histograms) Decode(enc chunkenc.Encoding, chunk []byte, t []int64, h []*histogram.FloatHistogram, st []int64, wantST bool, minT, maxT int64) ([]int64, []*histogram.FloatHistogram, []int64, error) {
	if len(chunk) < histogramHeaderBytes {
		return t, h, st, ErrUseIterator
	}
	count := int(binary.BigEndian.Uint16(chunk))
	header := chunk[2]
	var starts startTimes
	withST := enc == chunkenc.EncHistogramST || enc == chunkenc.EncFloatHistogramST
	float := enc == chunkenc.EncFloatHistogram || enc == chunkenc.EncFloatHistogramST
	if withST {
		header = chunk[0]
		count &= 0x3fff
		starts = startTimes{known: chunk[2]&0x80 != 0, from: int(chunk[2] & 0x7f)}
	}
	if count == 0 {
		return t, h, st, nil
	}
	d.buf = append(append(d.buf[:0], chunk...), make([]byte, fieldBytes)...)
	r := fieldReader{b: d.buf, p: 8 * histogramHeaderBytes, end: 8 * uint(len(chunk))}
	var layout histogram.FloatHistogram
	positive, negative, ok := r.layout(&layout)
	// No sample has less than 4 bits: do not believe numbers that the bytes cannot hold.
	buckets := positive + negative
	if !ok || layout.Schema > histogram.ExponentialSchemaMax || uint(buckets) > r.end {
		return t, h, st, ErrUseIterator
	}
	count = min(count, int(r.end)/4+1)
	if float {
		d.floats = resized(d.floats, countFields+buckets)
		for i := range d.floats {
			d.floats[i].window = wholeWindow
		}
	} else {
		d.ints = resized(d.ints, buckets)
	}
	hint := histogram.UnknownCounterReset
	next := histogram.NotCounterReset
	if header&counterResetMask == gaugeHeader {
		hint, next = histogram.GaugeType, histogram.GaugeType
	}

	var (
		had, hadH, hadST = len(t), len(h), len(st)
		structs          = d.structs.Take(count)
		values           = d.values.Take(min(count*buckets, int(r.end)))
		ts, tDelta       int64
		counts           intCounts
		cnt, zcnt, sum   float64
	)
	counts.sum.window = wholeWindow
	for i := range count {
		before := ts
		if i == 0 {
			ts = r.varbit()
		} else {
			tDelta += r.varbit()
			ts += tDelta
		}
		if float {
			r.floats(d.floats[:countFields], d.counts[:], i == 0)
			cnt, zcnt, sum = d.counts[0], d.counts[1], d.counts[2]
		} else {
			cnt, zcnt, sum = counts.next(&r, i == 0)
		}
		if stale := i > 0 && value.IsStaleNaN(sum); !stale {
			switch {
			case len(values) < buckets:
				return t[:had], h[:hadH], st[:hadST], ErrUseIterator
			case float:
				r.floats(d.floats[countFields:], values[:buckets], i == 0)
			case i == 0:
				r.firstBuckets(d.ints)
			default:
				r.moveBuckets(d.ints)
			}
		}
		if withST {
			starts.next(&r, i, ts, before)
		}
		if r.p > r.end {
			return t[:had], h[:hadH], st[:hadST], ErrUseIterator
		}
		if ts > maxT {
			break
		}
		if ts < minT {
			hint = next
			continue
		}
		out := &structs[i]
		if value.IsStaleNaN(sum) {
			*out = histogram.FloatHistogram{Sum: sum}
		} else {
			*out = layout
			out.CounterResetHint = hint
			out.Count, out.ZeroCount, out.Sum = cnt, zcnt, sum
			if !float {
				absolute(d.ints[:positive], values[:positive])
				absolute(d.ints[positive:], values[positive:buckets])
			}
			out.PositiveBuckets = part(values, 0, positive)
			out.NegativeBuckets = part(values, positive, buckets)
			values = values[buckets:]
		}
		t, h = append(t, ts), append(h, out)
		if wantST {
			st = append(st, starts.st)
		}
		hint = next
	}
	return t, h, st, nil
}

// countFields are a sample's count, zero count and sum.
const countFields = 3

// intCounts are these of an integer histogram, between two samples.
type intCounts struct {
	count, zero           uint64
	countDelta, zeroDelta int64
	sum                   xorState
}

func (c *intCounts) next(r *fieldReader, first bool) (count, zero, sum float64) {
	if first {
		c.count, c.zero, c.sum.bits = r.uvarbit(), r.uvarbit(), r.raw()
	} else {
		c.countDelta += r.varbit()
		c.count += uint64(c.countDelta)
		c.zeroDelta += r.varbit()
		c.zero += uint64(c.zeroDelta)
		r.xor(&c.sum)
	}
	return float64(c.count), float64(c.zero), math.Float64frombits(c.sum.bits)
}

// resized is s with n zero elements.
func resized[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

// part is a run of values that cannot grow into what follows, nil if it is empty.
func part(values []float64, lo, hi int) []float64 {
	if lo == hi {
		return nil
	}
	return values[lo:hi:hi]
}

// fieldReader reads the fields of a histogram chunk from a copy of it with zeros behind its end, which reads of one
// field may run into.
type fieldReader struct {
	b   []byte
	p   uint // next bit
	end uint // bit after the chunk's last
}

// load gives at least 57 bits from the next one on, the first one on top. Behind the end all bits are zero.
func (r *fieldReader) load(p uint) uint64 {
	i := min(p, r.end) / 8
	return binary.BigEndian.Uint64(r.b[i:]) << (p % 8)
}

// raw reads 64 bits.
func (r *fieldReader) raw() uint64 {
	i, shift := min(r.p, r.end)/8, r.p%8
	w := binary.BigEndian.Uint64(r.b[i:])<<shift | uint64(r.b[i+8])>>(8-shift)
	r.p += 64
	return w
}

// number reads the n upper bits of what comes next.
func (r *fieldReader) number(n uint) uint64 {
	w := r.load(r.p) >> (64 - n)
	r.p += n
	return w
}

// varbit reads a number written by chunkenc's putVarbitInt: up to 8 ones say how many bits it has.
func (r *fieldReader) varbit() int64 {
	w := r.load(r.p)
	if int64(w) >= 0 {
		r.p++
		return 0
	}
	ones := uint(bits.LeadingZeros64(^w | 1<<55))
	if ones < 7 {
		n := uint(stDiffBits[ones])
		r.p += ones + 1 + n
		return signed(w<<(ones+1), n)
	}
	if ones == 8 {
		r.p += 8
		return int64(r.raw())
	}
	r.p += 8
	return signed(r.number(56)<<8, 56)
}

// uvarbit reads a number written by putVarbitUint.
func (r *fieldReader) uvarbit() uint64 {
	w := r.load(r.p)
	ones := uint(bits.LeadingZeros64(^w | 1<<55))
	if ones == 8 {
		r.p += 8
		return r.raw()
	}
	r.p += ones + 1
	if ones == 0 {
		return 0
	}
	return r.number(uint(stDiffBits[ones]))
}

// varint reads a number in encoding/binary's format, its bytes at any bit.
func (r *fieldReader) varint() int64 {
	var b [binary.MaxVarintLen64]byte
	for i := range b {
		if b[i] = byte(r.number(8)); b[i] < 0x80 {
			break
		}
	}
	v, n := binary.Varint(b[:])
	if n <= 0 {
		r.p = r.end + 1
	}
	return v
}

// xor reads the difference to a float.
func (r *fieldReader) xor(s *xorState) {
	w := r.load(r.p)
	if int64(w) >= 0 {
		r.p++
		return
	}
	r.p += 2
	if w>>62 == 0b11 {
		s.window.set(w << 2)
		r.p += 11
	}
	p := r.p
	s.bits ^= r.raw() >> (s.window.leading % 64) & s.window.mask
	r.p = p + s.window.size
}

// floats reads one sample's changes of fields that are floats, and gives their values.
func (r *fieldReader) floats(state []xorState, values []float64, first bool) {
	values = values[:len(state)]
	for i := range state {
		s := &state[i]
		if first {
			s.bits = r.raw()
		} else {
			r.xor(s)
		}
		values[i] = math.Float64frombits(s.bits)
	}
}

// firstBuckets reads the first sample's buckets of one side.
func (r *fieldReader) firstBuckets(state []bucketState) {
	for i := range state {
		state[i].value = r.varbit()
	}
}

// absolute gives the values of the buckets of one side.
func absolute(state []bucketState, values []float64) {
	values = values[:len(state)]
	var current int64
	for i := range state {
		current += state[i].value
		values[i] = float64(current)
	}
}

// moveBuckets reads one sample's changes of the buckets of one side. It is varbit in a loop, with the position in a register.
func (r *fieldReader) moveBuckets(state []bucketState) {
	p := r.p
	for i := range state {
		s := &state[i]
		w := r.load(p)
		if int64(w) >= 0 {
			p++
		} else if ones := uint(bits.LeadingZeros64(^w)); ones < 7 {
			n := uint(stDiffBits[ones])
			p += ones + 1 + n
			s.delta += signed(w<<(ones+1), n)
		} else {
			r.p = p
			s.delta += r.varbit()
			p = r.p
		}
		s.value += s.delta
	}
	r.p = p
}

// layout reads what all histograms of the chunk have in common, and gives the numbers of their buckets.
func (r *fieldReader) layout(h *histogram.FloatHistogram) (positive, negative int, ok bool) {
	switch z := r.number(8); z {
	case 0:
	case 255:
		h.ZeroThreshold = math.Float64frombits(r.raw())
	default:
		h.ZeroThreshold = math.Ldexp(0.5, int(z)-243)
	}
	h.Schema = int32(r.varbit())
	if !histogram.IsKnownSchema(h.Schema) {
		return 0, 0, false
	}
	if h.PositiveSpans, positive, ok = r.spans(); !ok {
		return 0, 0, false
	}
	if h.NegativeSpans, negative, ok = r.spans(); !ok {
		return 0, 0, false
	}
	if !histogram.IsCustomBucketsSchema(h.Schema) {
		return positive, negative, true
	}
	n := r.uvarbit()
	if n > uint64(r.end) {
		return 0, 0, false
	}
	for range n {
		v := float64(0)
		if b := r.uvarbit(); b == 0 {
			v = math.Float64frombits(r.raw())
		} else {
			v = float64(b-1) / 1000
		}
		h.CustomValues = append(h.CustomValues, v)
	}
	return positive, negative, true
}

// spans reads the spans of one side. More buckets than the chunk has bits are not ok.
func (r *fieldReader) spans() (spans []histogram.Span, buckets int, ok bool) {
	n := r.uvarbit()
	if n > uint64(r.end) {
		return nil, 0, false
	}
	if n > 0 {
		spans = make([]histogram.Span, 0, n)
	}
	for range n {
		length := r.uvarbit()
		offset := r.varbit()
		spans = append(spans, histogram.Span{Offset: int32(offset), Length: uint32(length)})
		buckets += int(uint32(length))
		if uint(buckets) > r.end {
			return nil, 0, false
		}
	}
	return spans, buckets, true
}

// startTimes follows the start timestamps of a chunk, 0 where they are unknown.
type startTimes struct {
	known bool // the first sample has one
	from  int  // number of the first sample with another one; 0: there is none
	st    int64
	diff  int64
}

// next reads that of sample i, which is at ts, the one before it at prev.
func (s *startTimes) next(r *fieldReader, i int, ts, prev int64) {
	switch {
	case i == 0 && s.known:
		s.diff = r.varint()
		s.st = ts - s.diff
	case i > 0 && s.from > 0 && i >= s.from:
		if d := r.varbit(); i == s.from {
			s.diff = d
		} else {
			s.diff += d
		}
		s.st = prev - s.diff
	}
}
