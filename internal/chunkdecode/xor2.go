package chunkdecode

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/value"
)

// XOR2 appends the samples of a chunk of encoding chunkenc.EncXOR2 to t
// (milliseconds), v and, if wantST is set, their start timestamps (milliseconds,
// 0: unknown) to st, up to and without the first sample later than maxT
// (math.MaxInt64: all of them), and returns the extended slices. Each of them
// grows at most once. chunk is only read, up to its length. Without wantST, st
// is returned as it is and may be nil.
//
// With a chunk that is truncated or otherwise corrupt the error is ErrCorrupt,
// and the slices hold the samples before the damage. Nothing after the first
// sample later than maxT is looked at.
func XOR2(chunk []byte, t []int64, v []float64, st []int64, wantST bool, maxT int64) ([]int64, []float64, []int64, error) {
	if len(chunk) < countBytes+1 {
		return t, v, st, ErrCorrupt
	}
	count := int(binary.BigEndian.Uint16(chunk))
	if count == 0 {
		return t, v, st, nil
	}
	firstST, stFrom := chunk[countBytes]&0x80 != 0, int(chunk[countBytes]&0x7f)
	t0, v0, rest, ok := firstSample(chunk[countBytes+1:])
	if !ok {
		return t, v, st, ErrCorrupt
	}
	var st0 int64
	if firstST {
		diff, n := binary.Varint(rest)
		if n <= 0 {
			return t, v, st, ErrCorrupt
		}
		st0 = t0 - diff
		rest = rest[n:]
	}
	if t0 > maxT {
		return t, v, st, nil
	}
	// No sample after the second has less than 1 bit: do not believe a count that
	// the bytes cannot hold.
	count = min(count, 8*len(chunk))
	t = append(slices.Grow(t, count), t0)
	v = append(slices.Grow(v, count), math.Float64frombits(v0))
	var stcol []int64
	if wantST {
		st = append(slices.Grow(st, count), st0)
		stcol = st[len(st) : len(st)+count-1]
		for i := range stcol {
			stcol[i] = st0
		}
	}
	if count == 1 {
		return t, v, st, nil
	}
	delta, n := binary.Uvarint(rest)
	if n <= 0 {
		return t, v, st, ErrCorrupt
	}
	var d xor2Decoder
	d.t, d.delta, d.window, d.stSkip = t0, int64(delta), wholeWindow, math.MaxInt
	if v0 != value.StaleNaN {
		d.v = v0
	}
	if stFrom > 0 {
		d.stSkip = stFrom - 1
	}
	// The second sample lacks the control bits that all later ones start with: put
	// those of a 13-bit change of the delta, by 0, in place of the 2 bytes before.
	d.open(chunk[len(chunk)-len(rest)+n-2:], 0)
	d.buf[0], d.buf[1] = 0b110_00000, 0
	tcol, vcol := t[len(t):len(t)+count-1], v[len(v):len(v)+count-1]
	i := 0
	for {
		i += d.decode(tcol[i:], vcol[i:], stcol[min(i, len(stcol)):], maxT)
		later := d.t > maxT
		if d.p > d.end && !later {
			i-- // the last sample is partly made of the zeros after the end
		}
		if more, err := d.next(later || i == len(tcol)); !more {
			return t[:len(t)+i], v[:len(v)+i], st[:len(st)+min(i, len(stcol))], err
		}
	}
}

// xor2Decoder holds the state between two samples.
type xor2Decoder struct {
	t, delta int64
	v        uint64 // last value that is not a stale marker: what differences refer to
	window   xorWindow
	stDiff   int64 // previous timestamp minus start timestamp
	stSkip   int   // samples before the first one with start timestamp bits
	stream
}

// decode decodes samples up to the next refill, the end of t and v (of one
// length) or the first sample later than maxT, and returns how many it wrote.
// st is as long as t, or empty to skip start timestamps. Those that are the same
// as the first sample's are in st already.
func (d *xor2Decoder) decode(t []int64, v []float64, st []int64, maxT int64) int {
	// All state that changes with every sample is in registers, the rest
	// (window, stop, start timestamps) in *d: there are not enough registers for
	// all of it.
	ts, delta, val, p := d.t, d.delta, d.v, d.p
	v = v[:len(t)]
	staleNaN := math.Float64frombits(value.StaleNaN)
	i := 0
	for {
		for ; i < len(t) && p < d.stop; i++ {
			w := d.peek(p)
			if w>>48 == 0 && i < d.stSkip {
				break
			}
			switch {
			case int64(w) >= 0: // 0: same delta, same value
				p++
				v[i] = math.Float64frombits(val)
			case w>>62 == 0b10: // same delta, other value
				p += 3
				if w>>61 == 0b100 && d.window.size <= 54 {
					w <<= 3
				} else {
					if w>>61 == 0b101 {
						d.window.set(w << 3)
						p += 11
					}
					w = d.peek64(p)
				}
				val ^= w >> (d.window.leading % 64) & d.window.mask
				p += d.window.size
				v[i] = math.Float64frombits(val)
			case w>>59 == 0b11111: // same delta, stale
				p += 5
				v[i] = staleNaN
			default: // other delta
				switch {
				case w>>61 == 0b110:
					delta += int64(w<<3) >> (64 - 13)
					p += 3 + 13
				case w>>60 == 0b1110:
					delta += int64(w<<4) >> (64 - 20)
					p += 4 + 20
				default:
					delta += int64(d.peek64(p + 5))
					p += 5 + 64
				}
				w = d.peek(p)
				switch {
				case int64(w) >= 0: // 0: same value
					p++
					v[i] = math.Float64frombits(val)
				case w>>61 == 0b111: // stale
					p += 3
					v[i] = staleNaN
				default:
					p += 2
					if w>>62 == 0b10 && d.window.size <= 54 {
						w <<= 2
					} else {
						if w>>61 == 0b110 {
							d.window.set(w << 3)
							p += 1 + 11
						}
						w = d.peek64(p)
					}
					val ^= w >> (d.window.leading % 64) & d.window.mask
					p += d.window.size
					v[i] = math.Float64frombits(val)
				}
			}
			ts += delta
			if i >= d.stSkip {
				// The change of stDiff, in one of 9 sizes: 0 to 8 ones say which.
				w = d.peek(p)
				p++
				if int64(w) < 0 {
					ones := uint(bits.LeadingZeros64(^w | 1<<55))
					p += min(ones, 7)
					size := uint(stDiffBits[ones%16])
					d.stDiff += signed(d.peek64(p), size)
					p += size
				}
				if i < len(st) {
					st[i] = ts - delta - d.stDiff
				}
			}
			if ts > maxT {
				goto done
			}
			t[i] = ts
		}

		if i == len(t) || p >= d.stop {
			break
		}
		// At least 16 samples the same but for the time: all that are in one load.
		for n := min(bits.LeadingZeros64(d.peek(p)|1<<7), len(t)-i, int(d.stop-p), d.stSkip-i); n > 0; n-- {
			ts += delta
			p++
			if ts > maxT {
				goto done
			}
			t[i], v[i] = ts, math.Float64frombits(val)
			i++
		}
	}
done:
	d.t, d.delta, d.v, d.p = ts, delta, val, p
	d.stSkip -= i
	return i
}

// stDiffBits is the size of a change of stDiff after so many ones.
var stDiffBits = [16]uint8{0, 3, 6, 9, 12, 18, 25, 56, 64}
