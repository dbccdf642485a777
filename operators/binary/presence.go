package binary

import (
	"math/bits"
	"sync/atomic"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// presence says at which steps of a range a match group has a sample. Groups begin at word
// borders. Different segments of steps may be added to concurrently.
type presence struct {
	words int // of a group
	bits  bitmap.Bitmap
}

// resize makes room for a number of groups and steps; what is there stays if the steps are the same.
func (p *presence) resize(groups, steps int) {
	p.words = bitmap.Words(steps)
	n := groups * p.words
	if len(p.bits) < n {
		p.bits = append(p.bits, make(bitmap.Bitmap, n-len(p.bits))...)
	}
}

func (p *presence) reset() { p.bits, p.words = nil, 0 }

// bytes is the memory that the bits take.
func (p *presence) bytes() int64 { return int64(cap(p.bits)) * 8 }

// load reads n (1 to 64) bits of a group from step i on.
func (p *presence) load(group int32, i, n int) uint64 {
	return p.bits.Load(int(group)*p.words*block+i, n)
}

// or adds the bits w of a group from step i on, which must be a multiple of the block size.
func (p *presence) or(group int32, i int, w uint64) {
	p.bits[int(group)*p.words+i/block] |= w
}

// add sets the bits of the steps seg at which a row of b has a sample; step 0 of the batch is step
// 0 of the range. It returns how many were not set before.
func (p *presence) add(group int32, b *operators.Batch, row int, seg operators.StepRange) int64 {
	var added int
	lo := row * b.Steps
	base := int(group) * p.words
	for i := seg.From; i < seg.To; {
		word := i / block
		end := min((word+1)*block, seg.To)
		n := end - i
		w := b.Valid.Load(lo+i, n)
		if b.H != nil {
			w |= b.HValid.Load(lo+i, n)
		}
		w <<= uint(i) % block
		if w != 0 {
			at := &p.bits[base+word]
			var old uint64
			if n == block {
				old = *at
				*at |= w
			} else {
				// The word may be that of the neighbouring segment too.
				old = atomic.OrUint64(at, w)
			}
			added += bits.OnesCount64(w &^ old)
		}
		i = end
	}
	return int64(added)
}
