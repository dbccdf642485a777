package binary

import (
	"github.com/prometheus/prometheus/model/labels"
)

// rowIndex numbers label sets in the order in which they come. Label sets of different scopes have
// different numbers even if they are equal.
type rowIndex struct {
	labels []labels.Labels
	scope  []int32
	next   []int32          // the row before with the same hash, -1 for none
	last   map[uint64]int32 // hash -> the last row with it
}

// newRowIndex is an empty index with room for about size label sets.
func newRowIndex(size int) *rowIndex { return &rowIndex{last: make(map[uint64]int32, size)} }

// row is the number of a label set.
func (x *rowIndex) row(l labels.Labels, scope int32) int32 {
	h := l.Hash()
	head, ok := x.last[h]
	if !ok {
		head = -1
	}
	for i := head; i >= 0; i = x.next[i] {
		if x.scope[i] == scope && labels.Equal(x.labels[i], l) {
			return i
		}
	}
	row := int32(len(x.labels))
	x.labels = append(x.labels, l)
	x.scope = append(x.scope, scope)
	x.next = append(x.next, head)
	x.last[h] = row
	return row
}
