// Package slab hands out runs of elements cut from large blocks, so that many short-lived slices cost few allocations.
package slab

// Slab hands out runs of elements. The zero value is ready for use.
type Slab[T any] struct {
	blocks [][]T
	at     int // block that runs are cut from
	used   int // elements of it that are taken
}

// minBlock and maxBlock are the numbers of elements in the first block and in the largest, unless one run needs more.
const (
	minBlock = 16
	maxBlock = 1024
)

// Take is a run of n elements, which hold what was in them before: zeros in a new block, older runs after Reset. Its
// capacity is n. It is nil if n is 0.
func (s *Slab[T]) Take(n int) []T {
	if n == 0 {
		return nil
	}
	for {
		if s.at == len(s.blocks) {
			s.blocks = append(s.blocks, make([]T, max(n, min(minBlock<<min(s.at, 8), maxBlock))))
		}
		if b := s.blocks[s.at]; s.used+n <= len(b) {
			s.used += n
			return b[s.used-n : s.used : s.used]
		}
		s.at, s.used = s.at+1, 0
	}
}

// Reset makes all elements available again: runs taken before must not be used any more.
func (s *Slab[T]) Reset() { s.at, s.used = 0, 0 }

// Each calls fn with every block, those parts included that were not taken.
func (s *Slab[T]) Each(fn func([]T)) {
	for _, b := range s.blocks {
		fn(b)
	}
}
