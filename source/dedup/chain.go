package dedup

import "slices"

// chain takes the samples of both replicas, and of two with the same time that of a.
type chain struct{ pair }

func newChain(a, b *column) *chain { return &chain{newPair(a, b, false)} }

// merge appends what is taken of both.
func (c *chain) merge(to *column) {
	if plain(c.a.column, c.b.column) {
		c.mergePlain(to)
		return
	}
	for !c.done() {
		c.take(c.a.time() <= c.b.time(), to)
		c.a.seek(c.last + 1)
		c.b.seek(c.last + 1)
	}
}

// mergePlain does the same for floats alone.
func (c *chain) mergePlain(to *column) {
	a, b := c.a.column, c.b.column
	n := len(to.t)
	to.t, to.f = slices.Grow(to.t, len(a.t)+len(b.t))[:n+len(a.t)+len(b.t)], slices.Grow(to.f, len(a.t)+len(b.t))[:n+len(a.t)+len(b.t)]
	i, j := 0, 0
	for i < len(a.t) && j < len(b.t) {
		ta, tb := a.t[i], b.t[j]
		if ta <= tb {
			to.t[n], to.f[n] = ta, a.f[i]
			i++
			if ta == tb {
				j++
			}
		} else {
			to.t[n], to.f[n] = tb, b.f[j]
			j++
		}
		n++
	}
	n += copy(to.t[n:], a.t[i:])
	copy(to.f[n-len(a.t)+i:], a.f[i:])
	n += copy(to.t[n:], b.t[j:])
	copy(to.f[n-len(b.t)+j:], b.f[j:])
	to.t, to.f = to.t[:n], to.f[:n]
}
