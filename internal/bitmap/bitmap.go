// Package bitmap holds packed bit sets that are read and written a word at a time.
package bitmap

import "math/bits"

// Bitmap is a set of bits, 64 to a word, bit i in word i/64 at position i%64. Bits behind the
// last one in use are zero.
type Bitmap []uint64

// Words is the number of words that n bits take.
func Words(n int) int { return (n + 63) >> 6 }

// Get tells whether bit i is set.
func (b Bitmap) Get(i int) bool { return b[i>>6]&(1<<(uint(i)&63)) != 0 }

// Set sets bit i.
func (b Bitmap) Set(i int) { b[i>>6] |= 1 << (uint(i) & 63) }

// Clear clears bit i.
func (b Bitmap) Clear(i int) { b[i>>6] &^= 1 << (uint(i) & 63) }

// Mask is a word with the lowest n bits set, 0 <= n <= 64.
func Mask(n int) uint64 {
	if n >= 64 {
		return ^uint64(0)
	}
	return 1<<uint(n) - 1
}

// Load reads n bits (1 to 64) that start at bit i, the first one lowest.
func (b Bitmap) Load(i, n int) uint64 {
	w, s := i>>6, uint(i)&63
	v := b[w] >> s
	if s != 0 && int(s)+n > 64 {
		v |= b[w+1] << (64 - s)
	}
	return v & Mask(n)
}

// Store overwrites n bits (1 to 64) that start at bit i with the lowest n bits of v.
func (b Bitmap) Store(i, n int, v uint64) {
	m := Mask(n)
	v &= m
	w, s := i>>6, uint(i)&63
	b[w] = b[w]&^(m<<s) | v<<s
	if s != 0 && int(s)+n > 64 {
		b[w+1] = b[w+1]&^(m>>(64-s)) | v>>(64-s)
	}
}

// SetRange sets the bits [from, to).
func (b Bitmap) SetRange(from, to int) {
	for ; from < to; from += 64 {
		b.Store(from, min(64, to-from), ^uint64(0))
	}
}

// ClearRange clears the bits [from, to).
func (b Bitmap) ClearRange(from, to int) {
	for ; from < to; from += 64 {
		b.Store(from, min(64, to-from), 0)
	}
}

// Count is the number of set bits in [from, to).
func (b Bitmap) Count(from, to int) int {
	n := 0
	for ; from < to; from += 64 {
		n += bits.OnesCount64(b.Load(from, min(64, to-from)))
	}
	return n
}

// Any tells whether a bit of [from, to) is set.
func (b Bitmap) Any(from, to int) bool {
	for ; from < to; from += 64 {
		if b.Load(from, min(64, to-from)) != 0 {
			return true
		}
	}
	return false
}

// All tells whether every bit of [from, to) is set.
func (b Bitmap) All(from, to int) bool {
	for ; from < to; from += 64 {
		n := min(64, to-from)
		if b.Load(from, n) != Mask(n) {
			return false
		}
	}
	return true
}

// Next is the first set bit in [from, to), or to if there is none.
func (b Bitmap) Next(from, to int) int {
	for ; from < to; from += 64 {
		if w := b.Load(from, min(64, to-from)); w != 0 {
			return from + bits.TrailingZeros64(w)
		}
	}
	return to
}

// Copy overwrites n bits of b from bit i on with the n bits of src from bit j on. The two must not
// be the same words.
func (b Bitmap) Copy(i int, src Bitmap, j, n int) {
	for k := 0; k < n; k += 64 {
		c := min(64, n-k)
		b.Store(i+k, c, src.Load(j+k, c))
	}
}
