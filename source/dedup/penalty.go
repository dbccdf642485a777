package dedup

import "math"

// penalty merges two replicas. It takes the samples of one of them, and makes the other wait twice as long as the last two samples were
// apart before it may take over: so it does not change replicas at each scrape, whose values differ, but does when the one it takes
// misses two. Before there are two samples the wait is firstPenalty.
type penalty struct {
	pair
	penA, penB int64
}

// firstPenalty is Thanos' constant, in ms.
const firstPenalty = 5000

func newPenalty(a, b *column, counter bool) *penalty { return &penalty{pair: newPair(a, b, counter)} }

// merge appends what is taken of both.
func (p *penalty) merge(to *column) {
	for {
		p.a.seek(p.last + 1 + p.penA)
		p.b.seek(p.last + 1 + p.penB)
		if p.done() {
			return
		}
		p.take(p.choose(), to)
		if plain(p.a.column, p.b.column) {
			p.stay(to)
		}
	}
}

// stay takes as many samples of the replica that was taken last as merge would before it changes to the other one, of which there are no
// more than floats. All that it looks at are times, and samples are copied together.
func (p *penalty) stay(to *column) {
	taken, other, wait, tie := &p.a, &p.b, &p.penB, int64(0)
	if !p.useA {
		taken, other, wait, tie = &p.b, &p.a, &p.penA, 1 // of two with the same time that of a is taken
	}
	from := taken.i + 1
	i, j, last, pen := from, other.i, p.last, *wait
	for i < len(taken.t) {
		for j < len(other.t) && other.t[j] < last+1+pen {
			j++
		}
		t := taken.t[i]
		if j < len(other.t) && other.t[j] < t+tie {
			break
		}
		pen, last = 2*(t-last), t
		i++
	}
	taken.i, other.i = from, j
	if i > from {
		taken.copy(i, to)
		p.last, *wait = last, pen
	}
}

// choose says whether the next sample is that of a, and how long the other one has to wait for those behind it.
func (p *penalty) choose() bool {
	switch {
	case p.a.done():
		p.penB = 0
		return false
	case p.b.done():
		p.penA = 0
		return true
	}
	ta, tb := p.a.time(), p.b.time()
	wait := int64(firstPenalty)
	if p.last != math.MinInt64 {
		wait = 2 * (min(ta, tb) - p.last)
	}
	if ta <= tb {
		p.penA, p.penB = 0, wait
		return true
	}
	p.penA, p.penB = wait, 0
	return false
}
