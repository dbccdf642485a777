package aggregate

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/stride-promql/stride/internal/bitmap"
	"github.com/stride-promql/stride/operators"
)

// dropMode says which series of an input have DropName set.
type dropMode int

const (
	dropNone dropMode = iota
	dropSome
	dropAll
)

// groups is what operators with one output series a group keep of the open step range: at which
// steps each group has a sample, and the schema of the groups that have any.
//
// Bitmaps are written by word with atomic operations where several segments may be folded at once,
// because segments may meet within a word.
type groups struct {
	*grouping
	q   *operators.Query
	out *operators.Schema

	r       operators.StepRange
	steps   int
	words   int           // of a bitmap row
	present bitmap.Bitmap // group x step: there is a sample of a kind that the operator takes
	seen    []int32       // group -> first series with a sample of any kind
	bytes   int64
	held    atomic.Int64

	mode     dropMode
	settled  int           // series that mode accounts for
	dropName bitmap.Bitmap // group x step: a sample came from a series with DropName; only with dropSome

	index   []int32 // group -> output series, -1 if not in the schema
	members []int32 // output series -> group
}

func newGroups(q *operators.Query, in *operators.Schema, names []string, without bool) *groups {
	return &groups{grouping: newGrouping(in, names, without), q: q, out: operators.NewSchema()}
}

// open drops the state of the former range.
func (g *groups) open(r operators.StepRange) {
	g.release()
	g.r, g.steps, g.words = r, r.Len(), bitmap.Words(r.Len())
	g.mode, g.settled = dropNone, 0
}

// release gives back what is accounted for.
func (g *groups) release() {
	g.q.Free(g.held.Swap(0))
	_ = g.q.Grow(-g.bytes)
	g.bytes = 0
	g.present, g.dropName, g.seen = g.present[:0], g.dropName[:0], g.seen[:0]
}

// extend makes room for groups of new series. perGroup is the bytes of state that the operator
// itself keeps for a group; they are accounted for here.
func (g *groups) extend(perGroup int) error {
	g.grouping.extend()
	n := g.len()
	for len(g.index) < n {
		g.index = append(g.index, -1)
	}
	more := n - len(g.seen)
	if more > 0 {
		g.present = grown(g.present, more*g.words, 0)
		g.seen = grown(g.seen, more, math.MaxInt32)
	}
	g.settleDropMode()
	if more <= 0 {
		return nil
	}
	bytes := int64(more) * groupBytes(perGroup, g.words)
	g.bytes += bytes
	return g.q.Grow(bytes)
}

// groupBytes is what a group takes, besides perGroup.
func groupBytes(perGroup, words int) int64 { return int64(perGroup + 8*words + 4) }

// settleDropMode takes in DropName of series that it has not yet seen. Where the series come to
// differ, all samples so far were alike, which fills the bitmap.
func (g *groups) settleDropMode() {
	for i := g.settled; i < g.in.Len() && g.mode != dropSome; i++ {
		mode := dropNone
		if g.in.DropName(i) {
			mode = dropAll
		}
		if i > 0 && mode != g.mode {
			if g.mode == dropAll {
				g.dropName = append(g.dropName[:0], g.present...)
			}
			mode = dropSome
		}
		g.mode = mode
	}
	g.settled = g.in.Len()
	if g.mode == dropSome && len(g.dropName) < len(g.present) {
		g.dropName = grown(g.dropName, len(g.present)-len(g.dropName), 0)
	}
}

// grown is s with n more elements of value v.
func grown[S ~[]E, E any](s S, n int, v E) S {
	k := len(s)
	s = slices.Grow(s, n)[:k+n]
	for i := k; i < len(s); i++ {
		s[i] = v
	}
	return s
}

// mark notes that a group has samples at the steps of word's n bits, the first being step of the
// range, and returns how many of them are the group's first there.
func (g *groups) mark(group int32, step int, word uint64) int64 {
	return or(g.present[int(group)*g.words:], step, word)
}

// markDrop notes that samples of a group at those steps have DropName.
func (g *groups) markDrop(group int32, step int, word uint64) {
	or(g.dropName[int(group)*g.words:], step, word)
}

// has tells which of the n steps from step on a group has samples at.
func (g *groups) has(group int32, step, n int) uint64 {
	row := g.present[int(group)*g.words:]
	w, s := step>>6, uint(step)&63
	v := atomic.LoadUint64(&row[w]) >> s
	if s != 0 && int(s)+n > 64 {
		v |= atomic.LoadUint64(&row[w+1]) << (64 - s)
	}
	return v & bitmap.Mask(n)
}

// or sets the bits of word in b from bit i on and returns how many of them were not set.
func or(b bitmap.Bitmap, i int, word uint64) int64 {
	w, s := i>>6, uint(i)&63
	n := orWord(&b[w], word<<s)
	if s != 0 {
		if high := word >> (64 - s); high != 0 {
			n += orWord(&b[w+1], high)
		}
	}
	return n
}

func orWord(p *uint64, bits uint64) int64 {
	// Nearly always everything is set already, and reading is much cheaper than a locked write.
	if bits &^= atomic.LoadUint64(p); bits == 0 {
		return 0
	}
	atomic.OrUint64(p, bits)
	return int64(onesCount(bits))
}

// see notes that a series has a sample in the range.
func (g *groups) see(group, series int32) {
	for p := &g.seen[group]; ; {
		old := atomic.LoadInt32(p)
		if old <= series || atomic.CompareAndSwapInt32(p, old, series) {
			return
		}
	}
}

// hold accounts for n samples of state; release gives them back.
func (g *groups) hold(n int64) error {
	if n == 0 {
		return nil
	}
	g.held.Add(n)
	return g.q.Hold(n)
}

// row is a group's presence, from its first bit on.
func (g *groups) row(group int32) bitmap.Bitmap {
	lo := int(group) * g.words
	return g.present[lo : lo+g.words]
}

// finish adds the groups that have samples to the schema, in the order of their first series with
// a sample, and settles DropName: it is that of a group's last step.
func (g *groups) finish(end bool) {
	var fresh []int32
	for i := range g.index {
		if g.index[i] < 0 && g.row(int32(i)).Any(0, g.steps) {
			fresh = append(fresh, int32(i))
		}
	}
	slices.SortFunc(fresh, func(a, b int32) int { return int(g.seen[a]) - int(g.seen[b]) })
	for _, group := range fresh {
		g.index[group] = int32(g.out.Append(g.labels(group), false))
		g.members = append(g.members, group)
	}
	for i, group := range g.members {
		if last := lastBit(g.row(group)); last >= 0 {
			drop := g.mode == dropAll || g.mode == dropSome && g.dropName[int(group)*g.words+last>>6]&(1<<(uint(last)&63)) != 0
			g.out.SetDropName(i, drop)
		}
	}
	if end {
		g.out.SetComplete()
	}
}

// morsels is the number of batches of up to rows rows that hold all output series.
func morsels(series, rows int) int { return (series + rows - 1) / rows }
