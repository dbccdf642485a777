package chunkdecode

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// XOR appends the samples of a chunk of encoding chunkenc.EncXOR to t
// (milliseconds) and v, up to and without the first sample later than maxT
// (math.MaxInt64: all of them), and returns the extended slices. Each of them
// grows at most once. chunk is only read, up to its length.
//
// Samples of XOR chunks have no start timestamps: see PadST.
//
// With a chunk that is truncated or otherwise corrupt the error is ErrCorrupt,
// and the slices hold the samples before the damage. Nothing after the first
// sample later than maxT is looked at.
func XOR(chunk []byte, t []int64, v []float64, maxT int64) ([]int64, []float64, error) {
	if len(chunk) < countBytes {
		return t, v, ErrCorrupt
	}
	count := int(binary.BigEndian.Uint16(chunk))
	if count == 0 {
		return t, v, nil
	}
	t0, v0, rest, ok := firstSample(chunk[countBytes:])
	if !ok {
		return t, v, ErrCorrupt
	}
	if t0 > maxT {
		return t, v, nil
	}
	// No sample after the second has less than 2 bits: do not believe a count
	// that the bytes cannot hold.
	count = min(count, 4*len(chunk))
	t = append(slices.Grow(t, count), t0)
	v = append(slices.Grow(v, count), math.Float64frombits(v0))
	if count == 1 {
		return t, v, nil
	}
	delta, n := binary.Uvarint(rest)
	if n <= 0 {
		return t, v, ErrCorrupt
	}
	var d xorDecoder
	d.t, d.delta, d.v, d.window = t0, int64(delta), v0, wholeWindow
	// The second sample lacks the control bit "same delta" that all later ones
	// start with: put it in place of the last bit before it.
	d.open(chunk[len(chunk)-len(rest)+n-1:], 7)
	d.buf[0] = 0
	tcol, vcol := t[len(t):len(t)+count-1], v[len(v):len(v)+count-1]
	i := 0
	for {
		i += d.decode(tcol[i:], vcol[i:], maxT)
		later := d.t > maxT
		if d.p > d.end && !later {
			i-- // the last sample is partly made of the zeros after the end
		}
		if more, err := d.next(later || i == len(tcol)); !more {
			return t[:len(t)+i], v[:len(v)+i], err
		}
	}
}

// xorDecoder holds the state between two samples.
type xorDecoder struct {
	t, delta int64
	v        uint64
	window   xorWindow
	stream
}

// decode decodes samples up to the next refill, the end of t and v (of one
// length) or the first sample later than maxT, and returns how many it wrote.
func (d *xorDecoder) decode(t []int64, v []float64, maxT int64) int {
	// All state that changes with every sample is in registers, the rest
	// (window, stop) in *d: there are not enough registers for all of it.
	ts, delta, val, p := d.t, d.delta, d.v, d.p
	v = v[:len(t)]
	i := 0
	for {
		for ; i < len(t) && p < d.stop; i++ {
			w := d.peek(p)
			if w>>48 == 0 {
				break
			}
			if int64(w) >= 0 {
				w <<= 1
				p++
			} else {
				switch {
				case w>>62 == 0b10:
					delta += signed(w<<2, 14)
					p += 2 + 14
				case w>>61 == 0b110:
					delta += signed(w<<3, 17)
					p += 3 + 17
				case w>>60 == 0b1110:
					delta += signed(w<<4, 20)
					p += 4 + 20
				default:
					delta += int64(d.peek64(p + 4))
					p += 4 + 64
				}
				w = d.peek(p)
			}
			ts += delta

			// w has at least 56 bits of the stream.
			if int64(w) >= 0 {
				p++
			} else {
				p += 2
				if w>>62 == 0b10 && d.window.size <= 54 {
					w <<= 2
				} else {
					if w>>62 == 0b11 {
						d.window.set(w << 2)
						p += 11
					}
					w = d.peek64(p)
				}
				val ^= w >> (d.window.leading % 64) & d.window.mask
				p += d.window.size
			}

			if ts > maxT {
				goto done
			}
			t[i], v[i] = ts, math.Float64frombits(val)
		}

		if i == len(t) || p >= d.stop {
			break
		}
		// At least 8 samples the same but for the time: all that are in one load.
		for n := min(bits.LeadingZeros64(d.peek(p)|1<<7)/2, len(t)-i, int(d.stop-p+1)/2); n > 0; n-- {
			ts += delta
			p += 2
			if ts > maxT {
				goto done
			}
			t[i], v[i] = ts, math.Float64frombits(val)
			i++
		}
	}
done:
	d.t, d.delta, d.v, d.p = ts, delta, val, p
	return i
}
