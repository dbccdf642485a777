package difftest

import (
	"hash/fnv"
	"math/rand/v2"
)

// Choices is the stream of decisions a generator follows. The same stream
// always leads to the same query, whether it comes from a seed or from a
// fuzzer's bytes.
type Choices struct {
	data []byte
	rnd  *rand.Rand
}

// SeededChoices returns the decision stream of a seed.
func SeededChoices(seed uint64) *Choices {
	return &Choices{rnd: rand.New(rand.NewPCG(seed, 0x5bd1e995))}
}

// ByteChoices returns a decision stream that is read from data. Where data
// ends, decisions follow from a hash of it, so that short inputs lead to
// complete queries and stay reproducible.
func ByteChoices(data []byte) *Choices {
	h := fnv.New64a()
	_, _ = h.Write(data)
	return &Choices{data: data, rnd: rand.New(rand.NewPCG(h.Sum64(), 0x5bd1e995))}
}

// N decides for a number in [0, n).
func (c *Choices) N(n int) int {
	if n <= 1 {
		return 0
	}
	if len(c.data) == 0 {
		return c.rnd.IntN(n)
	}
	v := int(c.data[0])
	c.data = c.data[1:]
	if n > 256 && len(c.data) > 0 {
		v = v<<8 | int(c.data[0])
		c.data = c.data[1:]
	}
	return v % n
}

// Chance decides for true in about percent of 100 cases.
func (c *Choices) Chance(percent int) bool { return c.N(100) < percent }

// Pick decides for one of items.
func Pick[T any](c *Choices, items ...T) T { return items[c.N(len(items))] }

// weighted is an alternative that is taken in proportion to its weight.
type weighted[T any] struct {
	weight int
	item   T
}

func pickWeighted[T any](c *Choices, items []weighted[T]) T {
	total := 0
	for _, it := range items {
		total += it.weight
	}
	n := c.N(total)
	for _, it := range items {
		if n -= it.weight; n < 0 {
			return it.item
		}
	}
	panic("difftest: weights do not add up")
}
