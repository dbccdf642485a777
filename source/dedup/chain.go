package dedup

// chain takes the samples of both replicas, and of two with the same time that of a.
type chain struct{ pair }

func newChain(a, b *column) *chain { return &chain{newPair(a, b, false)} }

// merge appends what is taken of both.
func (c *chain) merge(to *column) {
	for !c.done() {
		c.take(c.a.time() <= c.b.time(), to)
		c.a.seek(c.last + 1)
		c.b.seek(c.last + 1)
	}
}
