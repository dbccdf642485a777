package chunkdecode

import "encoding/binary"

const (
	// windowBytes is the part of a chunk that is decoded between two refills. It
	// holds most chunks of counters whole. A power of two, so that indexes are
	// masked instead of checked.
	windowBytes = 256
	// sampleBytes is more than the longest sample of either encoding (XOR2: 5+64
	// bits of timestamp, 3+11+64 of value, 8+64 of start timestamp) and the
	// 9 bytes that a field loads from its first bit on.
	sampleBytes = 40
)

// stream is the bit stream of one chunk. It is read through a copy of a part of
// the chunk that is followed by enough bytes for any one sample (the next bytes
// of the chunk, or zeros at its end). So the decoding loops load 8 bytes wherever
// they are and look only once a sample whether they ran over the end, and the
// copy, of a size the compiler knows, spares them a length in a register.
type stream struct {
	buf  [windowBytes + sampleBytes]byte
	rest []byte // the chunk from the byte in buf[0] on
	p    uint   // bit in buf that the next sample starts with
	stop uint   // bit in buf from which on no sample may start before a refill
	end  uint   // bit in buf after the chunk's last bit, may be beyond buf
}

// open makes the stream start at bit p of chunk.
func (s *stream) open(chunk []byte, p uint) {
	s.rest, s.p = chunk, p
	copy(s.buf[:], chunk)
	s.setEnd()
}

// next moves the window forward to the byte the next sample starts in, unless
// the last wanted sample was read (done) or the stream is at its end or beyond.
func (s *stream) next(done bool) (more bool, err error) {
	switch {
	case s.p > s.end:
		return false, ErrCorrupt
	case done:
		return false, nil
	case s.p == s.end:
		return false, ErrCorrupt
	}
	s.rest = s.rest[s.p/8:]
	s.p %= 8
	clear(s.buf[copy(s.buf[:], s.rest):])
	s.setEnd()
	return true, nil
}

func (s *stream) setEnd() {
	s.end = 8 * uint(len(s.rest))
	s.stop = min(s.end, 8*(windowBytes-sampleBytes))
}

// peek returns the bits from bit p on, the first one on top. Only the upper 57
// are sure to be of the stream.
func (s *stream) peek(p uint) uint64 {
	i := p / 8 % windowBytes
	return binary.BigEndian.Uint64(s.buf[i:i+8]) << (p % 8)
}

// peek64 is peek with all 64 bits.
func (s *stream) peek64(p uint) uint64 {
	i, shift := p/8%windowBytes, p%8
	return binary.BigEndian.Uint64(s.buf[i:i+8])<<shift | uint64(s.buf[i+8])>>(8-shift)
}

// xorWindow says where in a value's 64 bits the last written significant bits
// of a difference lie, and so where the next ones lie unless a new window is given.
type xorWindow struct {
	leading uint   // zero bits above, 0 to 31
	size    uint   // significant bits, 1 to 64
	mask    uint64 // the window's bits set
}

// wholeWindow is the window before the first one is read.
var wholeWindow = xorWindow{size: 64, mask: ^uint64(0)}

// set reads a new window from the upper 11 bits of w. One that sticks out below
// bit 0 (never written, but a corrupt chunk may have it) has an empty mask: the
// iterators of chunkenc take all differences in it for 0, too.
func (x *xorWindow) set(w uint64) {
	x.leading = uint(w >> 59)
	x.size = (uint(w>>53)-1)%64 + 1 // 64 is written as 0
	x.mask = ^uint64(0) >> ((64 - x.size) % 64) << (64 - x.size - x.leading)
}

// signed returns the upper n bits of w as an integer from -(2^(n-1)-1) to
// 2^(n-1), the range of XOR's timestamps and XOR2's start timestamps.
func signed(w uint64, n uint) int64 {
	return int64((w>>(64-n)-1)<<(64-n))>>(64-n) + 1
}
